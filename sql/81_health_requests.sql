-- A person asks for a check now, and asks what came of it. The id that is returned names the request: it is polled with
-- health_check_status, and answers with what is known of all connections of the organisation.

create or replace function bilag.request_health_check(org_id uuid) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  moment timestamptz := bilag_internal.now();
  round bilag_internal.health_rounds;
  answer uuid;
  oldest timestamptz;
begin
  perform bilag_internal.require_finance(org_id);
  select r.* into round from bilag_internal.health_rounds r where r.org_id = request_health_check.org_id for update;
  select min(coalesce(s.checked_at, '-infinity')) into oldest
  from bilag.integration_config c
  left join bilag.integration_health_status s on s.org_id = c.org_id and s.integration_type = c.integration_type
  where c.org_id = request_health_check.org_id and c.enabled;
  if oldest is null then
    perform bilag_internal.complain('KB004', format('Organisation %s has no enabled integration to check.', coalesce(request_health_check.org_id::text, 'null')),
      'Insert one into bilag.integration_config, or enable one.');
  end if;
  -- One that is under way, or whose result is younger than a minute, is returned as it is.
  select q.id into answer from bilag_internal.health_requests q
  where q.org_id = request_health_check.org_id and (q.finished_at is null or q.finished_at > moment - interval '1 minute')
  order by q.requested_at desc limit 1;
  if answer is not null then
    return answer;
  end if;
  insert into bilag_internal.health_requests as q (org_id, requested_at, finished_at)
  values (request_health_check.org_id, moment, case when oldest > moment - interval '1 minute' then oldest end)
  returning q.id into answer;
  if oldest > moment - interval '1 minute' then
    return answer;
  end if;
  update bilag_internal.health_rounds r set due_at = least(r.due_at, moment) where r.org_id = request_health_check.org_id;
  if round.msg_id is null and coalesce(round.lease_until <= moment, true) then
    perform bilag_internal.send_health_hints(array[request_health_check.org_id]);
    perform pg_notify('bilag_wake', '');
  end if;
  return answer;
end $$;

comment on function bilag.request_health_check(uuid) is
  'Checks all enabled connections of an organisation now and returns the id to poll with health_check_status. A check that is under way, or a result younger than a minute, is returned as it is.';

create or replace function bilag.health_check_status(check_id uuid) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
  request bilag_internal.health_requests;
begin
  select q.* into request from bilag_internal.health_requests q where q.id = check_id;
  if not found or not bilag_internal.concerns_caller(request.org_id) then
    perform bilag_internal.complain('KB002', format('There is no health check %s; they are kept for a day.', coalesce(check_id::text, 'null')),
      'select bilag.request_health_check(org_id);');
  end if;
  return jsonb_build_object(
    'checkId', request.id, 'orgId', request.org_id,
    'status', case when request.finished_at is not null then 'done'
      when exists (
        select from bilag_internal.health_rounds r
        where r.org_id = request.org_id and r.lease_until > bilag_internal.now() and r.leased_at >= request.requested_at) then 'running'
      else 'queued' end,
    'requestedAt', request.requested_at, 'finishedAt', request.finished_at,
    'integrations', (
      select coalesce(jsonb_agg(jsonb_build_object('integrationType', c.integration_type, 'status', s.status, 'latencyMs', s.latency_ms,
        'checkedAt', s.checked_at, 'error', s.error_message) order by c.integration_type), '[]')
      from bilag.integration_config c
      left join bilag.integration_health_status s on s.org_id = c.org_id and s.integration_type = c.integration_type
      where c.org_id = request.org_id and c.enabled));
end $$;

comment on function bilag.health_check_status(uuid) is
  'What came of a requested check: {checkId, orgId, status: queued|running|done, requestedAt, finishedAt, integrations: [{integrationType, status, latencyMs, checkedAt, error}]}. For members.';
