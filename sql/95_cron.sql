-- pg_cron ticks; only this room names `cron`. Where the server has no pg_cron in this database, the workers tick.
-- cron.schedule updates a job of the same name and user, so this may run at every deploy.

do $$
begin
  if exists (select from pg_namespace n where n.nspname = 'cron' and has_schema_privilege(n.oid, 'usage')) then
    execute $cron$ select cron.schedule('bilag-tick', '* * * * *', 'select bilag_internal.tick()') $cron$;
  end if;
end $$;

create or replace function bilag_internal.cron_is_here() returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select to_regclass('cron.job') is not null $$;

comment on function bilag_internal.cron_is_here() is 'Whether pg_cron is to tick in this database. Where it is not, workers do, and nothing is wrong.';
