-- pg_cron ticks; only this room names `cron`. Where the server has no pg_cron in this database, the workers tick.
-- cron.schedule updates a job of the same name and user, so this may run at every deploy.

do $$
begin
  if exists (select from pg_namespace n where n.nspname = 'cron' and has_schema_privilege(n.oid, 'usage')) then
    execute $cron$ select cron.schedule('bilag-tick', '* * * * *', 'select bilag_internal.tick()') $cron$;
  end if;
end $$;
