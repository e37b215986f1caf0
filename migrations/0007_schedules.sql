-- When exports run by themselves. next_run_at and the period are computed by SQL in the schedule's time zone; pg_cron
-- only ticks.

create table bilag.export_schedules (
  id                 uuid primary key default gen_random_uuid(),
  org_id             uuid not null,
  integration_type   text not null,
  frequency          text not null,
  run_at             time not null default '02:30',
  run_on_day         text,
  time_zone          text,
  missed_run_policy  text not null default 'coalesce',
  enabled            boolean not null default true,
  next_run_at        timestamptz,
  last_slot_at       timestamptz,
  covered_until      timestamptz,
  created_at         timestamptz not null default now(),
  updated_at         timestamptz not null default now(),
  constraint schedule_belongs_to_an_integration
    foreign key (org_id, integration_type) references bilag.integration_config (org_id, integration_type) on delete restrict,
  constraint run_at_is_a_time_of_its_day check (run_at < '24:00'),
  constraint frequency_is_known check (frequency in ('daily', 'weekly', 'monthly')),
  constraint missed_run_policy_is_known check (missed_run_policy in ('skip', 'coalesce', 'catch_up')),
  constraint run_on_day_fits_the_frequency check (
    case frequency
      when 'daily' then run_on_day is null
      when 'weekly' then run_on_day ~ '^[1-7]$'
      else run_on_day ~ '^([1-9]|[12][0-9]|3[01]|last)$'
    end is true),
  constraint time_zone_is_known check (
    time_zone is null or ('2000-01-01 00:00+00'::timestamptz at time zone time_zone) is not null)
);

create index export_schedules_by_integration on bilag.export_schedules (org_id, integration_type);
create index export_schedules_due on bilag.export_schedules (next_run_at) where enabled;

alter table bilag.export_schedules enable row level security;

comment on table bilag.export_schedules is 'Recurring exports at a local time.';
comment on column bilag.export_schedules.run_on_day is 'weekly: 1 (Monday) to 7; monthly: 1 to 31 or last (a day that the month lacks is its last); daily: null.';
comment on column bilag.export_schedules.time_zone is 'Null: the organisation''s.';
comment on column bilag.export_schedules.next_run_at is 'The slot that is promised next; its run is made once that moment has come, whatever changed meanwhile.';
comment on column bilag.export_schedules.last_slot_at is 'The last slot that has passed, with a run or without.';
comment on column bilag.export_schedules.covered_until is 'The last slot that has a run; the next period begins on the day after it.';
comment on column bilag.export_schedules.missed_run_policy is 'After an outage: skip the missed slots, coalesce them into one run, or catch_up each.';
