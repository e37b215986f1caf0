-- What a person should know: one open row per problem, and the vocabulary of reasons with what to do about each.

create table bilag.reasons (
  reason_code  text primary key,
  applies_to   text not null,
  sentence     text not null,
  what_to_do   text not null,
  constraint applies_to_is_known check (applies_to in ('claim', 'run', 'integration', 'message'))
);

alter table bilag.reasons enable row level security;

comment on table bilag.reasons is 'Every reason_code that Bilag uses; {name} in a sentence stands for a key of reason_params.';

create table bilag.alert_kinds (
  kind        text primary key,
  severity    text not null,
  meaning     text not null,
  runbook     text not null,
  constraint severity_is_known check (severity in ('info', 'warning', 'critical'))
);

alter table bilag.alert_kinds enable row level security;

comment on table bilag.alert_kinds is 'The kinds of alerts, how bad each is, and the line of the runbook.';

create table bilag.alerts (
  id                bigint generated always as identity primary key,
  kind              text not null references bilag.alert_kinds on delete restrict,
  problem_key       text not null,
  org_id            uuid,
  integration_type  text,
  message           text not null,
  details           jsonb not null default '{}',
  count             integer not null default 1,
  opened_at         timestamptz not null,
  last_seen_at      timestamptz not null,
  resolved_at       timestamptz,
  resolution        text
) with (fillfactor = 70);

create unique index one_open_alert_per_problem on bilag.alerts (kind, problem_key) where resolved_at is null;
create index alerts_of_an_organisation on bilag.alerts (org_id, opened_at desc);

alter table bilag.alerts enable row level security;

comment on table bilag.alerts is 'Problems: opened once, counted, resolved by evidence.';
comment on column bilag.alerts.problem_key is 'Names the one problem that the open row stands for.';

-- What was said of a problem whose row somebody holds right now, or is opening. The machinery waits for nobody: the word is kept here,
-- and the tick takes it to its row.
create table bilag_internal.alerts_waiting (
  id                bigint generated always as identity primary key,
  at                timestamptz not null,
  kind              text not null,
  problem_key       text not null,
  org_id            uuid,
  integration_type  text,
  message           text not null,
  details           jsonb not null default '{}',
  over              boolean not null
) with (fillfactor = 70);

create index alerts_waiting_of_a_problem on bilag_internal.alerts_waiting (kind, problem_key, id);

comment on table bilag_internal.alerts_waiting is 'Words on problems that wait for their alert: that they are there, or over.';
comment on column bilag_internal.alerts_waiting.over is 'The word is that the problem is over, and message is the evidence.';
