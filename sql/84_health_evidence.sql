-- Health that nobody asked the accounting system for: what exports met, a new credential, a credential that is about to expire.

create or replace function bilag_internal.follow_exports(reports jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
declare
  moment timestamptz := bilag_internal.now();
  followed uuid[];
begin
  with met as (
    select distinct on (c.id) c.id, c.org_id, c.integration_type, c.passive_until, w.status, w.limited,
      case when w.status <> 'healthy' then x.failure #>> '{error,message}' end as error_message
    from jsonb_to_recordset(reports) as x (lane uuid, failure jsonb, results jsonb)
    join bilag.integration_config c on c.id = x.lane
    left join bilag.integration_health_status s on s.org_id = c.org_id and s.integration_type = c.integration_type
    cross join lateral (
      select x.failure ->> 'reasonCode' = 'rate_limited' as limited, case
        when coalesce(jsonb_typeof(x.failure), 'null') = 'null'
          then case when x.results @? '$[*] ? (@.outcome != "unsent" && @.outcome != "unknown")' then 'healthy' end
        when x.failure ->> 'reasonCode' = 'rate_limited' then 'degraded'
        when x.failure #>> '{error,errorClass}' = 'permanent' and coalesce(x.failure ->> 'reasonCode', '') not like 'credential_%' then 'degraded'
        else 'unreachable' end as status
    ) as w
    where w.status is not null and (c.health_mode = 'passive' or (w.status = 'healthy' and s.status = 'unreachable'))
      -- What somebody holds in an open transaction is followed by the next export.
      and c.id = any(array(select y.id from bilag.integration_config y where y.id = c.id for key share skip locked))
      and (s.id is null or s.id = any(array(
        select y.id from bilag.integration_health_status y where y.org_id = c.org_id and y.integration_type = c.integration_type
        for update skip locked)))
    order by c.id, w.status = 'unreachable' desc
  ), latest as (
    insert into bilag.integration_health_status as s (org_id, integration_type, status, checked_at, error_message, consecutive_failures, next_check_at)
    select m.org_id, m.integration_type, m.status, moment, m.error_message, (m.status = 'unreachable')::integer, moment + interval '15 minutes'
    from met m order by m.org_id, m.integration_type
    on conflict (org_id, integration_type) do update set status = excluded.status, latency_ms = null, checked_at = excluded.checked_at,
      error_message = excluded.error_message, next_check_at = excluded.next_check_at,
      consecutive_failures = case when excluded.status = 'unreachable' then s.consecutive_failures + 1 else 0 end
      where s.checked_at <= excluded.checked_at
    returning s.org_id, s.integration_type
  ), written as (
    -- Exports may be many: history takes what changed, and otherwise no more than checks would have given it.
    insert into bilag.health_check_history (org_id, integration_type, status, checked_at, error_message)
    select m.org_id, m.integration_type, m.status, moment, m.error_message
    from met m
    left join lateral (
      select h.status, h.checked_at from bilag.health_check_history h
      where h.org_id = m.org_id and h.integration_type = m.integration_type order by h.checked_at desc, h.id desc limit 1
    ) as h on true
    where h.status is distinct from m.status or h.checked_at <= moment - interval '15 minutes'
    order by m.org_id, m.integration_type
  ), limited as (
    update bilag.integration_config c set passive_until = moment + interval '1 day'
    where c.id = any(array(
      select y.id from bilag.integration_config y where y.id in (select m.id from met m where m.limited and m.passive_until is not null)
      order by y.id for no key update skip locked))
  )
  select array_agg(m.id) into followed from met m;
  if followed is not null then
    perform bilag_internal.alert_unreachable(followed, 'an export went through');
    perform bilag_internal.replan_rounds(followed);
  end if;
end $$;

comment on function bilag_internal.follow_exports(jsonb) is
  'Health of passive integrations follows their exports; and an export that went through is evidence against "unreachable".';

create or replace function bilag_internal.replan_rounds(integration_ids uuid[]) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  update bilag_internal.health_rounds r set due_at = bilag_internal.health_due(r.org_id)
  where r.org_id = any(array(
    select x.org_id from bilag_internal.health_rounds x
    where x.org_id in (select c.org_id from bilag.integration_config c where c.id = any(integration_ids)) and x.lease_token is null
    order by x.org_id for update skip locked))
$$;

comment on function bilag_internal.replan_rounds(uuid[]) is 'Finds out again when rounds are due that nobody holds.';

create or replace function bilag_internal.credential_renewed(integration_id uuid) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  perform bilag_internal.resolve_alert('credential_expiring', integration_id::text, 'a new credential was set');
  -- What was not well is looked at again as soon as it may be.
  update bilag.integration_health_status s set next_check_at = greatest(s.checked_at + interval '15 minutes', bilag_internal.now())
  from bilag.integration_config c
  where c.id = integration_id and s.org_id = c.org_id and s.integration_type = c.integration_type and s.status <> 'healthy';
  perform bilag_internal.replan_rounds(array[integration_id]);
end $$;

comment on function bilag_internal.credential_renewed(uuid) is 'A new credential resolves the warning about the old one, and ends its back-off.';

create or replace function bilag_internal.warn_of_expiry() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  moment timestamptz := bilag_internal.now();
begin
  perform bilag_internal.raise_alert('credential_expiring', c.id::text, c.org_id, c.integration_type,
    format(case n.days when 0 then 'The credential of %s expired at %s.' when 1 then 'The credential of %s expires within a day, at %s.'
      when 7 then 'The credential of %s expires within 7 days, at %s.' else 'The credential of %s expires within 30 days, at %s.' end,
      c.integration_type, bilag_internal.tell_time(c.credential_expires_at)),
    jsonb_build_object('days', n.days, 'expiresAt', c.credential_expires_at,
      'severity', case when n.days <= 1 then 'critical' when n.days = 7 then 'warning' else 'info' end))
  from bilag.integration_config c
  cross join lateral (
    select case when c.credential_expires_at <= moment then 0 when c.credential_expires_at <= moment + interval '1 day' then 1
      when c.credential_expires_at <= moment + interval '7 days' then 7 else 30 end as days
  ) as n
  left join bilag.alerts a on a.kind = 'credential_expiring' and a.problem_key = c.id::text and a.resolved_at is null
  where c.enabled and c.credential_expires_at <= moment + interval '30 days'
    and (a.id is null or (a.details ->> 'days')::integer <> n.days)
  order by c.id;
  perform bilag_internal.resolve_alert('credential_expiring', a.problem_key, 'the credential does not expire soon, or is not used')
  from bilag.alerts a
  where a.kind = 'credential_expiring' and a.resolved_at is null and not exists (
    select from bilag.integration_config c
    where c.id::text = a.problem_key and c.enabled and c.credential_expires_at <= moment + interval '30 days');
end $$;

comment on function bilag_internal.warn_of_expiry() is 'One alert per credential that expires: it says so at 30 days, at 7, at 1, and when it has. Part of the tick.';
