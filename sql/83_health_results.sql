-- What checks found: the status of each connection, its history, its alert, and when it is checked next. The same from what exports
-- met, for a connection that is passive or that was thought unreachable.

create or replace function bilag_internal.health_results(reports jsonb)
returns table (
  org_id uuid, token uuid, integration_type text, status text, latency_ms integer, after_seconds double precision, error_message text,
  reason_code text)
language sql immutable
as $$
  select r.lane, r.token, c."integrationType", c.status, c."latencyMs", c."afterSeconds", left(c.error, 500), c."reasonCode"
  from jsonb_to_recordset(reports) as r (lane uuid, token uuid, checks jsonb)
  cross join lateral jsonb_to_recordset(r.checks) as c (
    "integrationType" text, status text, "latencyMs" integer, "afterSeconds" double precision, error text, "reasonCode" text)
$$;

comment on function bilag_internal.health_results(jsonb) is 'The checks in the reports of workers, one row each.';

create or replace function bilag_internal.settle_health_checks(worker_id uuid, reports jsonb) returns setof jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
declare
  moment timestamptz := bilag_internal.now();
  held uuid[];
  known uuid[];
  status_ids uuid[];
  blocked uuid[];
begin
  held := array(
    select r.org_id from bilag_internal.health_rounds r
    join jsonb_to_recordset(reports) as x (lane uuid, token uuid) on x.lane = r.org_id and x.token = r.lease_token
    order by r.org_id for update of r skip locked);
  -- A row that somebody holds in an open transaction puts off its own organisation only: that one is told again.
  known := array(
    select c.id from bilag.integration_config c
    join bilag_internal.health_results(reports) t on t.org_id = c.org_id and t.integration_type = c.integration_type
    where c.org_id = any(held) order by c.id for key share of c skip locked);
  status_ids := array(
    select s.id from bilag.integration_health_status s
    join bilag_internal.health_results(reports) t on t.org_id = s.org_id and t.integration_type = s.integration_type
    where s.org_id = any(held) order by s.org_id, s.integration_type for update of s skip locked);
  blocked := array(
    select distinct t.org_id from bilag_internal.health_results(reports) t
    join bilag.integration_config c on c.org_id = t.org_id and c.integration_type = t.integration_type
    left join bilag.integration_health_status s on s.org_id = t.org_id and s.integration_type = t.integration_type
    where t.org_id = any(held) and (c.id <> all(known) or (s.id is not null and s.id <> all(status_ids))));
  return query
    select jsonb_build_object('kind', 'later', 'lane', x.lane, 'token', x.token)
    from jsonb_to_recordset(reports) as x (lane uuid, token uuid)
    join bilag_internal.health_rounds r on r.org_id = x.lane and r.lease_token = x.token
    where x.lane <> all(held) or x.lane = any(blocked);
  held := array(select h from unnest(held) h where h <> all(blocked));
  if cardinality(held) = 0 then
    return;
  end if;

  with told as (
    select t.org_id, t.integration_type, r.leased_at, t.latency_ms, w.status,
      -- By the database's clock: when the round was handed out, and how long after that the check ended.
      least(moment, r.leased_at + make_interval(secs => greatest(t.after_seconds, 0))) as checked_at,
      case when w.status <> t.status then format('The credential expires at %s.', bilag_internal.tell_time(c.credential_expires_at))
        else t.error_message end as error_message,
      case when t.status = 'unreachable' then coalesce(s.consecutive_failures, 0) + 1 else 0 end as failures
    from bilag_internal.health_results(reports) t
    join bilag_internal.health_rounds r on r.org_id = t.org_id and r.lease_token = t.token
    join bilag.integration_config c on c.org_id = t.org_id and c.integration_type = t.integration_type
    left join bilag.integration_health_status s on s.org_id = t.org_id and s.integration_type = t.integration_type
    cross join lateral (
      select case when t.status = 'healthy' and c.credential_expires_at < moment + interval '7 days' then 'degraded' else t.status end as status
    ) as w
    where t.org_id = any(held)
  ), latest as (
    insert into bilag.integration_health_status as s (
      org_id, integration_type, status, latency_ms, checked_at, error_message, consecutive_failures, next_check_at)
    select t.org_id, t.integration_type, t.status, t.latency_ms, t.checked_at, t.error_message, t.failures,
      t.leased_at + bilag_internal.health_wait(t.failures)
    from told t
    order by t.org_id, t.integration_type
    on conflict (org_id, integration_type) do update set
      status = case when excluded.checked_at >= s.checked_at then excluded.status else s.status end,
      latency_ms = case when excluded.checked_at >= s.checked_at then excluded.latency_ms else s.latency_ms end,
      error_message = case when excluded.checked_at >= s.checked_at then excluded.error_message else s.error_message end,
      checked_at = greatest(excluded.checked_at, s.checked_at),
      consecutive_failures = excluded.consecutive_failures,
      next_check_at = excluded.next_check_at
  )
  insert into bilag.health_check_history (org_id, integration_type, status, latency_ms, checked_at, error_message)
  select t.org_id, t.integration_type, t.status, t.latency_ms, t.checked_at, t.error_message
  from told t
  order by t.org_id, t.integration_type;

  perform bilag_internal.mind_rate_limits(held, reports);
  perform bilag_internal.alert_unreachable(known, 'a check was answered');
  update bilag_internal.health_requests q set finished_at = moment
  from bilag_internal.health_rounds r
  where r.org_id = any(held) and q.org_id = r.org_id and q.finished_at is null and q.requested_at <= r.leased_at
    and not exists (
      select from jsonb_to_recordset(reports) as x (lane uuid, token uuid, stopped boolean)
      where x.lane = r.org_id and x.token = r.lease_token and x.stopped);
  perform bilag_internal.end_rounds(held);
end $$;

comment on function bilag_internal.settle_health_checks(uuid, jsonb) is
  'Settles rounds [{lane, token, stopped, checks: [{integrationType, status, latencyMs, afterSeconds, error, reasonCode}]}]: status, history, alerts, and when each is checked next. {"kind": "later", lane, token} for what is to be told again.';

create or replace function bilag_internal.tell_time(at timestamptz) returns text
language sql stable set search_path = pg_catalog, pg_temp
as $$ select to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC' $$;

comment on function bilag_internal.tell_time(timestamptz) is 'A moment as messages tell it.';

create or replace function bilag_internal.end_rounds(org_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  moment timestamptz := bilag_internal.now();
begin
  -- Whoever asked meanwhile, or whose round was put down, gets the next one at once; otherwise never two within a minute.
  update bilag_internal.health_rounds r
  set lease_token = null, lease_until = null, leased_by = null, due_at = case
    when d.asked then moment when d.due_at is not null then greatest(d.due_at, moment + interval '1 minute') end
  from (
    select o.org_id, bilag_internal.health_due(o.org_id) as due_at,
      exists (select from bilag_internal.health_requests q where q.org_id = o.org_id and q.finished_at is null) as asked
    from unnest(org_ids) as o (org_id)
  ) as d
  where r.org_id = d.org_id;
  perform bilag_internal.send_health_hints(array(
    select r.org_id from bilag_internal.health_rounds r
    where r.org_id = any(org_ids) and r.due_at <= moment and r.msg_id is null order by r.due_at, r.org_id));
end $$;

comment on function bilag_internal.end_rounds(uuid[]) is 'Gives rounds back and finds out when the next ones are due.';

create or replace function bilag_internal.mind_rate_limits(org_ids uuid[], reports jsonb) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  -- One that asks us to wait is not asked for a day. One that a person had checked meanwhile, and that answered, is asked again.
  update bilag.integration_config c
  set health_mode = case when t.limited then 'passive' else 'active' end,
    passive_until = case when t.limited then bilag_internal.now() + interval '1 day' end
  from (
    select x.id, coalesce(t.reason_code = 'rate_limited', false) as limited
    from bilag_internal.health_results(reports) t
    join bilag.integration_config x on x.org_id = t.org_id and x.integration_type = t.integration_type
    where t.org_id = any(org_ids) and case when t.reason_code = 'rate_limited'
      then x.health_mode = 'active' or x.passive_until is not null
      else x.passive_until is not null and t.status <> 'unreachable' end
    order by x.id for no key update of x skip locked
  ) as t
  where c.id = t.id
$$;

comment on function bilag_internal.mind_rate_limits(uuid[], jsonb) is 'A check that was answered with a rate limit makes its integration passive for a day.';

create or replace function bilag_internal.alert_unreachable(integration_ids uuid[], evidence text) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  select bilag_internal.raise_alert('integration_unreachable', c.id::text, c.org_id, c.integration_type,
    coalesce(s.error_message, 'It does not answer.'), jsonb_build_object('consecutiveFailures', s.consecutive_failures))
  from bilag.integration_config c
  join bilag.integration_health_status s on s.org_id = c.org_id and s.integration_type = c.integration_type
  where c.id = any(integration_ids) and s.status = 'unreachable' and s.consecutive_failures >= 3
    and coalesce(c.paused_reason_code, '') not like 'credential_%'  -- that has an alert of its own, which says what to do
  order by c.id;
  select bilag_internal.resolve_alert('integration_unreachable', a.problem_key, evidence)
  from bilag.integration_config c
  join bilag.integration_health_status s on s.org_id = c.org_id and s.integration_type = c.integration_type
  join bilag.alerts a on a.kind = 'integration_unreachable' and a.problem_key = c.id::text and a.resolved_at is null
  where c.id = any(integration_ids) and s.status <> 'unreachable'
  order by c.id;
$$;

comment on function bilag_internal.alert_unreachable(uuid[], text) is 'Opens or counts the alert of what failed three times in a row, and resolves that of what answers.';
