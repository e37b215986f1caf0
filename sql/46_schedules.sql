-- When exports run by themselves. A schedule has one slot on each of its days: a local time in its zone, turned into an instant by
-- AT TIME ZONE, so that 02:30 in a night that skips it or has it twice is one instant all the same. A slot has one run, by a unique
-- index: a tick that is repeated, late or catching up cannot make a second.

create or replace function bilag_internal.day_number(run_on_day text) returns integer
language sql immutable
as $$ select case when run_on_day ~ '^[0-9]{1,2}$' then run_on_day::integer end $$;

comment on function bilag_internal.day_number(text) is 'The day as a number; null for last, and for what the table''s CHECK refuses in its own words.';

create or replace function bilag_internal.slots(
  frequency text, run_at time, run_on_day text, zone text, first_day date, last_day date
) returns setof timestamptz
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select (d.day::date + run_at) at time zone zone
  from generate_series(first_day::timestamp, last_day::timestamp, interval '1 day') as d (day)
  cross join lateral (select (date_trunc('month', d.day) + interval '1 month - 1 day')::date as month_end) as m
  where case frequency
    when 'daily' then true
    when 'weekly' then extract(isodow from d.day) = bilag_internal.day_number(run_on_day)
    when 'monthly' then d.day::date = case when run_on_day = 'last' then m.month_end
      else least(date_trunc('month', d.day)::date + bilag_internal.day_number(run_on_day) - 1, m.month_end) end
  end
$$;

comment on function bilag_internal.slots(text, time, text, text, date, date) is
  'The instants of a schedule on the days from first to last; a monthly day that the month lacks is its last.';

create or replace function bilag_internal.next_slot(schedule bilag.export_schedules, after timestamptz) returns timestamptz
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select min(s.slot)
  from (
    select coalesce(schedule.time_zone, o.time_zone) as zone from bilag.organizations o where o.id = schedule.org_id
  ) as z
  cross join lateral bilag_internal.slots(schedule.frequency, schedule.run_at, schedule.run_on_day, z.zone,
    (after at time zone z.zone)::date - 1,
    (after at time zone z.zone)::date + case schedule.frequency when 'daily' then 2 when 'weekly' then 8 else 63 end) as s (slot)
  where s.slot > after
$$;

comment on function bilag_internal.next_slot(bilag.export_schedules, timestamptz) is 'The first slot after a moment.';

create or replace function bilag_internal.plan_schedule() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'INSERT' or not old.enabled or
    (new.frequency, new.run_at, new.run_on_day, new.time_zone) is distinct from (old.frequency, old.run_at, old.run_on_day, old.time_zone) then
    new.next_run_at := bilag_internal.next_slot(new, bilag_internal.now());
  end if;
  new.updated_at := bilag_internal.now();
  return new;
end $$;

comment on function bilag_internal.plan_schedule() is 'A new, changed or re-enabled schedule starts with its next slot; nothing is caught up.';

create trigger plan_schedule before insert or update of frequency, run_at, run_on_day, time_zone, enabled on bilag.export_schedules
  for each row execute function bilag_internal.plan_schedule();

create or replace function bilag_internal.make_due_runs() returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  due uuid[];
  made integer;
begin
  select array_agg(s.id) into due
  from (
    select s.id from bilag.export_schedules s
    where s.enabled and s.next_run_at <= bilag_internal.now() order by s.id for update skip locked
  ) as s;
  if due is null then
    return 0;
  end if;
  insert into bilag.export_runs (org_id, integration_type, trigger, schedule_id, scheduled_for, period_start, period_end)
  select s.org_id, s.integration_type, 'schedule', s.id, w.slot,
    (coalesce(w.before, s.last_slot_at) at time zone z.zone)::date, (w.slot at time zone z.zone)::date
  from bilag.export_schedules s
  join bilag.integration_config c on c.org_id = s.org_id and c.integration_type = s.integration_type and c.enabled
  join bilag.organizations o on o.id = s.org_id
  cross join lateral (select coalesce(s.time_zone, o.time_zone) as zone) as z
  cross join lateral (
    select x.slot, lag(x.slot) over (order by x.slot) as before, row_number() over (order by x.slot desc) as back
    from bilag_internal.slots(s.frequency, s.run_at, s.run_on_day, z.zone,
      (s.next_run_at at time zone z.zone)::date - 1, (bilag_internal.now() at time zone z.zone)::date + 1) as x (slot)
    where x.slot between s.next_run_at and bilag_internal.now()
  ) as w
  where s.id = any(due) and case s.missed_run_policy
    -- A tick comes each minute; what is a quarter of an hour late was missed.
    when 'skip' then w.back = 1 and w.slot > bilag_internal.now() - interval '15 minutes'
    when 'coalesce' then w.back = 1
    else w.back <= 31
  end
  order by w.slot, s.id
  on conflict do nothing;
  get diagnostics made = row_count;
  update bilag.export_schedules s
  set last_slot_at = s.next_run_at, next_run_at = bilag_internal.next_slot(s, bilag_internal.now())
  where s.id = any(due);
  return made;
end $$;

comment on function bilag_internal.make_due_runs() is 'A run for each due slot, as each schedule''s missed-run policy says; all at once.';
