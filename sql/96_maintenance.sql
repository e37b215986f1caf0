-- Nothing grows without bound. Each night maintain() deletes what bilag.retention says is too old: in batches, for a few seconds; what is
-- not done by then goes on with the ticks, a moment each, so that no transaction is long and no lock is held for long. It waits for
-- nobody: rows that somebody holds are passed by, a table that somebody has locked is left for the next tick. Where pg_cron does not
-- start it, the first tick of a day does.
--
-- Claims that are booked leave the index of candidates by a flag, so there is no watermark, and no nightly sweep behind one.

create or replace function bilag_internal.sweep(subject text, before timestamptz, batch integer) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  swept bigint;
begin
  case subject
    when 'integration_run_logs' then
      delete from bilag.integration_run_logs g where g.id = any(array(
        select x.id from bilag.integration_run_logs x where x."timestamp" < before limit batch for update skip locked));
    when 'alerts' then
      delete from bilag.alerts a where a.id = any(array(
        select x.id from bilag.alerts x where x.resolved_at < before limit batch for update skip locked));
    when 'worker_heartbeats' then
      delete from bilag.worker_heartbeats w where w.worker_id = any(array(
        select x.worker_id from bilag.worker_heartbeats x where x.last_seen_at < before limit batch for update skip locked));
    when 'empty_runs' then
      delete from bilag.export_runs r where r.id = any(array(
        select x.id from bilag.export_runs x
        where x.trigger = 'schedule' and x.status = 'succeeded' and x.item_count = 0 and x.finished_at < before
          and not exists (select from bilag.export_runs y where y.retry_of = x.id)
          and not exists (select from bilag.export_files f where f.run_id = x.id)
          and not exists (select from bilag.export_lanes l where l.run_id = x.id)
        limit batch for update skip locked));
    when 'dead_letters' then
      return bilag_internal.sweep_dead_letters(before, batch);
    when 'dead_letter_archive' then
      return bilag_internal.sweep_dead_letter_archive(before, batch);
    when 'webhook_events' then
      delete from bilag.webhook_deliveries d where d.event_id = any(array(
        select x.event_id from bilag.webhook_deliveries x
        where x.taken_at < before and coalesce(x.lease_until < bilag_internal.now(), true) limit batch for update skip locked));
      get diagnostics swept = row_count;
      return swept + bilag_internal.sweep_webhooks(before, batch - swept::integer);
    when 'cron_history' then
      return bilag_internal.sweep_cron_history(before, batch);
  end case;
  get diagnostics swept = row_count;
  return swept;
end $$;

comment on function bilag_internal.sweep(text, timestamptz, integer) is
  'Deletes up to a batch of one subject that is older; fewer than a batch says that there is no more. What is kept is one branch here and one row in bilag.retention.';

create or replace function bilag_internal.sweep_subject(rule bilag.retention, until timestamptz, batch integer) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  swept bigint;
  total bigint := 0;
begin
  loop
    swept := bilag_internal.sweep(rule.subject, bilag_internal.now() - make_interval(days => rule.keep_days), batch);
    total := total + swept;
    exit when swept < batch or clock_timestamp() >= until;
  end loop;
  update bilag.retention r
  set sweeping = swept >= batch, swept_at = bilag_internal.now(), deleted = rule.deleted + total, error = null
  where r.subject = rule.subject;
  if rule.error is not null then
    perform bilag_internal.resolve_alert('maintenance_failed', rule.subject, 'it was swept');
  end if;
  return swept < batch;
exception
  -- The one place with `when others`: one table's trouble, whatever it is, must not keep the others from being swept. It is told.
  when others then
    update bilag.retention r
    set swept_at = bilag_internal.now(), error = sqlerrm, sweeping = sqlstate = '55P03'  -- locked by somebody: the next tick tries again
    where r.subject = rule.subject;
    if sqlstate <> '55P03' then
      perform bilag_internal.raise_alert('maintenance_failed', rule.subject, null, null, format('Old rows of %s were not deleted: %s', rule.subject, sqlerrm));
    end if;
    return false;
end $$;

comment on function bilag_internal.sweep_subject(bilag.retention, timestamptz, integer) is
  'Sweeps one subject until it is done or the time is up, and writes down how it went. True: done.';

create or replace function bilag_internal.maintain(seconds double precision default 10, go_on boolean default false, batch integer default 2000) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set lock_timeout = '200ms' set jit = off
as $$
declare
  until timestamptz := clock_timestamp() + make_interval(secs => seconds);
  rule bilag.retention;
  subjects integer := 0;
  left_over text[] := array[]::text[];
begin
  if not pg_try_advisory_xact_lock(hashtextextended('bilag.maintain', 0)) then
    return jsonb_build_object('skipped', true);
  end if;
  for rule in
    select r.* from bilag.retention r
    where r.keep_days is not null and (r.sweeping or not go_on)
    order by r.swept_at nulls first, r.subject for update skip locked
  loop
    subjects := subjects + 1;
    if not go_on then
      rule.deleted := 0;
    end if;
    if not bilag_internal.sweep_subject(rule, until, batch) then
      left_over := left_over || rule.subject;
    end if;
  end loop;
  return jsonb_build_object('swept', subjects, 'leftOver', left_over);
end $$;

comment on function bilag_internal.maintain(double precision, boolean, integer) is
  'Deletes what is older than bilag.retention says. Returns {swept, leftOver}; the ticks go on with what is left over.';

create or replace function bilag_internal.maintain_a_little() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  last timestamptz;
  unfinished boolean;
begin
  select max(r.swept_at), bool_or(r.sweeping) into last, unfinished from bilag.retention r where r.keep_days is not null;
  if unfinished then
    perform bilag_internal.maintain(0.2, go_on => true);
  elsif last is null or last < bilag_internal.now() - interval '25 hours' then
    perform bilag_internal.maintain(0.2);
  end if;
end $$;

comment on function bilag_internal.maintain_a_little() is
  'What a tick does: goes on with an unfinished sweep; begins one if none began for more than a day, for then pg_cron does not.';
