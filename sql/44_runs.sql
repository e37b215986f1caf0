-- Runs: how one is asked for, by INSERT or by function. The cutoff is fixed when the run is made, in the organisation's zone.

create or replace function bilag_internal.require_period_end(period_end date) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
begin
  if period_end not between '1900-01-01' and '2200-01-01' then
    perform bilag_internal.complain('KB001', format('%s is no period_end.', period_end), 'Give a day between 1900 and 2200, or null for up to now.');
  end if;
end $$;

comment on function bilag_internal.require_period_end(date) is 'Raises KB001 for a day on which no period can end.';

create or replace function bilag_internal.prepare_run() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
  moment timestamptz := bilag_internal.now();
  zone text;
begin
  -- A stranger is told by the policy, which is asked after this, and not here, which systems an organisation has.
  if new.trigger = 'insert' and not bilag_internal.is_service() and new.org_id not in (select bilag_internal.my_finance_org_ids()) then
    return new;
  end if;
  perform bilag_internal.require_period_end(new.period_end);
  -- A client's missing value would otherwise be a key like any other, and its one run the answer for ever.
  if btrim(new.idempotency_key) = '' then
    perform bilag_internal.complain('KB001', 'The idempotency_key is empty.', 'Give each order a key of its own, as a uuid, or null for none.');
  end if;
  if length(new.idempotency_key) > 200 then
    perform bilag_internal.complain('KB001', format('The idempotency_key has %s characters; 200 is the most.', length(new.idempotency_key)), 'A uuid will do.');
  end if;
  select c.id, o.time_zone into new.integration_id, zone
  from bilag.integration_config c join bilag.organizations o on o.id = c.org_id
  where c.org_id = new.org_id and c.integration_type = new.integration_type;
  if not found then
    perform bilag_internal.integration_of(new.org_id, new.integration_type);  -- complains
  end if;
  new.status := 'queued';
  new.enqueued_at := moment;
  new.due_at := moment;
  -- Exclusive. Up to now includes what this very transaction approved.
  new.cutoff_at := coalesce((new.period_end + 1)::timestamp at time zone zone, moment + interval '1 microsecond');
  new.started_at := null;
  new.finished_at := null;
  new.error := null;
  new.correlation_id := null;
  new.item_count := 0;
  new.failures := 0;
  new.next_position := 1;
  new.requested_by := bilag_internal.caller();
  new.requested_as := session_user;
  if new.trigger = 'insert' then
    new.retry_of := null;
    new.scheduled_for := null;
    new.schedule_id := null;
  end if;
  return new;
end $$;

comment on function bilag_internal.prepare_run() is 'Completes an inserted run: integration, cutoff, times. Progress is never the inserter''s to say.';

-- Nobody but make_due_runs() can say schedule: the column is granted to no one. It completes its runs itself, thousands at once.
create trigger prepare_run before insert on bilag.export_runs
  for each row when (new.trigger <> 'schedule') execute function bilag_internal.prepare_run();

create or replace function bilag_internal.queue_runs() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
  -- The tick makes runs for many tenants and waits for none of them: it comes again.
  perform bilag_internal.wake_lanes(array(select distinct n.integration_id from new_runs n),
    patient => exists (select from new_runs n where n.trigger <> 'schedule'));
  perform pg_notify('bilag_wake', '');
  return null;
end $$;

comment on function bilag_internal.queue_runs() is 'Tells the workers of inserted runs: once per statement, since NOTIFY serialises commits.';

create trigger queue_runs after insert on bilag.export_runs
  referencing new table as new_runs for each statement execute function bilag_internal.queue_runs();

create or replace function bilag.request_export(
  org_id uuid, integration_type text, period_end date default null, idempotency_key text default null
) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  integration bilag.integration_config;
  run bilag.export_runs;
begin
  perform bilag_internal.require_finance(org_id);
  integration := bilag_internal.integration_of(org_id, integration_type);
  if not integration.enabled then
    perform bilag_internal.complain('KB004', format('The integration %s is disabled.', integration_type),
      'Set enabled to true in bilag.integration_config.');
  end if;
  -- The lane decides who is second, so that two callers with one key get one run.
  perform from bilag.export_lanes l where l.integration_id = integration.id for update;
  if idempotency_key is not null then
    select r.* into run from bilag.export_runs r
    where r.integration_id = integration.id and r.idempotency_key = request_export.idempotency_key;
    if found and run.period_end is distinct from request_export.period_end then
      perform bilag_internal.complain('KB005',
        format('The key %L was used for the period ending %s.', idempotency_key, coalesce(run.period_end::text, 'now')),
        'Use another key for another period.');
    end if;
  else
    select r.* into run from bilag.export_runs r
    where r.integration_id = integration.id and r.finished_at is null and r.status = 'queued'
      and r.trigger in ('request', 'insert') and r.idempotency_key is null
      and r.period_end is not distinct from request_export.period_end
    order by r.enqueued_at limit 1;
    -- The run that is returned must cover what is approved by now.
    if found and run.period_end is null and run.started_at is null then
      update bilag.export_runs r set cutoff_at = greatest(r.cutoff_at, bilag_internal.now() + interval '1 microsecond')
      where r.id = run.id;
    end if;
  end if;
  if run.id is null then
    insert into bilag.export_runs (org_id, integration_type, period_end, idempotency_key, trigger)
    values (request_export.org_id, request_export.integration_type, request_export.period_end, request_export.idempotency_key, 'request')
    returning * into run;
    perform bilag_internal.audit(run.org_id, 'run.requested', run.integration_type, run.id, null,
      jsonb_build_object('periodEnd', run.period_end, 'idempotencyKey', run.idempotency_key));
  end if;
  return run.id;
end $$;

comment on function bilag.request_export(uuid, text, date, text) is
  'Queues an export and returns its run. The same key returns the same run; without a key a request while one is queued returns that one.';
