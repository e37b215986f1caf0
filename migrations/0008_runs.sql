-- A run is one export job: the id a client polls. A lane is one per integration: the row that every verb locks first,
-- and the truth of which a queue message is only a hint.
-- Lock order of every verb that moves a run: lane, run, items, organisation.

create table bilag.export_runs (
  id                   uuid primary key default gen_random_uuid(),
  org_id               uuid not null,
  integration_type     text not null,
  integration_id       uuid not null references bilag.integration_config on delete restrict,
  trigger              text not null default 'insert',
  retry_of             uuid references bilag.export_runs on delete restrict,
  idempotency_key      text,
  schedule_id          uuid references bilag.export_schedules on delete set null,
  scheduled_for        timestamptz,
  period_start         date,
  period_end           date,
  cutoff_at            timestamptz not null,
  status               text not null default 'queued',
  due_at               timestamptz not null,
  enqueued_at          timestamptz not null,
  started_at           timestamptz,
  finished_at          timestamptz,
  waiting_since        timestamptz,
  waiting_reason_code  text,
  cancel_requested_at  timestamptz,
  failures             integer not null default 0,
  item_count           integer not null default 0,
  next_position        integer not null default 1,
  taken_at             timestamptz not null default '-infinity',
  taken_claim          uuid not null default '00000000-0000-0000-0000-000000000000',
  took_all             boolean not null default false,
  correlation_id       uuid,
  error                jsonb,
  requested_by         uuid,
  requested_as         text not null default session_user,
  note                 text,
  constraint run_belongs_to_an_integration
    foreign key (org_id, integration_type) references bilag.integration_config (org_id, integration_type) on delete restrict,
  constraint period_end_is_a_plausible_day check (period_end between '1900-01-01' and '2200-01-01'),
  constraint trigger_is_known check (trigger in ('insert', 'request', 'schedule', 'retry', 'reversal', 'reconciliation')),
  constraint status_is_known check (
    status in ('queued', 'running', 'waiting', 'succeeded', 'partially_succeeded', 'failed', 'cancelled')),
  constraint only_an_ended_run_has_finished check (
    (finished_at is not null) = (status in ('succeeded', 'partially_succeeded', 'failed', 'cancelled'))),
  constraint a_waiting_run_says_why check (status <> 'waiting' or (waiting_since is not null and waiting_reason_code is not null)),
  constraint error_has_the_seven_keys check (
    error is null or (
      error ?& array['correlationId', 'errorClass', 'httpStatus', 'adapterName', 'attempt', 'message', 'isRetryable']
      and error - array['correlationId', 'errorClass', 'httpStatus', 'adapterName', 'attempt', 'message', 'isRetryable'] = '{}'
      and error ->> 'errorClass' in ('transient', 'permanent', 'timeout')))
) with (fillfactor = 80);

create unique index a_key_is_used_once_for_ever on bilag.export_runs (integration_id, idempotency_key)
  where idempotency_key is not null;
create unique index a_slot_runs_once on bilag.export_runs (integration_id, scheduled_for)
  where scheduled_for is not null;
create index unfinished_runs on bilag.export_runs (integration_id, due_at, id) where finished_at is null;
create index export_runs_of_an_integration on bilag.export_runs (org_id, integration_type, enqueued_at desc);
create index export_runs_by_retry on bilag.export_runs (retry_of) where retry_of is not null;
create index export_runs_by_schedule on bilag.export_runs (schedule_id) where schedule_id is not null;

alter table bilag.export_runs enable row level security;

comment on table bilag.export_runs is 'Export jobs. A plain INSERT of (org_id, integration_type[, period_end, idempotency_key]) queues one.';
comment on column bilag.export_runs.cutoff_at is 'Exclusive: claims approved before this moment belong to the run. Fixed when the run is made.';
comment on column bilag.export_runs.period_end is 'Inclusive, a day in the organisation''s zone; null means up to now.';
comment on column bilag.export_runs.scheduled_for is 'The slot of a scheduled run; unique per integration, so no period is exported twice.';
comment on column bilag.export_runs.due_at is 'When work on it may begin or go on; infinity while it waits for confirmations only.';
comment on column bilag.export_runs.taken_at is 'With taken_claim: claims are taken in pieces, in order of approval; this is the last one looked at.';
comment on column bilag.export_runs.took_all is 'Every claim before the cutoff has been looked at.';
comment on column bilag.export_runs.next_position is 'No pending item has a lower position: where the next batch starts looking.';

create table bilag.export_lanes (
  integration_id       uuid primary key references bilag.integration_config on delete restrict,
  org_id               uuid not null,
  integration_type     text not null,
  run_id               uuid references bilag.export_runs on delete restrict,
  due_at               timestamptz,
  msg_id               bigint,
  lease_token          uuid,
  lease_until          timestamptz,
  leased_at            timestamptz,
  leased_by            uuid,
  deliver_until        timestamptz,
  deliveries           integer not null default 0,
  in_flight            boolean not null default false,
  sending              integer not null default 0,
  voucher_number_last  bigint not null default 0,
  credential_version   integer,
  lease_seconds        integer not null default 60,
  delivery_seconds     integer not null default 150,
  failures             integer not null default 0,
  circuit_open_until   timestamptz,
  constraint a_lease_has_an_end check ((lease_token is null) = (lease_until is null))
) with (fillfactor = 50);

create index export_lanes_due on bilag.export_lanes (due_at) where due_at is not null;
create index export_lanes_by_run on bilag.export_lanes (run_id) where run_id is not null;

alter table bilag.export_lanes enable row level security;

comment on table bilag.export_lanes is 'One per integration: what runs, who holds the lease, when work is due. Every verb locks this row first.';
comment on column bilag.export_lanes.due_at is 'Earliest moment at which there is something to do; null: nothing.';
comment on column bilag.export_lanes.msg_id is 'The hint that was sent for it, if any. Losing it costs a minute: tick() sends again.';
comment on column bilag.export_lanes.deliver_until is 'A lease is not prolonged past this without progress.';
comment on column bilag.export_lanes.deliveries is 'How often it was handed out without any progress since.';
comment on column bilag.export_lanes.in_flight is 'Items are marked sending under this lease.';
comment on column bilag.export_lanes.credential_version is 'The version of the credential that the current job was handed with.';
comment on column bilag.export_lanes.sending is 'How many items were marked for the current job: a report that tells of fewer leaves the rest in doubt.';
comment on column bilag.export_lanes.voucher_number_last is 'Last voucher number given out; numbers are never reused.';
