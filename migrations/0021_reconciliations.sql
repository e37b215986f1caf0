-- A reconciliation asks the accounting system whether what was booked in a period still stands, voucher by voucher. It holds a
-- cursor and not a row per voucher: what stands needs none. Whoever moves one holds its lane.

create table bilag.reconciliations (
  id                uuid primary key default gen_random_uuid(),
  org_id            uuid not null,
  integration_type  text not null,
  integration_id    uuid not null references bilag.integration_config on delete restrict,
  from_date         date not null,
  to_date           date not null,
  status            text not null default 'queued',
  due_at            timestamptz default now(),
  requested_at      timestamptz not null,
  requested_by      uuid,
  requested_as      text not null default session_user,
  started_at        timestamptz,
  finished_at       timestamptz,
  total             integer not null,
  elsewhere         integer not null default 0,
  asked             integer not null default 0,
  asked_day         date not null default '-infinity',
  asked_item        bigint not null default 0,
  asking            bigint[] not null default '{}',
  failures          integer not null default 0,
  error             jsonb,
  constraint reconciliation_belongs_to_an_integration
    foreign key (org_id, integration_type) references bilag.integration_config (org_id, integration_type) on delete restrict,
  constraint reconciliation_status_is_known check (
    status in ('queued', 'running', 'waiting', 'succeeded', 'partially_succeeded', 'failed', 'cancelled')),
  constraint only_an_ended_reconciliation_has_finished check (
    (finished_at is not null) = (status in ('succeeded', 'partially_succeeded', 'failed', 'cancelled'))),
  constraint only_an_open_reconciliation_is_due check ((due_at is null) = (finished_at is not null)),
  constraint the_period_does_not_end_before_it_begins check (from_date <= to_date)
) with (fillfactor = 70);

create index unfinished_reconciliations on bilag.reconciliations (integration_id, due_at) where finished_at is null;
create index reconciliations_of_an_integration on bilag.reconciliations (org_id, integration_type, requested_at desc);

alter table bilag.reconciliations enable row level security;

comment on table bilag.reconciliations is 'Questions to an accounting system: does what was booked in this period still stand?';
comment on column bilag.reconciliations.due_at is 'When it goes on; null once it has ended.';
comment on column bilag.reconciliations.total is 'Vouchers that it asks about: those booked by requested_at, in the ledger that the settings name.';
comment on column bilag.reconciliations.elsewhere is 'Vouchers of the period that are in another ledger than the settings name now: they cannot be asked about.';
comment on column bilag.reconciliations.asked_day is 'With asked_item: vouchers are asked about in order of posting date and item; this is the last one answered.';
comment on column bilag.reconciliations.asking is 'The batch that a worker was handed. If its answer never comes, it is asked about again.';
comment on column bilag.reconciliations.failures is 'Failed questions in a row.';

create table bilag.reconciliation_findings (
  reconciliation_id  uuid not null references bilag.reconciliations on delete restrict,
  item_id            bigint not null references bilag.export_items on delete restrict,
  org_id             uuid not null,
  integration_id     uuid not null,
  finding            text not null,
  message            text,
  asks               integer not null default 1,
  found_at           timestamptz not null,
  resolved_at        timestamptz,
  resolution         text,
  primary key (reconciliation_id, item_id),
  constraint finding_is_known check (finding in ('absent', 'partial', 'import_error', 'unknown'))
);

create index findings_of_an_item on bilag.reconciliation_findings (item_id);
create index open_findings on bilag.reconciliation_findings (integration_id) where resolved_at is null;
create index findings_of_an_organisation on bilag.reconciliation_findings (org_id, found_at desc);

alter table bilag.reconciliation_findings enable row level security;

comment on table bilag.reconciliation_findings is 'Vouchers that did not stand when they were asked about: one row per reconciliation and voucher.';
comment on column bilag.reconciliation_findings.finding is 'absent; partial, some of its lines; import_error, only in the import; unknown, the system could not tell.';
comment on column bilag.reconciliation_findings.asks is 'How often it was asked about: what is unknown is asked about five times.';
comment on column bilag.reconciliation_findings.resolved_at is 'When it was seen again, released for re-export, or found missing by a later reconciliation.';
