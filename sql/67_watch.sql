-- What the tick watches besides its work: schedules that drift, work without a worker, runs that take too long, the heart that pg_cron
-- lent to the workers, and problems whose end nobody else notices. From the database, so that the watchman is not the watched.
-- Every kind here has one open row for each integration at the most, and none is opened twice for the same run.

create or replace function bilag_internal.watch() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
begin
  perform bilag_internal.place_words();
  if exists (select from bilag.export_schedules s where s.enabled and bilag_internal.slot_is_near(s.next_run_at)) then
    perform pg_notify('bilag_wake', 'soon');
  end if;
  perform bilag_internal.watch_schedules();
  perform bilag_internal.watch_workers();
  perform bilag_internal.watch_runs();
  perform bilag_internal.close_dead_letter_alerts();
  perform bilag_internal.resolve_alert('server_changed', a.problem_key, 'the time in which everything is looked up before it is sent is over')
  from bilag.alerts a, bilag.installation h
  where a.kind = 'server_changed' and a.resolved_at is null and coalesce(h.recover_before <= bilag_internal.now(), true);
end $$;

comment on function bilag_internal.watch() is 'What the tick looks after besides its work: opens and resolves the alerts that need a second pair of eyes.';

create or replace function bilag_internal.late_schedules()
returns table (integration_id uuid, org_id uuid, integration_type text, scheduled_for timestamptz, started_at timestamptz, run_id uuid, status text, drift interval)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  -- The latest slot of each scheduled integration: its run, or the slot itself while it has none.
  select c.id, c.org_id, c.integration_type, x.scheduled_for, x.started_at, x.run_id, x.status,
    coalesce(x.started_at, (select bilag_internal.now())) - x.scheduled_for
  from bilag.integration_config c
  cross join lateral (
    select s.next_run_at as scheduled_for, null::timestamptz as started_at, null::uuid as run_id, null::text as status
    from bilag.export_schedules s
    where s.org_id = c.org_id and s.integration_type = c.integration_type and s.enabled and c.enabled and s.next_run_at <= (select bilag_internal.now())
    union all
    select s.last_slot_at, null, null, 'missed' from bilag.export_schedules s
    where s.org_id = c.org_id and s.integration_type = c.integration_type and s.enabled and c.enabled and s.missed_run_policy = 'skip'
      and not exists (select from bilag.export_runs r where r.integration_id = c.id and r.scheduled_for >= s.last_slot_at)
      -- What passed while the integration was switched off or changed was not missed.
      and s.last_slot_at > c.updated_at
    union all
    (select r.scheduled_for, r.started_at, r.id, r.status from bilag.export_runs r
    where r.integration_id = c.id and r.scheduled_for is not null order by r.scheduled_for desc limit 1)
    order by scheduled_for desc limit 1
  ) as x
  where exists (select from bilag.export_schedules s where s.org_id = c.org_id and s.integration_type = c.integration_type)
    or exists (select from bilag.alerts a where a.kind = 'schedule_drift' and a.problem_key = c.id::text and a.resolved_at is null)
$$;

comment on function bilag_internal.late_schedules() is 'How far the latest scheduled run of each integration is, or was, behind its time; also a slot that has no run.';

create or replace function bilag_internal.watch_schedules() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
declare
  late record;
begin
  for late in
    select x.*, a.id as alert_id, d.details, a.details as known,
      -- What a person has closed stays closed, for this slot.
      exists (
        select from bilag.alerts b where b.kind = 'schedule_drift' and b.problem_key = x.integration_id::text and b.resolved_at is not null
          and (b.details ->> 'scheduledFor')::timestamptz = x.scheduled_for) as closed
    from bilag_internal.late_schedules() x
    cross join lateral (
      select jsonb_build_object('scheduledFor', x.scheduled_for, 'startedAt', x.started_at, 'runId', x.run_id) as details
    ) as d
    left join bilag.alerts a on a.kind = 'schedule_drift' and a.problem_key = x.integration_id::text and a.resolved_at is null
    where a.id is not null or x.drift > interval '5 minutes'
  loop
    if late.status = 'cancelled' then
      perform bilag_internal.resolve_alert('schedule_drift', late.integration_id::text, 'the late run was cancelled');
    elsif late.started_at is not null and late.alert_id is not null and not exists (
      select from bilag.export_schedules s join bilag.integration_config c on c.org_id = s.org_id and c.integration_type = s.integration_type
      where c.id = late.integration_id and c.enabled and s.enabled
    ) then
      perform bilag_internal.resolve_alert('schedule_drift', late.integration_id::text, 'it has started, and no schedule is left that could be late');
    elsif late.drift > interval '5 minutes' then
      if late.details is distinct from late.known and not late.closed then
        perform bilag_internal.raise_alert('schedule_drift', late.integration_id::text, late.org_id, late.integration_type,
          format(case when late.started_at is not null then 'The run scheduled for %s started at %s.'
            when late.status = 'missed' then 'The run scheduled for %s was missed, and its schedule says skip.'
            else 'The run scheduled for %s has not started.' end, bilag_internal.utc(late.scheduled_for), bilag_internal.utc(late.started_at)),
          late.details);
      end if;
    elsif late.started_at is not null then
      perform bilag_internal.resolve_alert('schedule_drift', late.integration_id::text, 'a later scheduled run started in time');
    end if;
  end loop;
end $$;

comment on function bilag_internal.watch_schedules() is 'Opens schedule_drift for runs that start, or have not started, five minutes late; resolves it when a later one starts in time.';

create or replace function bilag_internal.utc(at timestamptz) returns text
language sql stable set search_path = pg_catalog, pg_temp
as $$ select to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') $$;

comment on function bilag_internal.utc(timestamptz) is 'A time as a message tells it.';

create or replace function bilag_internal.watch_workers() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
declare
  moment timestamptz := bilag_internal.now();
  seen timestamptz := (select max(w.last_seen_at) from bilag.worker_heartbeats w);
  exports bigint;
  checks bigint;
  since timestamptz;
begin
  if seen > moment - interval '2 minutes' then
    perform bilag_internal.resolve_alert('no_worker', 'installation', 'a worker is alive');
    return;
  end if;
  -- Health checks are due each quarter of an hour: by them a fleet that has died is missed long before the month's export.
  select count(*) filter (where d.lane), count(*) filter (where not d.lane), min(d.due_at) into exports, checks, since
  from (
    select true as lane, l.due_at from bilag.export_lanes l, bilag.installation h where l.due_at <= moment and h.paused_at is null
    union all
    select false, r.due_at from bilag_internal.health_rounds r where r.due_at <= moment
  ) as d;
  if since is null then
    perform bilag_internal.resolve_alert('no_worker', 'installation', 'no work is due any more');
  end if;
  if coalesce(since > moment - interval '2 minutes', true) then
    return;
  end if;
  perform bilag_internal.raise_alert('no_worker', 'installation', null, null,
    format('Work has been due since %s, and no worker is alive: %s.', bilag_internal.utc(since), concat_ws(' and ',
      case when exports > 0 then 'exports of ' || exports || case when exports = 1 then ' integration' else ' integrations' end end,
      case when checks > 0 then 'health checks of ' || checks || case when checks = 1 then ' organisation' else ' organisations' end end)),
    jsonb_build_object('integrations', exports, 'healthChecks', checks, 'dueSince', since, 'lastSeenAt', seen));
  perform bilag_internal.call_for_help('no_worker');
end $$;

comment on function bilag_internal.watch_workers() is 'Opens no_worker when an export or a health check has been due for two minutes in which no worker gave a sign of life.';

create or replace function bilag_internal.watch_runs() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
begin
  perform bilag_internal.raise_alert('export_slow', r.integration_id::text, r.org_id, r.integration_type,
    format('The run takes %s so far; usually it takes %s.', date_trunc('second', bilag_internal.now() - r.started_at), date_trunc('second', u.usual)),
    jsonb_build_object('runId', r.id, 'startedAt', r.started_at, 'usualSeconds', round(extract(epoch from u.usual))))
  from bilag.export_runs r
  cross join lateral (
    select percentile_cont(0.5) within group (order by x.finished_at - x.started_at) as usual, count(*) as n
    from (
      select p.started_at, p.finished_at from bilag.export_runs p
      where p.org_id = r.org_id and p.integration_type = r.integration_type
        and p.status in ('succeeded', 'partially_succeeded') and p.item_count > 0
      order by p.enqueued_at desc limit 10
    ) as x
  ) as u
  where r.finished_at is null and r.started_at <= (select bilag_internal.now()) - interval '1 minute'
    -- Of one or two runs nobody knows what is usual.
    and u.n >= 3 and bilag_internal.now() - r.started_at > 3 * u.usual
    and not exists (
      select from bilag.alerts a
      where a.kind = 'export_slow' and a.problem_key = r.integration_id::text and a.details ->> 'runId' = r.id::text);
  perform bilag_internal.resolve_alert('export_slow', a.problem_key, 'the run has ended')
  from bilag.alerts a
  where a.kind = 'export_slow' and a.resolved_at is null and not exists (
    select from bilag.export_runs r where r.id = (a.details ->> 'runId')::uuid and r.finished_at is null);
end $$;

comment on function bilag_internal.watch_runs() is 'Opens export_slow for a run that takes three times the median of the last ten, and a minute at the least; resolves it at its end.';

create or replace function bilag_internal.beat_heart() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  moment timestamptz := bilag_internal.now();
  -- A worker takes its role, or logs in as it; everybody else who ticks is pg_cron, or does as it does.
  stands_in boolean := session_user = 'bilag_worker' or coalesce(current_setting('role', true), '') = 'bilag_worker';
  last timestamptz := (select h.cron_ticked_at from bilag.installation h);
begin
  update bilag.installation i set ticked_at = moment, cron_ticked_at = case when stands_in then i.cron_ticked_at else moment end
  where exists (select from bilag.installation x for no key update skip locked);
  if not stands_in then
    perform bilag_internal.resolve_alert('scheduler_stalled', 'installation', 'pg_cron ticks again');
  elsif bilag_internal.cron_is_here() and coalesce(last < moment - interval '2 minutes', true) then
    perform bilag_internal.raise_alert('scheduler_stalled', 'installation', null, null,
      coalesce('pg_cron has not ticked since ' || bilag_internal.utc(last) || '; the workers tick instead.', 'pg_cron has never ticked; the workers tick instead.'),
      jsonb_build_object('lastTickAt', last));
  end if;
end $$;

comment on function bilag_internal.beat_heart() is 'Writes down that the tick ran. When workers tick where pg_cron should, scheduler_stalled opens until it does again.';
