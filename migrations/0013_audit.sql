-- Who exported what, when and with what result. Append-only and hash-chained per organisation: sequence and hash are
-- given under the lock of the organisation's head row.

create table bilag.bufdir_export_audit_log (
  id                bigint generated always as identity primary key,
  org_id            uuid not null references bilag.organizations on delete restrict,
  sequence          bigint not null,
  occurred_at       timestamptz not null,
  action            text not null,
  integration_type  text,
  run_id            uuid,
  acted_as          text not null,
  user_id           uuid,
  note              text,
  details           jsonb not null default '{}',
  vouchers_sha256   bytea,
  previous_hash     bytea not null,
  hash              bytea not null,
  constraint sequence_has_no_gap_to_hide_in unique (org_id, sequence)
);

create index audit_of_a_run on bilag.bufdir_export_audit_log (run_id) where run_id is not null;

alter table bilag.bufdir_export_audit_log enable row level security;

comment on table bilag.bufdir_export_audit_log is 'Append-only record of exports and of what people did to them; hash-chained per organisation.';
comment on column bilag.bufdir_export_audit_log.acted_as is 'session_user: the login that acted.';
comment on column bilag.bufdir_export_audit_log.user_id is 'auth.uid() of the person, when a person acted.';
comment on column bilag.bufdir_export_audit_log.details is 'Counts per outcome and sums per currency of a run; ids of what a person resolved. No names.';
comment on column bilag.bufdir_export_audit_log.vouchers_sha256 is 'sha256 over the exported vouchers in order of their numbers.';
comment on column bilag.bufdir_export_audit_log.hash is 'sha256 over previous_hash and this row.';

create type bilag_internal.audit_entry as (
  org_id uuid, action text, integration_type text, run_id uuid, note text, details jsonb, vouchers_sha256 bytea);

comment on type bilag_internal.audit_entry is 'What an audit row says, before it gets its place in the chain.';

create table bilag_internal.audit_heads (
  org_id    uuid primary key references bilag.organizations on delete restrict,
  sequence  bigint not null default 0,
  hash      bytea not null default ''
) with (fillfactor = 50);

comment on table bilag_internal.audit_heads is 'The last link of each organisation''s chain; locked while one is added.';

-- An entry whose organisation's head somebody holds right now. The machinery waits for nobody: the entry is kept here in the
-- transaction that makes it true, and gets its place in the chain by whoever holds the head next.
create table bilag_internal.audit_waiting (
  id           bigint generated always as identity primary key,
  org_id       uuid not null references bilag.organizations on delete restrict,
  occurred_at  timestamptz not null,
  acted_as     text not null,
  user_id      uuid,
  entry        bilag_internal.audit_entry not null
);

create index audit_waiting_of_an_organisation on bilag_internal.audit_waiting (org_id, id);

comment on table bilag_internal.audit_waiting is 'Audit entries that wait for their place in the chain.';
