-- Integrations: adapters announce their types, settings are checked against what was announced, each integration gets its lane,
-- and its id and organisation never change.

create or replace function bilag_internal.announce_type(announcement jsonb) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  insert into bilag.integration_types as t (
    integration_type, display_name, settings_schema, vouchers_per_batch, lines_per_batch, parallel_calls, finds,
    confirms_later, needs_credential, foreign_currency, own_currency_when, makes_file, absence_after, hosts, identity_settings)
  select a."integrationType", a."displayName", a."settingsSchema", a."vouchersPerBatch", a."linesPerBatch", a."parallelCalls",
    a."finds", a."confirmsLater", a."needsCredential", a."foreignCurrency", coalesce(a."ownCurrencyWhen", '{}'),
    a."makesFile",
    make_interval(secs => a."absenceAfterSeconds"), coalesce(a."hosts", '{}'), coalesce(a."identitySettings", '{}')
  from jsonb_to_record(announcement) as a (
    "integrationType" text, "displayName" text, "settingsSchema" jsonb, "vouchersPerBatch" integer, "linesPerBatch" integer,
    "parallelCalls" integer, "finds" boolean, "confirmsLater" boolean, "needsCredential" boolean, "foreignCurrency" boolean,
    "ownCurrencyWhen" jsonb, "makesFile" boolean, "absenceAfterSeconds" double precision, "hosts" text[], "identitySettings" text[])
  on conflict (integration_type) do update set
    display_name = excluded.display_name, settings_schema = excluded.settings_schema,
    vouchers_per_batch = excluded.vouchers_per_batch, lines_per_batch = excluded.lines_per_batch,
    parallel_calls = excluded.parallel_calls, finds = excluded.finds, confirms_later = excluded.confirms_later,
    needs_credential = excluded.needs_credential, foreign_currency = excluded.foreign_currency,
    own_currency_when = excluded.own_currency_when,
    makes_file = excluded.makes_file, absence_after = excluded.absence_after, hosts = excluded.hosts,
    identity_settings = excluded.identity_settings, announced_at = now()
  where (t.display_name, t.settings_schema, t.vouchers_per_batch, t.lines_per_batch, t.parallel_calls, t.finds, t.confirms_later,
      t.needs_credential, t.foreign_currency, t.own_currency_when, t.makes_file, t.absence_after, t.hosts, t.identity_settings)
    is distinct from (excluded.display_name, excluded.settings_schema, excluded.vouchers_per_batch, excluded.lines_per_batch,
      excluded.parallel_calls, excluded.finds, excluded.confirms_later, excluded.needs_credential, excluded.foreign_currency,
      excluded.own_currency_when, excluded.makes_file, excluded.absence_after, excluded.hosts, excluded.identity_settings)
$$;

comment on function bilag_internal.announce_type(jsonb) is 'An adapter introduces itself; called by bilag migrate for each adapter.';

-- What is wrong with the settings, as one sentence that names the field; null when nothing is. The schema is the flat subset
-- that adapters announce: properties with type, enum, pattern, minLength, maxLength, minimum, maximum; required;
-- additionalProperties false.
create or replace function bilag_internal.settings_fault(settings jsonb, schema jsonb) returns text
language sql immutable set search_path = pg_catalog, pg_temp
as $$
  select fault from (
    select 1 as rank, r.field, format('The setting %I is missing.', r.field) as fault
    from jsonb_array_elements_text(coalesce(schema -> 'required', '[]')) as r (field)
    where not settings ? r.field and r.field <> 'integration_type'
    union all
    select 2, s.key, format('There is no setting %I; there are: %s.', s.key,
      (select string_agg(k, ', ' order by k) from jsonb_object_keys(coalesce(schema -> 'properties', '{}')) as k
       where k <> 'integration_type'))
    from jsonb_each(settings) as s
    where not coalesce(schema -> 'properties', '{}') ? s.key
    union all
    select 3, s.key, case
        when p.def ? 'type' and not p.def -> 'type' @> to_jsonb(p.kind)
            and not (p.kind = 'integer' and p.def -> 'type' @> '"number"')
          then format('The setting %I must be of type %s.', s.key,
            coalesce(p.def ->> 'type', ''))
        when p.def ? 'enum' and not p.def -> 'enum' @> s.value
          then format('The setting %I must be one of %s.', s.key, p.def ->> 'enum')
        when p.def ? 'pattern' and p.kind = 'string' and (s.value #>> '{}') !~ (p.def ->> 'pattern')
          then format('The setting %I does not have the form %s.', s.key, p.def ->> 'pattern')
        when p.def ? 'minLength' and p.kind = 'string' and length(s.value #>> '{}') < (p.def ->> 'minLength')::integer
          then format('The setting %I must have at least %s %s.', s.key, p.def ->> 'minLength',
            case when p.def ->> 'minLength' = '1' then 'character' else 'characters' end)
        when p.def ? 'maxLength' and p.kind = 'string' and length(s.value #>> '{}') > (p.def ->> 'maxLength')::integer
          then format('The setting %I must have at most %s characters.', s.key, p.def ->> 'maxLength')
        when p.def ? 'minimum' and p.kind in ('integer', 'number') and (s.value #>> '{}')::numeric < (p.def ->> 'minimum')::numeric
          then format('The setting %I must be at least %s.', s.key, p.def ->> 'minimum')
        when p.def ? 'maximum' and p.kind in ('integer', 'number') and (s.value #>> '{}')::numeric > (p.def ->> 'maximum')::numeric
          then format('The setting %I must be at most %s.', s.key, p.def ->> 'maximum')
      end
    from jsonb_each(settings) as s
    cross join lateral (
      select schema -> 'properties' -> s.key as def,
        case jsonb_typeof(s.value)
          when 'number' then case when (s.value #>> '{}')::numeric % 1 = 0 then 'integer' else 'number' end
          else jsonb_typeof(s.value)
        end as kind
    ) as p
    where p.def is not null
  ) as faults
  where fault is not null
  order by rank, field
  limit 1
$$;

comment on function bilag_internal.settings_fault(jsonb, jsonb) is
  'One sentence on the first setting that does not fit the announced schema, or null.';

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
  fault := bilag_internal.settings_fault(new.settings, kind.settings_schema);
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
      format('Organisation %s has no integration of type %L.', integration_of.org_id, integration_of.integration_type),
      'Insert one into bilag.integration_config.');
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
