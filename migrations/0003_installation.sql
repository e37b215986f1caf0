-- What this database is: which environment it serves, which contract its functions keep with the worker, and
-- which server it lives on. A dump of production restored to staging carries production's row with it, and a
-- worker of staging then refuses to post; a restored or failed-over server is noticed because its identity
-- is no longer the one written here.

create table bilag.installation (
  singleton          boolean primary key default true,
  environment        text not null default 'development',
  contract           integer not null default 0,
  system_identifier  text,
  timeline           integer,
  database_oid       oid,
  recover_before     timestamptz,
  recover_since      timestamptz,
  paused_at          timestamptz,
  paused_reason      text,
  ticked_at          timestamptz,
  cron_ticked_at     timestamptz,
  created_at         timestamptz not null default now(),
  constraint there_is_one_installation check (singleton),
  constraint environment_has_a_name check (environment <> '')
);

insert into bilag.installation default values;

alter table bilag.installation enable row level security;

comment on table bilag.installation is 'One row: what this database is, and what it promises to workers.';
comment on column bilag.installation.environment is 'A worker posts only if its BILAG_ENVIRONMENT is this.';
comment on column bilag.installation.contract is 'The number of the contract between worker and bilag_internal; set by the verbs in sql/.';
comment on column bilag.installation.system_identifier is 'pg_control_system() of the server last seen; another one means a restore or a clone.';
comment on column bilag.installation.timeline is 'Timeline of the server last seen; a higher one means a failover or a point-in-time recovery.';
comment on column bilag.installation.database_oid is 'The database last seen: another one on the same server is a restored copy.';
comment on column bilag.installation.recover_before is 'Every unexported claim approved before this is looked up before it is sent: a day after bilag recover, or after a changed server was noticed, for applications register again what was lost.';
comment on column bilag.installation.recover_since is 'How far back those look-ups go at the least.';
comment on column bilag.installation.paused_at is 'Set by pause_everything(): no worker gets anything to send.';
comment on column bilag.installation.ticked_at is 'When tick() last ran: the heart that workers watch.';
comment on column bilag.installation.cron_ticked_at is 'When tick() was last run by somebody else than a worker, who only stands in for pg_cron.';

-- Tests own the clock: every verb asks bilag_internal.now(), which reads this row. Empty in production.
create table bilag_internal.clock (
  singleton  boolean primary key default true,
  at         timestamptz not null,
  constraint there_is_one_clock check (singleton)
);

comment on table bilag_internal.clock is 'A frozen time for tests; empty means real time.';
