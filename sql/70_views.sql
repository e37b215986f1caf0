-- What a DBA looks at with psql. security_invoker: a view shows a member no more than the tables would. Counts are for every member
-- and for observers, who may not read the items that are counted: hence these functions, which only a view can call, for the
-- schema is closed to their readers.

create or replace function bilag_internal.claims_by_state(
  integration_id uuid, out pending bigint, out sending bigint, out accepted bigint, out exported bigint, out rejected bigint, out in_doubt bigint
)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select count(*) filter (where i.state = 'pending'), count(*) filter (where i.state = 'sending'),
    count(*) filter (where i.state = 'accepted'), count(*) filter (where i.state = 'exported'),
    count(*) filter (where i.state = 'rejected'), count(*) filter (where i.state = 'in_doubt')
  from (
    -- A claim that was rejected and later taken counts as what it is now.
    select distinct on (x.claim_id) x.state from bilag.export_items x
    where x.integration_id = claims_by_state.integration_id and x.reverses is null order by x.claim_id, x.id desc
  ) as i
$$;

comment on function bilag_internal.claims_by_state(uuid) is 'How many claims of an integration are in which state.';

create or replace function bilag_internal.run_progress(run_id uuid, out total bigint, out done bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select count(*), count(*) filter (where i.state in ('exported', 'rejected'))
  from bilag.export_items i where i.run_id = run_progress.run_id
$$;

comment on function bilag_internal.run_progress(uuid) is 'How many claims a run has, and how many of them it is done with.';

create or replace view bilag.overview with (security_invoker = true) as
select o.name as organization, c.integration_type, coalesce(c.display_name, t.display_name) as integration,
  case
    when not c.enabled then 'disabled'
    when e.since is not null then e.why
    when c.paused_at is not null and coalesce(c.paused_until, 'infinity') > (select bilag_internal.clock_now()) then 'paused: ' || coalesce(c.paused_reason, c.paused_reason_code, '')
    when l.circuit_open_until > (select bilag_internal.clock_now()) then 'circuit open until ' || to_char(l.circuit_open_until, 'HH24:MI:SS')
    when l.quiet_until > (select bilag_internal.clock_now()) then 'asked to wait until ' || to_char(l.quiet_until, 'HH24:MI:SS')
    when l.lease_until > (select bilag_internal.clock_now()) then 'exporting'
    when r.status = 'waiting' then 'waiting: ' || r.waiting_reason_code
    when l.due_at <= (select bilag_internal.clock_now()) then 'due'
    else 'idle'
  end as status,
  h.status as health, i.pending, i.sending, i.accepted, i.exported, i.rejected, i.in_doubt,
  (select max(x.finished_at) from bilag.export_runs x where x.integration_id = c.id) as last_run_finished_at,
  l.due_at as next_work_at, (select min(s.next_run_at) from bilag.export_schedules s where s.org_id = c.org_id
    and s.integration_type = c.integration_type and s.enabled) as next_scheduled_at,
  c.org_id
from bilag.integration_config c
join bilag.organizations o on o.id = c.org_id
join bilag.integration_types t on t.integration_type = c.integration_type
join bilag.export_lanes l on l.integration_id = c.id
left join bilag.export_runs r on r.id = l.run_id
left join bilag.integration_health_status h on h.org_id = c.org_id and h.integration_type = c.integration_type
cross join bilag_internal.everything_paused() as e
cross join lateral bilag_internal.claims_by_state(c.id) as i
order by o.name, c.integration_type;

comment on view bilag.overview is 'One line per integration: what it does, how it is, how its claims stand.';
comment on column bilag.overview.status is 'disabled, paused and why, circuit open, asked to wait, exporting, waiting and for what, due, or idle.';
comment on column bilag.overview.health is 'The latest check of the connection: healthy, degraded or unreachable; null before the first.';
comment on column bilag.overview.pending is 'Claims that a run has taken and not sent. Those that no run has taken yet are in no count here: bilag.claim_exports has them.';
comment on column bilag.overview.sending is 'Claims that are marked as sent, and whose answer is awaited.';
comment on column bilag.overview.accepted is 'Claims that the accounting system took, and that are not seen in its ledger yet.';
comment on column bilag.overview.exported is 'Claims that are booked, also those that a person marked as booked elsewhere.';
comment on column bilag.overview.rejected is 'Claims that cannot be booked as they are.';
comment on column bilag.overview.in_doubt is 'Claims of which it is not known whether they are booked; they are looked up.';
comment on column bilag.overview.next_work_at is 'When a worker has something to do here; null: never, until somebody asks.';
comment on column bilag.overview.next_scheduled_at is 'The next slot of its enabled schedules.';

create or replace view bilag.runs_in_progress with (security_invoker = true) as
select o.name as organization, r.integration_type, r.status, r.waiting_reason_code, n.total, n.done,
  repeat('█', (20 * n.done / greatest(n.total, 1))::integer) || repeat('·', 20 - (20 * n.done / greatest(n.total, 1))::integer) as progress,
  r.trigger, r.period_end, r.enqueued_at, r.started_at, nullif(r.due_at, 'infinity') as due_at, r.failures,
  r.error ->> 'message' as last_error, r.id as run_id, r.org_id
from bilag.export_runs r
join bilag.organizations o on o.id = r.org_id
cross join lateral bilag_internal.run_progress(r.id) as n
where r.finished_at is null
order by r.enqueued_at;

comment on view bilag.runs_in_progress is 'Runs that are not at their end, with a bar.';
comment on column bilag.runs_in_progress.total is 'Claims that the run has taken so far.';
comment on column bilag.runs_in_progress.done is 'Of those, the ones that are booked or rejected.';
comment on column bilag.runs_in_progress.due_at is 'When a worker takes it up again; null: when what it waits for has come.';
comment on column bilag.runs_in_progress.failures is 'Deliveries that failed since the last one that did not: where it is in bilag.retry_schedule.';
comment on column bilag.runs_in_progress.last_error is 'What the last failed delivery said.';

create or replace view bilag.queue_status with (security_invoker = true) as
select q.queue, q.messages, q.visible, q.oldest,
  (select count(*) from bilag.export_lanes l where l.due_at <= (select bilag_internal.clock_now())) as lanes_due,
  (select count(*) from bilag.export_lanes l where l.lease_until > (select bilag_internal.clock_now())) as lanes_leased,
  (select min(l.due_at) from bilag.export_lanes l where l.due_at > (select bilag_internal.clock_now())) as next_due_at
from bilag_internal.queue_lengths() q;

comment on view bilag.queue_status is 'The queues, and what the lanes say: a message is a hint, the lane is the truth.';
comment on column bilag.queue_status.messages is 'All messages of the queue.';
comment on column bilag.queue_status.visible is 'Those that a worker could take now.';
comment on column bilag.queue_status.oldest is 'When the oldest of them was sent.';
comment on column bilag.queue_status.lanes_due is 'Integrations that have work now.';
comment on column bilag.queue_status.lanes_leased is 'Integrations that a worker holds.';
comment on column bilag.queue_status.next_due_at is 'When the next integration that has no work now will have some.';

create or replace view bilag.stuck with (security_invoker = true) as
select o.name as organization, s.integration_type, s.what, s.since, s.why, s.what_to_do, s.org_id
from (
  select c.org_id, c.integration_type, 'integration' as what, c.paused_at as since, coalesce(c.paused_reason, c.paused_reason_code) as why,
    coalesce(r.what_to_do, 'resume_integration.') as what_to_do
  from bilag.integration_config c left join bilag.reasons r on r.reason_code = c.paused_reason_code
  where c.paused_at is not null and coalesce(c.paused_until, 'infinity') > (select bilag_internal.clock_now())
  union all
  select l.org_id, l.integration_type, 'lane', l.due_at, coalesce(e.why, 'Work has been due for more than two minutes and no worker has it.'),
    case when e.since is null then 'Look at bilag.workers; start one: bilag worker.' else 'resume_everything.' end
  from bilag.export_lanes l cross join bilag_internal.everything_paused() as e where l.due_at < (select bilag_internal.clock_now()) - interval '2 minutes' and coalesce(l.lease_until, '-infinity') < (select bilag_internal.clock_now())
  union all
  select x.org_id, x.integration_type, 'run ' || x.id, x.waiting_since, coalesce(x.error ->> 'message', r.sentence), r.what_to_do
  from bilag.export_runs x left join bilag.reasons r on r.reason_code = x.waiting_reason_code
  where x.finished_at is null and x.status = 'waiting' and x.waiting_since < (select bilag_internal.clock_now()) - interval '15 minutes'
    and exists (select from bilag.integration_config c where c.id = x.integration_id and c.enabled)
  union all
  select x.org_id, x.integration_type, 'run ' || x.id, coalesce(x.waiting_since, x.enqueued_at), r.sentence, r.what_to_do
  from bilag.export_runs x join bilag.integration_config c on c.id = x.integration_id and not c.enabled
  join bilag.reasons r on r.reason_code = 'integration_disabled'
  where x.finished_at is null
  union all
  -- Not the message: what a vendor says of a voucher may repeat its texts, and observers read this.
  select i.org_id, i.integration_type, 'claim ' || c.claim_number, i.sent_at, replace(r.sentence, ': {message}', '.'), r.what_to_do
  from bilag.export_items i join bilag.expense_claims c on c.id = i.claim_id left join bilag.reasons r on r.reason_code = i.reason_code
  where i.next_look_at is not null and i.looks >= 3
) as s
join bilag.organizations o on o.id = s.org_id
order by s.since;

comment on view bilag.stuck is 'What does not move by itself, why, and what to do.';
comment on column bilag.stuck.what is 'integration, lane, run and its id, or claim and its number.';
comment on column bilag.stuck.since is 'Since when it stands still.';

create or replace view bilag.open_alerts with (security_invoker = true) as
select coalesce(a.details ->> 'severity', k.severity) as severity, a.kind, o.name as organization, a.integration_type, a.message, a.count, a.opened_at, a.last_seen_at, k.runbook,
  a.details, a.id, a.org_id
from bilag.alerts a
join bilag.alert_kinds k on k.kind = a.kind
left join bilag.organizations o on o.id = a.org_id
where a.resolved_at is null
order by array_position(array['critical', 'warning', 'info'], coalesce(a.details ->> 'severity', k.severity)), a.opened_at;

comment on view bilag.open_alerts is 'Problems that are open, the worst first, with the line of the runbook.';
comment on column bilag.open_alerts.count is 'How often it was seen since it was opened.';
comment on column bilag.open_alerts.runbook is 'What to do; docs/operations.md has more.';

create or replace view bilag.dead_letters with (security_invoker = true) as
select d.id, d.died_at, d.letter ->> 'queue' as queue, d.letter ->> 'reasonCode' as reason_code,
  d.letter -> 'reasonParams' as reason_params,
  bilag_internal.tell(d.letter ->> 'reasonCode', d.letter -> 'reasonParams') as reason, r.what_to_do,
  d.letter -> 'message' as message, (d.letter ->> 'readCount')::integer as read_count, (d.letter ->> 'runId')::uuid as run_id,
  (d.letter ->> 'integrationId')::uuid as integration_id
from bilag_internal.dead_letters() d
left join bilag.reasons r on r.reason_code = d.letter ->> 'reasonCode'
order by d.id;

comment on view bilag.dead_letters is 'Messages and runs that were set aside, with the reason: redrive or discard.';
comment on column bilag.dead_letters.read_count is 'How often the message was handed out before it was set aside.';
comment on column bilag.dead_letters.message is 'The message as it was found in its queue.';

create or replace view bilag.attempts with (security_invoker = true) as
select g."timestamp", o.name as organization, g.adapter_name, g.operation, g.attempt_number, g.total_attempts, g.error_class,
  g.http_status, g.error_message, g.duration_ms, g.correlation_id, g.run_id, g.org_id as organization_id
from bilag.integration_run_logs g
left join bilag.organizations o on o.id = g.org_id
order by g."timestamp" desc, g.id desc;

comment on view bilag.attempts is 'Every attempt of every call, the latest first.';

create or replace view bilag.workers with (security_invoker = true) as
select w.host, w.pid, w.version, w.running, w.started_at, w.last_seen_at,
  case when w.last_seen_at > (select bilag_internal.clock_now()) - interval '2 minutes' then 'alive' else 'gone' end as status,
  (select count(*) from bilag.export_lanes l where l.leased_by = w.worker_id and l.lease_until > (select bilag_internal.clock_now())) as lanes, w.worker_id
from bilag.worker_heartbeats w
where w.last_seen_at > (select bilag_internal.clock_now()) - interval '1 day'
order by w.last_seen_at desc;

comment on view bilag.workers is 'Workers seen in the last day.';
comment on column bilag.workers.running is 'Jobs in its hands, by its own last word.';
comment on column bilag.workers.lanes is 'Integrations that it holds by the database''s word.';
comment on column bilag.workers.status is 'alive, or gone: not heard of for two minutes.';

create or replace view bilag.schedule_drift with (security_invoker = true) as
select o.name as organization, r.integration_type, r.scheduled_for, r.enqueued_at, r.started_at,
  coalesce(r.started_at, (select bilag_internal.clock_now())) - r.scheduled_for as drift, r.status, r.id as run_id, r.org_id
from bilag.export_runs r join bilag.organizations o on o.id = r.org_id
where r.scheduled_for is not null
order by r.scheduled_for desc;

comment on view bilag.schedule_drift is 'Scheduled against actual time, also of runs that have not started.';
comment on column bilag.schedule_drift.drift is 'How much later than its slot the run started, or how late it is by now.';
