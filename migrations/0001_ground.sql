-- The ground: three schemas, the roles that Supabase gives and we lean on, and `auth`, which tells who is calling.
--
-- On Supabase the roles and `auth` are there and belong to others, so everything here is made only where it is missing.
-- On a plain server it is made as Supabase makes it, so that PostgREST, tests and policies need not know the difference.
--
-- No default privileges are set: for functions, `alter default privileges in schema` can give but not take what PUBLIC has
-- everywhere, and without `in schema` it would change what the application's own functions are born with. So migrate takes
-- EXECUTE from PUBLIC as it makes each of our functions, and 99_grants.sql gives by name.

do $$
begin
  -- As catalogue look-ups, not `if not exists`: that one asks for CREATE on the database even if there is nothing to make.
  if to_regnamespace('bilag') is null then
    create schema bilag;
  end if;
  if to_regnamespace('bilag_internal') is null then
    create schema bilag_internal;
  end if;
  if to_regnamespace('bilag_hooks') is null then
    create schema bilag_hooks;
  end if;
end $$;

comment on schema bilag is 'Approved expense claims on their way to the accounting system: tables, views and the functions people call.';
comment on schema bilag_internal is 'The machinery behind bilag. The worker may execute its functions; nobody else may look in.';
comment on schema bilag_hooks is 'What an application replaces with its own. Made once, never overwritten by bilag migrate.';

-- Roles belong to the whole server: two databases may be migrated at the same moment, and the second finds them made.
do $$
declare
  missing text;
begin
  foreach missing in array array['anon', 'authenticated', 'bilag_worker', 'bilag_observer'] loop
    if not exists (select from pg_roles where rolname = missing) then
      begin
        execute format('create role %I nologin noinherit', missing);
      exception when duplicate_object or unique_violation then
        null;
      end;
    end if;
  end loop;
end $$;

do $$
begin
  if not exists (select from pg_roles where rolname = 'service_role') then
    begin
      -- Only a role that passes by row security itself may make another one that does. Without it service_role still has every
      -- function that it is granted, and its policies.
      if (select rolsuper or (rolbypassrls and current_setting('server_version_num')::int >= 160000)
          from pg_roles where rolname = current_user) then
        create role service_role nologin noinherit bypassrls;
      else
        create role service_role nologin noinherit;
      end if;
    exception when duplicate_object or unique_violation then
      null;
    end;
  end if;
end $$;

-- The worker may log in as the role that migrates, and then takes the role bilag_worker; a superuser may do that anyhow. From
-- 16 on, whoever made a role is a member of it without being able to take it.
do $$
declare
  taking text := case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end;
begin
  if not pg_has_role(current_user, 'bilag_worker', taking) then
    execute format('grant bilag_worker to %I', current_user);
  end if;
end $$;

do $$
declare
  present text[] := array(
    select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'auth' and p.pronargs = 0);
begin
  if to_regnamespace('auth') is null then
    create schema auth;
    grant usage on schema auth to anon, authenticated, service_role;
    comment on schema auth is 'Who is calling, read from the JWT that PostgREST checked. A stand-in for Supabase''s.';
  end if;

  if not 'jwt' = any (present) then
    create function auth.jwt() returns jsonb
    language sql stable
    as $body$
      select coalesce(nullif(current_setting('request.jwt.claim', true), ''),
                      nullif(current_setting('request.jwt.claims', true), ''))::jsonb
    $body$;
    comment on function auth.jwt() is 'All claims of the caller''s JWT, or null.';
  end if;

  if not 'uid' = any (present) then
    create function auth.uid() returns uuid
    language sql stable
    as $body$
      select coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''),
                      nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid
    $body$;
    comment on function auth.uid() is 'The id of the person behind the request, or null.';
  end if;

  if not 'role' = any (present) then
    create function auth.role() returns text
    language sql stable
    as $body$
      select coalesce(nullif(current_setting('request.jwt.claim.role', true), ''),
                      nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role')
    $body$;
    comment on function auth.role() is 'The role that the caller''s JWT asks for, or null.';
  end if;
end $$;
