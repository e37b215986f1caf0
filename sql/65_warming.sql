-- Workers make themselves ready for what is due within the minute: connections are open and access tokens fetched when a scheduled run
-- begins. The watch tells them that a slot is near; here is whom they may get ready for.

-- A tick comes each minute, and slots are at whole minutes: what is due before the next tick, and a little more.
create or replace function bilag_internal.slot_is_near(slot timestamptz) returns boolean
language sql stable
as $$ select slot > bilag_internal.now() and slot <= bilag_internal.now() + interval '75 seconds' $$;

comment on function bilag_internal.slot_is_near(timestamptz) is 'Whether a scheduled run is so near that workers make themselves ready for it.';

create or replace function bilag_internal.due_soon(worker_id uuid) returns setof jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
  perform bilag_internal.require_worker(worker_id);
  if (select i.paused_at is not null from bilag.installation i) then
    return;
  end if;
  return query
    select jsonb_build_object('lane', c.id, 'orgId', c.org_id, 'integrationType', c.integration_type, 'settings', c.settings,
      'allowedHosts', t.allowed_hosts, 'place', bilag_internal.places(c.settings, t.settings_schema), 'correlationId', gen_random_uuid())
    from bilag.integration_types t
    -- What one worker could make ready in the time that is left, of each system.
    cross join lateral (
      select x.id, min(s.next_run_at) as first
      from bilag.export_schedules s
      join bilag.integration_config x on x.org_id = s.org_id and x.integration_type = s.integration_type
      where s.integration_type = t.integration_type and s.enabled and x.enabled and x.paused_at is null and bilag_internal.slot_is_near(s.next_run_at)
      group by x.id order by first, x.id limit 50
    ) as n
    join bilag.integration_config c on c.id = n.id
    order by n.first, c.id;
end $$;

comment on function bilag_internal.due_soon(uuid) is
  'The integrations that a scheduled run will call soon, of each system the first 50: workers open connections, and fetch access tokens.';

create or replace function bilag_internal.makes_ready(integration_id uuid, worker_id uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select exists (
    select from bilag.integration_config c
    join bilag.export_schedules s on s.org_id = c.org_id and s.integration_type = c.integration_type
    cross join bilag.installation i
    join bilag.worker_heartbeats w on w.environment = i.environment and w.contract = i.contract
    where c.id = makes_ready.integration_id and c.enabled and c.paused_at is null and i.paused_at is null
      and s.enabled and bilag_internal.slot_is_near(s.next_run_at) and w.worker_id = makes_ready.worker_id)
$$;

comment on function bilag_internal.makes_ready(uuid, uuid) is
  'Whether this worker, which has said hello, may make itself ready for the integration: a scheduled run will call it within the minute.';
