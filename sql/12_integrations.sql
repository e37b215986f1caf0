-- Integrations: their settings fit what was announced, each gets its lane, and what they are never changes: their id, their organisation,
-- nor, while anything is under way, which ledger they reach.

create or replace function bilag_internal.check_integration() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
  kind bilag.integration_types;
  fault text;
begin
  select * into kind from bilag.integration_types t where t.integration_type = new.integration_type;
  if not found then
    perform bilag_internal.complain('KB002', format('There is no integration type %L.', new.integration_type),
      'select integration_type from bilag.integration_types;');
  end if;
  fault := case when jsonb_typeof(new.settings) = 'object' then bilag_internal.settings_fault(new.settings, kind.settings_schema)
    else 'The settings are not a JSON object.' end;
  if fault is not null then
    perform bilag_internal.complain('KB007', fault, 'select jsonb_pretty(settings_schema) from bilag.integration_types;');
  end if;
  if tg_op = 'INSERT' or new.settings is distinct from old.settings then
    fault := bilag_internal.host_fault(new.settings, kind.hosts || kind.allowed_hosts);
    if fault is not null then
      perform bilag_internal.complain('KB007', fault,
        format('Correct the URL; or, for another host of the system: select bilag.allow_host(%L, …), as service_role or owner.', new.integration_type));
    end if;
  end if;
  if tg_op = 'INSERT' then
    new.created_at := bilag_internal.now();
    if new.export_from = now() then  -- the column's default: say it by the settable clock
      new.export_from := bilag_internal.now();
    end if;
  else
    if (new.id, new.org_id, new.integration_type) is distinct from (old.id, old.org_id, old.integration_type) then
      perform bilag_internal.complain('KB006', 'An integration keeps its id, organisation and type for ever.',
        'Disable it and make another.');
    end if;
    if exists (
      select from unnest(kind.identity_settings) as k
      where new.settings -> k is distinct from old.settings -> k
    ) then
      -- A worker that marks right now reads the old settings: wait for its mark, or let it wait for this change.
      perform from bilag.export_lanes l where l.integration_id = new.id for update;
    end if;
    if exists (
      select from unnest(kind.identity_settings) as k
      where new.settings -> k is distinct from old.settings -> k
    ) and exists (
      select from bilag.export_items i
      where i.integration_id = new.id and i.holds and (i.state in ('sending', 'accepted', 'in_doubt')
        or i.verifying is not null or (i.reverses is not null and i.state = 'pending'))
    ) then
      perform bilag_internal.complain('KB004',
        'Vouchers are still under way to the ledger that these settings name, so they cannot change now.',
        'Wait until bilag.overview shows nothing sending, accepted or in doubt.');
    end if;
    -- A credential is for the host that it was given for: another one must not be sent it.
    if bilag_internal.places(new.settings, kind.settings_schema) is distinct from bilag_internal.places(old.settings, kind.settings_schema)
      and bilag_internal.discard_credential(new.id) then
      new.credential_version := new.credential_version + 1;
      new.credential_expires_at := null;
    end if;
  end if;
  new.updated_at := bilag_internal.now();
  return new;
end $$;

comment on function bilag_internal.check_integration() is 'Settings fit the announced schema; identity is kept while anything is unsettled.';

create trigger check_integration before insert or update on bilag.integration_config
  for each row execute function bilag_internal.check_integration();

create or replace function bilag_internal.open_lane() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
  insert into bilag.export_lanes (integration_id, org_id, integration_type)
  values (new.id, new.org_id, new.integration_type);
  return null;
end $$;

comment on function bilag_internal.open_lane() is 'Gives a new integration its lane.';

create trigger open_lane after insert on bilag.integration_config
  for each row execute function bilag_internal.open_lane();

create or replace function bilag_internal.integration_changed() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
  perform bilag_internal.wake_lanes(array[new.id]);
  return null;
end $$;

comment on function bilag_internal.integration_changed() is 'Enabling, pausing and resuming change when the lane has work.';

create trigger integration_changed after update of enabled, paused_at, paused_until on bilag.integration_config
  for each row when (
    (old.enabled, old.paused_at, old.paused_until) is distinct from (new.enabled, new.paused_at, new.paused_until))
  execute function bilag_internal.integration_changed();

create or replace function bilag_internal.integration_of(org_id uuid, integration_type text) returns bilag.integration_config
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
  found_one bilag.integration_config;
begin
  select c.* into found_one from bilag.integration_config c
  where c.org_id = integration_of.org_id and c.integration_type = integration_of.integration_type;
  if not found then
    perform bilag_internal.complain('KB002',
      format('Organisation %s has no integration of type %L.', coalesce(integration_of.org_id::text, 'null'), integration_of.integration_type),
      'select integration_type from bilag.integration_config; a new one is inserted there.');
  end if;
  return found_one;
end $$;

comment on function bilag_internal.integration_of(uuid, text) is 'The integration named by organisation and type; KB002 when there is none.';

create or replace function bilag_internal.lock_lane(org_id uuid, integration_type text) returns bilag.integration_config
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  integration bilag.integration_config := bilag_internal.integration_of(org_id, integration_type);
begin
  perform from bilag.export_lanes l where l.integration_id = integration.id for update;
  return integration;
end $$;

comment on function bilag_internal.lock_lane(uuid, text) is 'The integration, its lane locked: the first lock of every verb. KB002 when there is none.';
