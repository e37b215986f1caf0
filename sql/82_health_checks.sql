-- Health checks are handed out by organisation and settled many at once. The tick plans rounds: a message for each organisation that
-- is due, no more than a fifteenth of all in one minute, so that ten thousand that became due in an outage do not come at once.

create or replace function bilag_internal.plan_health_checks() returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set jit = off set enable_seqscan = off
as $$
declare
  moment timestamptz := bilag_internal.now();
  due uuid[];
  quiet uuid[];
begin
  -- A day without a rate limit is over. What somebody is changing right now comes with the next tick; so does an organisation whose
  -- round somebody holds, for the trigger of this change will want it.
  quiet := array(
    select r.org_id from bilag_internal.health_rounds r
    where r.org_id in (select x.org_id from bilag.integration_config x where x.passive_until <= moment and x.health_mode = 'passive')
    order by r.org_id for update skip locked);
  update bilag.integration_config c set health_mode = 'active', passive_until = null
  where c.id = any(array(
    select x.id from bilag.integration_config x
    where x.passive_until <= moment and x.health_mode = 'passive' and x.org_id = any(quiet)
    order by x.id for no key update skip locked));
  update bilag_internal.health_rounds r set lease_token = null, lease_until = null
  where r.org_id = any(array(
    select x.org_id from bilag_internal.health_rounds x where x.lease_until <= moment order by x.org_id for update skip locked));
  update bilag_internal.health_rounds r set msg_id = null
  where r.org_id = any(array(
    select x.org_id from bilag_internal.health_rounds x
    where x.org_id in (select h from bilag_internal.lost_health_hints() h) order by x.org_id for update skip locked));
  due := array(
    select r.org_id from bilag_internal.health_rounds r
    where r.due_at <= moment and r.msg_id is null and r.lease_token is null
    order by r.due_at
    limit greatest(20, (select ceil(count(*) / 15.0) from bilag_internal.health_rounds x where x.due_at is not null))
    for update skip locked);
  perform bilag_internal.send_health_hints(due);
  delete from bilag_internal.health_requests q where q.requested_at < moment - interval '1 day';
  perform bilag_internal.warn_of_expiry();
  return cardinality(due);
end $$;

comment on function bilag_internal.plan_health_checks() is
  'Sends a hint for each organisation that is due, as many as fit in a minute; frees what dead workers held; ends passive days. Part of the tick.';

create or replace function bilag_internal.claim_health_checks(worker_id uuid, slots integer, lease_seconds integer) returns setof jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set jit = off set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
  moment timestamptz := bilag_internal.now();
  hints bigint[];
  named uuid[];
  messages jsonb[];
  reads integer[];
  held uuid[];
  mine uuid[];
  garbage bigint[];
begin
  perform bilag_internal.require_worker(worker_id);
  if slots <= 0 then
    return;
  end if;
  select array_agg(h.msg_id), array_agg(bilag_internal.named_organisation(h.message)), array_agg(h.message), array_agg(h.read_ct)
  into hints, named, messages, reads
  from bilag_internal.read_health_hints(slots) as h;
  if hints is null then
    return;
  end if;
  held := array(
    select r.org_id from bilag_internal.health_rounds r where r.org_id = any(named) order by r.org_id for update skip locked);
  select array_agg(u.msg_id) into garbage
  from unnest(hints, named) as u (msg_id, org_id)
  where u.org_id is null or not exists (select from bilag_internal.health_rounds r where r.org_id = u.org_id);
  if garbage is not null then
    perform bilag_internal.bury(jsonb_build_object('queue', 'bilag_health_checks', 'message', u.message, 'readCount', u.read_ct,
      'reasonCode', case when u.org_id is null then 'message_means_nothing' else 'lane_unknown' end, 'reasonParams', '{}'::jsonb))
    from unnest(hints, named, messages, reads) as u (msg_id, org_id, message, read_ct)
    where u.msg_id = any(garbage);
    perform bilag_internal.raise_alert('dead_letter', 'bilag_health_checks', null, null, 'A message was set aside: see bilag.dead_letters.');
  end if;
  -- A hint is used up whether or not it leads to work. One whose round somebody holds comes back.
  perform bilag_internal.drop_health_hints(array(
    select u.msg_id from unnest(hints, named) as u (msg_id, org_id) where u.org_id = any(held)) || garbage);
  mine := array(
    select r.org_id from bilag_internal.health_rounds r
    where r.org_id = any(held) and r.due_at <= moment and coalesce(r.lease_until <= moment, true));
  update bilag_internal.health_rounds r
  set msg_id = null,
    lease_token = case when r.org_id = any(mine) then gen_random_uuid() else r.lease_token end,
    lease_until = case when r.org_id = any(mine) then moment + make_interval(secs => lease_seconds) else r.lease_until end,
    leased_at = case when r.org_id = any(mine) then moment else r.leased_at end,
    leased_by = case when r.org_id = any(mine) then claim_health_checks.worker_id else r.leased_by end
  where r.org_id = any(held);
  return query
    select jsonb_build_object('lane', r.org_id, 'orgId', r.org_id, 'token', r.lease_token, 'leaseSeconds', lease_seconds,
      'checks', coalesce(x.checks, '[]'))
    from bilag_internal.health_rounds r
    left join lateral (
      select jsonb_agg(jsonb_build_object('lane', c.id, 'orgId', c.org_id, 'integrationType', c.integration_type,
        'settings', c.settings, 'allowedHosts', t.allowed_hosts, 'token', r.lease_token, 'correlationId', gen_random_uuid()) order by c.integration_type) as checks
      from bilag_internal.checks_due(r.org_id, moment) as d
      join bilag.integration_config c on c.id = d
      join bilag.integration_types t on t.integration_type = c.integration_type
    ) as x on true
    where r.org_id = any(mine);
end $$;

comment on function bilag_internal.claim_health_checks(uuid, integer, integer) is
  'Leases the rounds of up to so many organisations and returns what to check in each: {lane, token, orgId, checks: [{lane, integrationType, settings, correlationId, …}]}.';

create or replace function bilag_internal.named_organisation(message jsonb) returns uuid
language sql immutable
as $$
  select case when jsonb_typeof(message) = 'object' and jsonb_typeof(message -> 'org_id') = 'string'
    and message ->> 'org_id' ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'
    then (message ->> 'org_id')::uuid end
$$;

comment on function bilag_internal.named_organisation(jsonb) is 'The organisation that a message names, or null when it is not one of ours.';

create or replace function bilag_internal.checks_due(org_id uuid, moment timestamptz) returns setof uuid
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select c.id
  from bilag.integration_config c
  left join bilag.integration_health_status s on s.org_id = c.org_id and s.integration_type = c.integration_type
  where c.org_id = checks_due.org_id and c.enabled
    and ((c.health_mode = 'active' and coalesce(s.next_check_at, c.created_at + bilag_internal.health_phase(c.org_id)) <= moment)
      or exists (
        select from bilag_internal.health_requests q
        where q.org_id = c.org_id and q.finished_at is null and q.requested_at <= moment))
$$;

comment on function bilag_internal.checks_due(uuid, timestamptz) is
  'The integrations to check now: active ones whose time has come; all that are enabled when a person asked.';

create or replace function bilag_internal.checks_health(integration_id uuid, lease_token uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select exists (
    select from bilag.integration_config c join bilag_internal.health_rounds r on r.org_id = c.org_id
    where c.id = checks_health.integration_id and c.enabled
      and r.lease_token = checks_health.lease_token and r.lease_until > bilag_internal.now())
$$;

comment on function bilag_internal.checks_health(uuid, uuid) is 'Whether this token is that of a live round of the integration''s organisation.';

create or replace function bilag_internal.health_checks_left(out due bigint, out in_flight bigint, out next_due_at timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set jit = off set enable_seqscan = off
as $$
declare
  moment timestamptz := bilag_internal.now();
begin
  due := (select count(*) from bilag_internal.health_rounds r where r.due_at <= moment and coalesce(r.lease_until <= moment, true));
  in_flight := (select count(*) from bilag_internal.health_rounds r where r.lease_until > moment);
  next_due_at := (select r.due_at from bilag_internal.health_rounds r where r.due_at > moment order by r.due_at limit 1);
end $$;

comment on function bilag_internal.health_checks_left() is 'Rounds due, rounds leased, and when the next becomes due.';
