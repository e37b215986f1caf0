-- Which hosts an integration may name. A URL in the settings decides where a credential is sent, and settings are an organisation's
-- to write: so only the hosts that the adapter announced are taken, and those that the installation's owner allowed. Plain http is
-- for stand-ins; whether it may be used at all is the worker's to say (BILAG_ALLOWED_HTTP_HOSTS), for the list is its machine's.

-- A URL with a user in it, a backslash or anything else that two readers could read differently is no URL here.
create or replace function bilag_internal.url_parts(url text) returns text[]
language sql immutable set search_path = pg_catalog, pg_temp
as $$
  select array[lower(m[1]), lower(m[2]), m[3]]
  from regexp_match(url, '^(https?)://(\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)(:[0-9]{1,5})?(?:[/?#][^\\]*)?$', 'i') as m
  where m is not null
$$;

comment on function bilag_internal.url_parts(text) is 'Scheme, host and port of a URL in lower case; null when it is none.';

create or replace function bilag_internal.urls(settings jsonb) returns table (setting text, url text)
language sql immutable set search_path = pg_catalog, pg_temp
as $$
  select s.key, s.value #>> '{}' from jsonb_each(settings) as s
  where jsonb_typeof(s.value) = 'string' and (s.key like '%\_url' or s.value #>> '{}' ~* '^\s*[a-z+.-]+://')
$$;

comment on function bilag_internal.urls(jsonb) is 'The settings that are URLs: by their name, or by how they begin.';

create or replace function bilag_internal.places(settings jsonb, schema jsonb) returns text[]
language sql immutable set search_path = pg_catalog, pg_temp
as $$
  with effective as (
    select coalesce(jsonb_object_agg(p.key, p.value -> 'default') filter (where p.value ? 'default'), '{}') || settings as settings
    from jsonb_each(coalesce(schema -> 'properties', '{}')) as p
  )
  select coalesce(array_agg(distinct p.place order by p.place), '{}')
  from effective e
  cross join lateral bilag_internal.urls(e.settings) as u
  cross join lateral (select array_to_string(bilag_internal.url_parts(u.url), '|', '') as place) as p
$$;

comment on function bilag_internal.places(jsonb, jsonb) is
  'Where the settings send, by their defaults too: scheme, host and port of each URL.';

create or replace function bilag_internal.host_fault(settings jsonb, hosts text[]) returns text
language sql immutable set search_path = pg_catalog, pg_temp
as $$
  select case
    when p.parts is null then format('The setting %I is not an http(s) URL that names a host and no user.', u.setting)
    else format('The setting %I names the host %s, which is not allowed; allowed are: %s.', u.setting, p.parts[2],
      coalesce(nullif(array_to_string(hosts, ', '), ''), 'none'))
  end
  from bilag_internal.urls(settings) as u
  cross join lateral (select bilag_internal.url_parts(u.url) as parts) as p
  where p.parts is null or (p.parts[1] = 'https' and p.parts[2] <> all(hosts))
  order by u.setting
  limit 1
$$;

comment on function bilag_internal.host_fault(jsonb, text[]) is 'One sentence on the first URL that may not be called, or null.';

create or replace function bilag_internal.host_name(host text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp
as $$
declare
  name text := lower(btrim(host));
begin
  if name is null or (bilag_internal.url_parts('https://' || name))[2] is distinct from name then
    perform bilag_internal.complain('KB001', format('%L is not a host.', left(host, 100)),
      'Give the name alone, without scheme, port or path: api.example.com.');
  end if;
  if name ~ '^(169\.254\.|\[fe[89ab]|\[::ffff:169\.254\.|metadata\.)' then
    perform bilag_internal.complain('KB003', format('%s is a link-local address or a metadata service and is never called.', name),
      'Allow the accounting system''s own host.');
  end if;
  return name;
end $$;

comment on function bilag_internal.host_name(text) is 'A host as it is compared, in lower case; KB001 or KB003 when it cannot be one.';

create or replace function bilag_internal.host_list_changed(integration_type text, action text, host text) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  select bilag_internal.audit(c.org_id, host_list_changed.action, c.integration_type, null, null, jsonb_build_object('host', host_list_changed.host))
  from bilag.integration_config c where c.integration_type = host_list_changed.integration_type
  order by c.org_id
$$;

comment on function bilag_internal.host_list_changed(text, text, text) is 'Tells it to every organisation that has such an integration.';

create or replace function bilag.allow_host(integration_type text, host text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  name text := bilag_internal.host_name(host);
begin
  update bilag.integration_types t
  set allowed_hosts = array(select distinct h from unnest(t.allowed_hosts || name) as h order by h)
  where t.integration_type = allow_host.integration_type;
  if not found then
    perform bilag_internal.complain('KB002', format('There is no integration type %L.', allow_host.integration_type),
      'select integration_type from bilag.integration_types;');
  end if;
  perform bilag_internal.host_list_changed(integration_type, 'host.allowed', name);
end $$;

comment on function bilag.allow_host(text, text) is
  'Lets integrations of a type name this host over https, one in a private network too. For service_role and the owner.';

create or replace function bilag.disallow_host(integration_type text, host text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  name text := bilag_internal.host_name(host);
begin
  update bilag.integration_types t set allowed_hosts = array_remove(t.allowed_hosts, name)
  where t.integration_type = disallow_host.integration_type and name = any(t.allowed_hosts);
  if not found then
    perform bilag_internal.complain('KB002', format('The host %s was not allowed for %L.', name, disallow_host.integration_type),
      'select integration_type, hosts, allowed_hosts from bilag.integration_types;');
  end if;
  perform bilag_internal.host_list_changed(integration_type, 'host.disallowed', name);
end $$;

comment on function bilag.disallow_host(text, text) is
  'Takes allow_host back. Integrations that name the host stop at their next call, before anything is sent.';
