-- How an event reaches the webhook: handed out for a lease, signed as it is handed out, sent again on the retry schedule, and put
-- aside as a dead letter in the end. A message in the queue is an event's id; the table is the truth.

create or replace function bilag_internal.unqueue_webhooks(quantity integer) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  ids bigint[];
  garbage boolean;
begin
  with read as (
    select r.* from bilag_internal.read_webhooks(quantity) r
  ), kept as (
    insert into bilag.webhook_deliveries (event_id, message, due_at, taken_at)
    select (r.message ->> 'event_id')::uuid, r.message, bilag_internal.now(), bilag_internal.now()
    from read r where bilag_internal.is_event(r.message)
    on conflict do nothing
  ), buried as (
    select bilag_internal.bury(jsonb_build_object('queue', 'bilag_webhooks', 'message', r.message, 'readCount', r.read_ct,
      'reasonCode', 'message_means_nothing', 'reasonParams', '{}'::jsonb))
    from read r where not bilag_internal.is_event(r.message)
  )
  select array_agg(r.msg_id), (select count(*) > 0 from buried) into ids, garbage from read r;
  perform bilag_internal.drop_webhooks(ids);
  if garbage then
    perform bilag_internal.raise_alert('dead_letter', 'bilag_webhooks', null, null, 'A message was set aside: see bilag.dead_letters.');
  end if;
end $$;

comment on function bilag_internal.unqueue_webhooks(integer) is 'Takes new events out of the queue into the table, and sets aside what is none.';

create or replace function bilag_internal.take_webhooks(worker_id uuid, quantity integer, lease_seconds integer) returns setof jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
declare
  moment timestamptz := bilag_internal.now();
  hook bilag.webhook;
  secret text;
  due uuid[];
  gone uuid[];
begin
  perform bilag_internal.require_worker(worker_id);
  select w.* into hook from bilag.webhook w where w.enabled;
  -- A receiver that fails is asked one thing at a time.
  quantity := least(quantity, case when hook.failures >= 5 then 1 else quantity end);
  if hook.url is null or quantity <= 0 then
    return;
  end if;
  secret := bilag_internal.webhook_secret();
  if secret is null then
    perform bilag_internal.raise_alert('webhook_failing', 'webhook', null, null, 'The webhook''s secret is not in Vault.');
    return;
  end if;
  perform bilag_internal.unqueue_webhooks(quantity);
  due := array(
    select d.event_id from bilag.webhook_deliveries d
    where d.due_at <= moment and coalesce(d.lease_until <= moment, true) order by d.due_at, d.event_id limit quantity for update skip locked);
  -- Nothing to tell any more: what it was about is gone, or nobody wants to hear it.
  with dropped as (
    delete from bilag.webhook_deliveries d
    where d.event_id = any(due) and (d.message ->> 'event' <> all(hook.events || 'webhook.test'::text) or bilag_internal.event_body(d.message) is null)
    returning d.event_id
  )
  select array_agg(d.event_id) into gone from dropped d;
  return query
    with taken as (
      update bilag.webhook_deliveries d
      set attempt = d.attempt + 1, lease_until = moment + make_interval(secs => lease_seconds)
      where d.event_id = any(due) and d.event_id <> all(coalesce(gone, '{}'))
      returning d.event_id, d.attempt, bilag_internal.event_body(d.message)::text as body
    )
    select jsonb_build_object('id', t.event_id, 'attempt', t.attempt, 'url', hook.url, 'body', t.body,
      'headers', bilag_internal.signed_headers(t.event_id::text, t.body, secret))
    from taken t;
end $$;

comment on function bilag_internal.take_webhooks(uuid, integer, integer) is
  'Events to deliver now, each {id, attempt, url, headers, body}, for so many seconds; what is not reported by then is tried again.';

create or replace function bilag_internal.settle_webhooks(worker_id uuid, reports jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
declare
  moment timestamptz := bilag_internal.now();
  arrived integer;
  failed integer;
  error text;
  failures integer;
  dead jsonb[];
begin
  -- A row that somebody holds is left: its event is sent once more when the lease is over.
  delete from bilag.webhook_deliveries d where d.event_id in (
    select x.event_id from bilag.webhook_deliveries x
    join jsonb_to_recordset(reports) as r (id uuid, outcome text) on r.id = x.event_id and r.outcome = 'delivered'
    for update of x skip locked);
  select count(*) filter (where r.outcome = 'delivered'), count(*) filter (where r.outcome = 'failed'),
    (array_agg(left(r.message, 500)) filter (where r.outcome = 'failed'))[1]
  into arrived, failed, error
  from jsonb_to_recordset(reports) as r (outcome text, message text);

  with told as (
    select x.event_id, r.outcome, left(r.message, 500) as message, s.wait,
      case when r."retryAfterSeconds" > 0 then make_interval(secs => least(r."retryAfterSeconds", 21600)) end as asked
    from bilag.webhook_deliveries x
    join jsonb_to_recordset(reports) as r (id uuid, attempt integer, outcome text, message text, "retryAfterSeconds" double precision)
      on r.id = x.event_id and r.attempt = x.attempt and r.outcome <> 'delivered'
    left join bilag.retry_schedule s on s.failure = x.attempt
    for update of x skip locked
  ), again as (
    update bilag.webhook_deliveries d
    set lease_until = null,
      attempt = case when t.outcome = 'unsent' then d.attempt - 1 else d.attempt end,
      due_at = case when t.outcome = 'unsent' then moment else moment + greatest(t.wait, t.asked) end,
      last_error = coalesce(t.message, d.last_error)
    from told t where d.event_id = t.event_id and (t.outcome = 'unsent' or t.wait is not null)
  ), given_up as (
    delete from bilag.webhook_deliveries d using told t
    where d.event_id = t.event_id and t.outcome = 'failed' and t.wait is null
    returning jsonb_build_object('queue', 'bilag_webhooks', 'message', d.message, 'readCount', d.attempt, 'reasonCode', 'webhook_undelivered',
      'reasonParams', jsonb_build_object('attempts', d.attempt, 'message', t.message)) as letter
  )
  select array_agg(g.letter) into dead from given_up g;
  if dead is not null then
    perform bilag_internal.bury(letter) from unnest(dead) as letter;
    perform bilag_internal.raise_alert('dead_letter', 'bilag_webhooks', null, null, 'A webhook event was never taken by its receiver: see bilag.dead_letters.');
  end if;

  update bilag.webhook w
  set delivered_at = case when arrived > 0 then moment else w.delivered_at end,
    failures = case when arrived > 0 then 0 else w.failures + failed end,
    failing_since = case when arrived > 0 then null when failed > 0 then coalesce(w.failing_since, moment) else w.failing_since end,
    last_error = case when arrived > 0 then null else coalesce(error, w.last_error) end
  where exists (select from bilag.webhook x for no key update skip locked)
  returning w.failures into failures;
  if arrived > 0 then
    perform bilag_internal.resolve_alert('webhook_failing', 'webhook', 'an event arrived');
  elsif failed > 0 and failures >= 3 then
    perform bilag_internal.raise_alert('webhook_failing', 'webhook', null, null, coalesce(error, 'The webhook''s receiver does not take events.'));
  end if;
end $$;

comment on function bilag_internal.settle_webhooks(uuid, jsonb) is
  'What became of events: delivered, failed (again by bilag.retry_schedule, then a dead letter) or unsent. May be told twice.';

create or replace function bilag_internal.webhooks_left(out due bigint, out in_flight bigint, out next_due_at timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
declare
  moment timestamptz := bilag_internal.now();
begin
  if not exists (select from bilag.webhook w where w.enabled) then
    due := 0;
    in_flight := 0;
    return;
  end if;
  select count(*) filter (where d.due_at <= moment and coalesce(d.lease_until <= moment, true)) + bilag_internal.webhooks_queued(),
    count(*) filter (where d.lease_until > moment), min(d.due_at) filter (where d.due_at > moment)
  into due, in_flight, next_due_at
  from bilag.webhook_deliveries d;
end $$;

comment on function bilag_internal.webhooks_left() is 'Events to be sent now, events that a worker has, and when the next is tried again.';
