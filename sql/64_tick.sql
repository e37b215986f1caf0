-- tick() is run every minute by pg_cron, and by workers when it has not been: it makes the runs that are due, rescues lost leases, sends again what lost its
-- hint, ends waits that lasted long enough, and beats its heart. Running it twice, or at once, changes nothing.

create or replace function bilag_internal.tick() returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set jit = off set enable_seqscan = off
as $$
declare
  moment timestamptz := bilag_internal.now();
  stuck uuid[];
  free uuid[];
  impatient uuid[];
  woken integer;
  made integer;
  checks integer;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('bilag.tick', 0)) then
    return jsonb_build_object('skipped', true);
  end if;
  perform bilag_internal.recognise_server();
  perform bilag_internal.maintain_a_little();  -- before any lane is held
  made := bilag_internal.make_due_runs();

  -- Lanes whose lease is lost, whose hint is lost, or that became due while they waited in the table.
  select array_agg(l.integration_id) into stuck
  from (
    select l.integration_id from bilag.export_lanes l
    where l.integration_id in (
        select x.integration_id from bilag.export_lanes x where x.lease_until <= moment
        union select x.integration_id from bilag.export_lanes x where x.due_at <= moment and x.msg_id is null and x.lease_until is null
        -- A run whose lane somebody held while it was made.
        union select r.integration_id from bilag.export_runs r join bilag.export_lanes x on x.integration_id = r.integration_id
          where r.finished_at is null and r.due_at <= moment and coalesce(x.due_at > moment, true) and x.run_id is null
        union select h from bilag_internal.lost_hints() h)
    order by l.integration_id for update skip locked
  ) as l;
  perform bilag_internal.rescue_items(array(
    select l.integration_id from bilag.export_lanes l where l.integration_id = any(stuck) and l.lease_until <= moment));
  update bilag.export_lanes l
  set msg_id = null,
    lease_token = case when l.lease_until > moment then l.lease_token end,
    lease_until = case when l.lease_until > moment then l.lease_until end
  where l.integration_id = any(stuck);

  -- Waits that lasted an hour, and cancellations whose worker died; on lanes that nobody holds, read again once they are ours.
  free := array(
    select l.integration_id from bilag.export_lanes l
    where l.lease_until is null and l.integration_id in (
      select r.integration_id from bilag.export_runs r
      where r.finished_at is null and (r.cancel_requested_at is not null
        or (r.status = 'waiting' and r.due_at = 'infinity' and r.waiting_since < moment - interval '1 hour')))
    order by l.integration_id for update skip locked);
  select array_agg(r.id) into impatient
  from bilag.export_runs r
  where r.integration_id = any(free) and r.finished_at is null and (r.cancel_requested_at is not null
    or (r.status = 'waiting' and r.due_at = 'infinity' and r.waiting_since < moment - interval '1 hour'
      and not bilag_internal.reversal_is_unsent(r)));
  perform bilag_internal.finish_runs(impatient, patience => false);

  woken := bilag_internal.wake_lanes(stuck || free);
  checks := bilag_internal.plan_health_checks();
  if woken + checks > 0 then
    perform pg_notify('bilag_wake', '');
  end if;
  -- Last, so that nobody who says hello waits for all of this.
  perform bilag_internal.audit_many('{}', patient => false);
  perform bilag_internal.watch();
  perform bilag_internal.beat_heart();
  return jsonb_build_object('made', made, 'woken', woken, 'checks', checks, 'ended', coalesce(cardinality(impatient), 0));
end $$;

comment on function bilag_internal.tick() is 'The heart: makes due runs, rescues leases, sends lost hints again, ends waits, plans health checks. Idempotent.';
