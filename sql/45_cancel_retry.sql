-- What the client of a run may do with it once it is made: end it, or have it tried again. Both take the lane before the run, as every
-- verb that moves one.

create or replace function bilag_internal.run_of(run_id uuid) returns bilag.export_runs
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
  run bilag.export_runs;
begin
  select r.* into run from bilag.export_runs r where r.id = run_of.run_id;
  if not found or not bilag_internal.concerns_caller(run.org_id) then
    perform bilag_internal.complain('KB002', format('There is no run %s.', coalesce(run_of.run_id::text, 'null')),
      'select id, status from bilag.export_runs;');
  end if;
  return run;
end $$;

comment on function bilag_internal.run_of(uuid) is 'The run, or KB002; for a stranger, too, whether or not it exists.';

create or replace function bilag.cancel_export(run_id uuid, note text default null) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  run bilag.export_runs;
  reconciliation bilag.reconciliations := bilag_internal.reconciliation_of(run_id);
  lane bilag.export_lanes;
begin
  if reconciliation.id is not null then
    return bilag_internal.cancel_reconciliation(reconciliation);
  end if;
  run := bilag_internal.run_of(run_id);
  perform bilag_internal.require_finance(run.org_id);
  select l.* into lane from bilag.export_lanes l where l.integration_id = run.integration_id for update;
  select r.* into run from bilag.export_runs r where r.id = run.id for update;
  if run.finished_at is not null then
    return run.status;
  end if;
  update bilag.export_runs r set cancel_requested_at = coalesce(r.cancel_requested_at, bilag_internal.now()),
    note = coalesce(cancel_export.note, r.note) where r.id = run.id;
  perform bilag_internal.audit(run.org_id, 'run.cancel_requested', run.integration_type, run.id, note);
  if lane.run_id is distinct from run.id or lane.lease_until is null or lane.lease_until <= bilag_internal.now() then
    if lane.run_id = run.id then
      perform bilag_internal.rescue_items(array[run.integration_id]);
    end if;
    perform bilag_internal.finish_runs(array[run.id]);
    perform bilag_internal.wake_lanes(array[run.integration_id]);
    return 'cancelled';
  end if;
  return 'cancelling';
end $$;

comment on function bilag.cancel_export(uuid, text) is
  'Ends a run: at once when no worker holds it (cancelled), else after the batch in flight (cancelling). What is booked stays booked.';

create or replace function bilag.retry_export(run_id uuid) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  run bilag.export_runs := bilag_internal.run_of(run_id);
  again uuid;
begin
  perform bilag_internal.require_finance(run.org_id);
  perform from bilag.export_lanes l where l.integration_id = run.integration_id for update;
  select r.* into run from bilag.export_runs r where r.id = run.id for update;
  if run.status = 'waiting' and run.due_at < 'infinity' then
    update bilag.export_runs r set due_at = bilag_internal.now() where r.id = run.id;
    update bilag.export_lanes l set circuit_open_until = null, quiet_until = null where l.integration_id = run.integration_id;
    perform bilag_internal.wake_lanes(array[run.integration_id]);
    perform pg_notify('bilag_wake', '');
    perform bilag_internal.audit(run.org_id, 'run.retried', run.integration_type, run.id);
    return run.id;
  end if;
  if run.status not in ('failed', 'partially_succeeded', 'cancelled') then
    perform bilag_internal.complain('KB004', format('The run is %s; there is nothing to retry.', run.status),
      'select bilag.export_status(run_id);');
  end if;
  if run.trigger = 'reversal' then
    return bilag_internal.retry_reversal(run);
  end if;
  -- A second click gets the retry that the first one made.
  select r.id into again from bilag.export_runs r where r.retry_of = run.id and r.finished_at is null limit 1;
  if again is null then
    insert into bilag.export_runs (org_id, integration_type, period_start, period_end, trigger, retry_of)
    values (run.org_id, run.integration_type, run.period_start, run.period_end, 'retry', run.id)
    returning id into again;
    perform bilag_internal.audit(run.org_id, 'run.retried', run.integration_type, run.id, null, jsonb_build_object('retryRun', again));
  end if;
  return again;
end $$;

comment on function bilag.retry_export(uuid) is
  'A waiting run becomes due now; a failed, partial or cancelled one gets a new run with retry_of, for what is not booked.';
