-- How long is kept what only explains and never decides. What decides is not here and is kept for ever: items, their lines, the runs
-- that have some, keys, claims, the audit. They are what keeps a claim from being booked twice, and they are bookkeeping.

create table bilag.retention (
  subject     text primary key,
  keep_days   integer,
  what        text not null,
  sweeping    boolean not null default false,
  swept_at    timestamptz,
  deleted     bigint not null default 0,
  error       text,
  constraint keep_days_is_a_day_at_the_least check (keep_days >= 1)
);

alter table bilag.retention enable row level security;

comment on table bilag.retention is 'What bilag_internal.maintain() deletes by age, each night. The owner may change keep_days.';
comment on column bilag.retention.keep_days is 'Null: for ever.';
comment on column bilag.retention.sweeping is 'This night''s sweep of it is not at its end; the ticks go on with it.';
comment on column bilag.retention.swept_at is 'When something was last looked for.';
comment on column bilag.retention.deleted is 'How many rows the last sweep deleted.';
comment on column bilag.retention.error is 'Why the last sweep failed; the alert maintenance_failed is open meanwhile.';

insert into bilag.retention (subject, keep_days, what) values
  ('integration_run_logs', 90, 'Attempts of calls to accounting systems.'),
  ('alerts', 180, 'Alerts, since they were resolved.'),
  ('worker_heartbeats', 30, 'Workers, since they were last seen.'),
  ('empty_runs', 180, 'Scheduled runs that succeeded and found nothing to book, since they ended.'),
  ('dead_letters', 180, 'Dead letters that nobody redrove or discarded.'),
  ('dead_letter_archive', 90, 'Dead letters that were redriven or discarded, since they died.'),
  ('webhook_events', 30, 'Events that the webhook''s receiver did not take, or that wait while it is switched off.'),
  ('cron_history', 7, 'pg_cron''s own history of Bilag''s two jobs.');

-- The hot tables: vacuum before the dead rows are many, and leave room for the next version of a row on its page. The audit's heads, the
-- lanes, runs, alerts and heartbeats have their fillfactor from the start; pages that are full already get it as they are rewritten.
alter table bilag.export_schedules set (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
alter table bilag.export_lanes set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 200);
alter table bilag.export_runs set (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
alter table bilag.export_items set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);
alter table bilag.expense_claims set (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
alter table bilag.integration_run_logs set (autovacuum_vacuum_scale_factor = 0.05);
alter table bilag.integration_health_status set (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 200);
alter table bilag.health_check_history set (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 200);
alter table bilag.worker_heartbeats set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
alter table bilag_internal.audit_heads set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 200);
alter table bilag_internal.audit_waiting set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
-- Nearly always empty, and rewritten all day long.
alter table pgmq.q_bilag_exports set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
alter table pgmq.q_bilag_health_checks set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
alter table pgmq.q_bilag_webhooks set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
