-- One row per attempt of every external call. Fire and forget: these rows explain, they never decide.

create table bilag.integration_run_logs (
  id                bigint generated always as identity primary key,
  correlation_id    uuid not null,
  org_id            uuid not null,
  integration_type  text,
  run_id            uuid,
  adapter_name      text not null,
  operation         text,
  attempt_number    integer not null,
  total_attempts    integer,
  error_class       text,
  http_status       integer,
  error_message     text,
  duration_ms       integer,
  "timestamp"       timestamptz not null default now(),
  constraint error_class_is_known check (error_class in ('transient', 'permanent', 'timeout')),
  constraint message_is_cut check (length(error_message) <= 500)
);

create index integration_run_logs_by_correlation on bilag.integration_run_logs (correlation_id);
create index integration_run_logs_by_organisation on bilag.integration_run_logs (org_id, "timestamp" desc);
create index integration_run_logs_by_run on bilag.integration_run_logs (run_id) where run_id is not null;
create index integration_run_logs_by_time on bilag.integration_run_logs using brin ("timestamp");

alter table bilag.integration_run_logs enable row level security;

comment on table bilag.integration_run_logs is 'One row per attempt of every call to an accounting system.';
comment on column bilag.integration_run_logs.total_attempts is 'Set on success: how many attempts it took.';
