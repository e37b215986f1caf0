-- How each connection is now, and how it was over the last day: 96 checks of 15 minutes. What the machinery needs to check them in time
-- is beside it, in bilag_internal: a round per organisation, and who asked for one.

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
comment on column bilag.integration_health_status.latency_ms is 'How long the check took, also when all is well; null: the status follows exports, or nothing was called.';
comment on column bilag.integration_health_status.consecutive_failures is 'Checks in a row that found it unreachable; each doubles the wait until the next.';
comment on column bilag.integration_health_status.next_check_at is 'No check before; null: not known, as soon as the organisation''s round comes.';

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

create table bilag_internal.health_pruning (
  transaction_id     xid8 not null,
  org_ids            uuid[] not null,
  integration_types  text[] not null
);

create index health_pruning_by_transaction on bilag_internal.health_pruning (transaction_id);

comment on table bilag_internal.health_pruning is
  'Which histories a transaction has lengthened: noted at its INSERT, pruned and forgotten at its commit. Nobody else ever sees a row.';

create table bilag_internal.health_rounds (
  org_id        uuid primary key references bilag.organizations on delete cascade,
  due_at        timestamptz,
  msg_id        bigint,
  lease_token   uuid,
  lease_until   timestamptz,
  leased_at     timestamptz,
  leased_by     uuid
) with (fillfactor = 70);

create index health_rounds_due on bilag_internal.health_rounds (due_at) where due_at is not null;
create index health_rounds_leased on bilag_internal.health_rounds (lease_until) where lease_until is not null;

comment on table bilag_internal.health_rounds is
  'One row per organisation: when its connections are next checked, and who checks them now. The truth of which a queue message is only a hint.';

create table bilag_internal.health_requests (
  id            uuid primary key default gen_random_uuid(),
  org_id        uuid not null references bilag.organizations on delete cascade,
  requested_at  timestamptz not null,
  finished_at   timestamptz
);

create index health_requests_of_an_organisation on bilag_internal.health_requests (org_id, requested_at desc);
create index health_requests_by_time on bilag_internal.health_requests (requested_at);

comment on table bilag_internal.health_requests is 'Checks that a person asked for, kept for a day so that a client can ask what came of them.';
