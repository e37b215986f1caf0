-- The accounting systems that there are: adapters announce their types, with the settings that each takes, and what is written into
-- an integration's settings is checked against what was announced.

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
