-- How each connection is now, and how it was over the last day: 96 checks of 15 minutes.

create table bilag.integration_health_status (
  id                    uuid primary key default gen_random_uuid(),
  org_id                uuid not null,
  integration_type      text not null,
  status                text not null,
  latency_ms            integer,
  checked_at            timestamptz not null,
  error_message         text,
  consecutive_failures  integer not null default 0,
  next_check_at         timestamptz,
  constraint one_status_per_integration unique (org_id, integration_type),
  constraint status_belongs_to_an_integration
    foreign key (org_id, integration_type) references bilag.integration_config (org_id, integration_type) on delete cascade,
  constraint status_is_known check (status in ('healthy', 'degraded', 'unreachable'))
) with (fillfactor = 50);

alter table bilag.integration_health_status enable row level security;

comment on table bilag.integration_health_status is 'The latest check of each integration; an older check never overwrites a newer one.';

create table bilag.health_check_history (
  id                bigint generated always as identity primary key,
  org_id            uuid not null,
  integration_type  text not null,
  status            text not null,
  latency_ms        integer,
  checked_at        timestamptz not null,
  error_message     text,
  constraint history_belongs_to_an_integration
    foreign key (org_id, integration_type) references bilag.integration_config (org_id, integration_type) on delete cascade,
  constraint status_is_known check (status in ('healthy', 'degraded', 'unreachable'))
);

create index health_check_history_latest on bilag.health_check_history (org_id, integration_type, checked_at desc, id desc);

alter table bilag.health_check_history enable row level security;

comment on table bilag.health_check_history is 'The last 96 checks per integration; a trigger prunes.';
