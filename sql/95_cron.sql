-- pg_cron ticks each minute and sweeps each night; only this room names `cron`. Where the server has no pg_cron in this database, the
-- workers tick, and the ticks sweep. cron.schedule updates a job of the same name and user, so this may run at every deploy; it does
-- not put an inactive job to work again, and a DBA who switched one off meant it. What 1.4 and 1.6 share, as dynamic
-- SQL, for a server may have neither.

create or replace function bilag_internal.schedule_jobs() returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (select from pg_namespace n where n.nspname = 'cron' and has_schema_privilege(n.oid, 'usage')) then
    execute format($cron$ select cron.schedule('bilag-tick', '* * * * *', 'select bilag_internal.tick()') $cron$);
    execute format($cron$ select cron.schedule('bilag-maintenance', '23 1 * * *', 'select bilag_internal.maintain()') $cron$);
  end if;
end $$;

comment on function bilag_internal.schedule_jobs() is 'Schedules Bilag''s jobs in pg_cron where there is one. Called by migrate, and again when pg_cron has overlooked them.';

do $$ begin perform bilag_internal.schedule_jobs(); end $$;

create or replace function bilag_internal.cron_is_here() returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select to_regclass('cron.job') is not null $$;

comment on function bilag_internal.cron_is_here() is 'Whether pg_cron is to tick in this database. Where it is not, workers do, and nothing is wrong.';

create or replace function bilag_internal.cron_jobs() returns table (jobid bigint, jobname text, username text)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (select from pg_namespace n where n.nspname = 'cron' and has_schema_privilege(n.oid, 'usage')) then
    return query execute format($cron$
      select j.jobid, j.jobname::text, j.username::text from %I.job j
      where j.database = current_database() and j.jobname in ('bilag-tick', 'bilag-maintenance') order by j.jobname $cron$, 'cron');
  end if;
end $$;

comment on function bilag_internal.cron_jobs() is 'Bilag''s jobs in pg_cron, as far as the owner may see them; none where there is no pg_cron.';

create or replace function bilag_internal.unschedule() returns setof text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  job record;
begin
  for job in select j.* from bilag_internal.cron_jobs() j loop
    execute format('select %I.unschedule($1)', 'cron') using job.jobid;
    return next job.jobname;
  end loop;
end $$;

comment on function bilag_internal.unschedule() is 'Takes Bilag''s jobs out of pg_cron and returns their names; the next bilag migrate schedules them again.';

create or replace function bilag_internal.sweep_cron_history(before timestamptz, batch integer) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  swept bigint;
begin
  if not exists (
    select from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'cron' and c.relname = 'job_run_details' and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select, delete')
  ) then
    return 0;
  end if;
  -- Only what our jobs left, also under a number that they had before. One that never ended has no end.
  execute format($cron$
    delete from %1$I.job_run_details d where d.runid = any(array(
      select x.runid from %1$I.job_run_details x
      where x.database = current_database() and x.command in ('select bilag_internal.tick()', 'select bilag_internal.maintain()')
        and coalesce(x.end_time, x.start_time) < $1
      order by x.runid limit $2)) $cron$, 'cron') using before, batch;
  get diagnostics swept = row_count;
  return swept;
end $$;

comment on function bilag_internal.sweep_cron_history(timestamptz, integer) is
  'Deletes old history of Bilag''s own jobs; pg_cron keeps it for ever. Another application''s is not touched.';
