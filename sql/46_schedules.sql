-- When exports run by themselves. A schedule has one slot on each of its days: a local time in its zone, turned into an instant by
-- AT TIME ZONE, so that 02:30 in a night that skips it or has it twice is one instant all the same. A slot has one run, by a unique
-- index: a tick that is repeated, late or catching up cannot make a second.
--
-- next_run_at is a promise: once that moment has come its run is made, even if the schedule or the zone was changed before a tick
-- saw it. covered_until is the last slot that a run was made for, and where the next period begins: periods follow each other without
-- gap or overlap, whatever was skipped, coalesced, disabled or changed between them.

create or replace function bilag_internal.day_number(run_on_day text) returns integer
language sql immutable
as $$ select case when run_on_day ~ '^[0-9]{1,2}$' then run_on_day::integer end $$;

comment on function bilag_internal.day_number(text) is 'The day as a number; null for last, and for what the table''s CHECK refuses in its own words.';

create or replace function bilag_internal.slots(
  frequency text, run_at time, run_on_day text, zone text, first_day date, last_day date
) returns setof timestamptz
language sql stable
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

create or replace function bilag_internal.first_slot(schedule bilag.export_schedules, zone text, after timestamptz) returns setof timestamptz
language sql stable
as $$
  select min(s.slot)
  from bilag_internal.slots(schedule.frequency, schedule.run_at, schedule.run_on_day, zone,
    (after at time zone zone)::date - 1,
    (after at time zone zone)::date + case schedule.frequency when 'daily' then 2 when 'weekly' then 8 else 63 end) as s (slot)
  where s.slot > after
$$;

comment on function bilag_internal.first_slot(bilag.export_schedules, text, timestamptz) is
  'The first slot after a moment, as one row: a query takes it in, for many schedules at once.';

create or replace function bilag_internal.next_slot(schedule bilag.export_schedules, after timestamptz) returns timestamptz
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select f.slot
  from bilag.organizations o
  cross join lateral bilag_internal.first_slot(schedule, coalesce(schedule.time_zone, o.time_zone), after) as f (slot)
  where o.id = schedule.org_id
$$;

comment on function bilag_internal.next_slot(bilag.export_schedules, timestamptz) is 'The first slot after a moment.';

-- The table's own constraints say the same by their names; here is which words there are.
create or replace function bilag_internal.schedule_fault(schedule bilag.export_schedules) returns text
language sql immutable set search_path = pg_catalog, pg_temp
as $$
  select case
    when coalesce(schedule.frequency, '') not in ('daily', 'weekly', 'monthly')
      then format('The frequency of a schedule is daily, weekly or monthly, not %L.', schedule.frequency)
    when schedule.frequency = 'daily' and schedule.run_on_day is not null then 'A daily schedule has no run_on_day.'
    when schedule.frequency = 'weekly' and coalesce(schedule.run_on_day, '') !~ '^[1-7]$'
      then format('The run_on_day of a weekly schedule is 1 (Monday) to 7, not %L.', schedule.run_on_day)
    when schedule.frequency = 'monthly' and coalesce(schedule.run_on_day, '') !~ '^([1-9]|[12][0-9]|3[01]|last)$'
      then format('The run_on_day of a monthly schedule is 1 to 31, or last, not %L.', schedule.run_on_day)
    when schedule.run_at >= '24:00' then format('The run_at of a schedule is a time before 24:00, not %s.', schedule.run_at)
    when coalesce(schedule.missed_run_policy, '') not in ('skip', 'coalesce', 'catch_up')
      then format('The missed_run_policy of a schedule is coalesce, skip or catch_up, not %L.', schedule.missed_run_policy)
  end
$$;

comment on function bilag_internal.schedule_fault(bilag.export_schedules) is 'What is wrong with a schedule, in a sentence; null when nothing is.';

create or replace function bilag_internal.plan_schedule() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
  fault text := bilag_internal.schedule_fault(new);
begin
  if fault is not null then
    perform bilag_internal.complain('KB001', fault, 'As (frequency, run_at, run_on_day): (''daily'', ''02:30'', null), (''weekly'', ''02:30'', ''1''), (''monthly'', ''02:30'', ''last'').');
  end if;
  if tg_op = 'INSERT' then
    new.next_run_at := bilag_internal.next_slot(new, bilag_internal.now());
  elsif not old.enabled or (new.org_id, new.frequency, new.run_at, new.run_on_day, new.time_zone)
      is distinct from (old.org_id, old.frequency, old.run_at, old.run_on_day, old.time_zone) then
    if not old.enabled or old.next_run_at > bilag_internal.now() then
      new.next_run_at := bilag_internal.next_slot(new, bilag_internal.now());
    end if;
  end if;
  new.updated_at := bilag_internal.now();
  return new;
end $$;

comment on function bilag_internal.plan_schedule() is
  'A new, changed or re-enabled schedule goes on with its next slot; one that has come and that no tick has seen yet is kept.';

create trigger plan_schedule before insert or update of org_id, frequency, run_at, run_on_day, time_zone, missed_run_policy, enabled on bilag.export_schedules
  for each row execute function bilag_internal.plan_schedule();

create or replace function bilag_internal.plan_organisation() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
  update bilag.export_schedules s set next_run_at = bilag_internal.next_slot(s, bilag_internal.now()), updated_at = bilag_internal.now()
  where s.org_id = new.id and s.time_zone is null and (not s.enabled or s.next_run_at > bilag_internal.now());
  return null;
end $$;

comment on function bilag_internal.plan_organisation() is 'An organisation that moves to another time zone takes its schedules along.';

create trigger plan_organisation after update of time_zone on bilag.organizations
  for each row when (old.time_zone is distinct from new.time_zone) execute function bilag_internal.plan_organisation();

create or replace function bilag_internal.due_slots(schedule bilag.export_schedules, zone text, until timestamptz)
returns table (slot timestamptz, back bigint)
language sql stable
as $$
  select u.slot, row_number() over (order by u.slot desc)
  from (
    select schedule.next_run_at as slot
    union
    select x.slot
    from bilag_internal.slots(schedule.frequency, schedule.run_at, schedule.run_on_day, zone,
      -- After years without a tick, too, only as far back as the last 31 can lie.
      greatest((schedule.next_run_at at time zone zone)::date - 1, (until at time zone zone)::date
        - case schedule.frequency when 'daily' then 33 when 'weekly' then 226 else 993 end),
      (until at time zone zone)::date + 1) as x (slot)
    where x.slot > schedule.next_run_at and x.slot <= until
  ) as u
$$;

comment on function bilag_internal.due_slots(bilag.export_schedules, text, timestamptz) is
  'The slot that was promised and those that came after it, each once, counted from the latest; of many the last 31 at the least.';

create or replace function bilag_internal.make_due_runs() returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  moment timestamptz := bilag_internal.now();
  due uuid[];
  made integer;
begin
  select array_agg(s.id) into due
  from (
    select s.id from bilag.export_schedules s
    where s.enabled and s.next_run_at <= moment order by s.id for update skip locked
  ) as s;
  if due is null then
    return 0;
  end if;
  with passed as materialized (
    select s.id, s.org_id, s.integration_type, c.id as integration_id, s.covered_until, o.time_zone, n.slot as next, w.slot, c.enabled and case s.missed_run_policy
      -- A tick comes each minute; what is a quarter of an hour late was missed.
      when 'skip' then w.back = 1 and w.slot > moment - interval '15 minutes'
      when 'coalesce' then w.back = 1
      else w.back <= 31 end as runs
    from bilag.export_schedules s
    join bilag.integration_config c on c.org_id = s.org_id and c.integration_type = s.integration_type
    join bilag.organizations o on o.id = s.org_id
    cross join lateral bilag_internal.first_slot(s, coalesce(s.time_zone, o.time_zone), moment) as n (slot)
    cross join lateral bilag_internal.due_slots(s, coalesce(s.time_zone, o.time_zone), moment) as w
    where s.id = any(due)
  ), planned as (
    select p.id, p.org_id, p.integration_type, p.integration_id, p.slot, (p.slot at time zone p.time_zone)::date as day,
      (coalesce(lag(p.slot) over (partition by p.id order by p.slot), p.covered_until) at time zone p.time_zone)::date as day_before
    from passed p where p.runs
  ), inserted as (
    insert into bilag.export_runs (org_id, integration_type, integration_id, trigger, schedule_id, scheduled_for, cutoff_at, enqueued_at, due_at,
      period_start, period_end)
    -- However late a run is, it takes what was approved before its slot. Of slots that are caught up together the older goes first, so
    -- that each run finds the claims of its own period: a hair's breadth earlier, for the lane has not been waiting since the slot.
    select p.org_id, p.integration_type, p.integration_id, 'schedule', p.id, p.slot, p.slot, moment, moment - (moment - p.slot) / 1000000,
      -- Days, both inclusive; two slots of one day share it.
      case when p.day_before < p.day then p.day_before + 1 when p.day_before >= p.day then p.day end, p.day
    from planned p
    order by p.slot, p.id
    on conflict do nothing
    returning id
  ), moved as (
    update bilag.export_schedules s
    set last_slot_at = l.slot, covered_until = coalesce(l.covered, s.covered_until), next_run_at = l.next
    from (
      select p.id, max(p.slot) as slot, max(p.slot) filter (where p.runs) as covered, max(p.next) as next from passed p group by p.id
    ) as l
    where s.id = l.id
  )
  select count(*) into made from inserted;
  return made;
end $$;

comment on function bilag_internal.make_due_runs() is 'A run for each due slot, as each schedule''s missed-run policy says; all at once.';
