-- What a run does about a failure that was not any one voucher's: wait and try again on the schedule, wait for a new credential,
-- or fail.

create or replace function bilag_internal.settle_failures(reports jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  report record;
  pause_for interval;
  nth integer;
begin
  for report in
    select l.integration_id, l.org_id, l.integration_type, l.run_id, l.failures as lane_failures, l.credential_version as handed, c.credential_version, x.results, r.failures as run_failures,
      x.kind, x.failure -> 'error' as error, x.failure ->> 'reasonCode' as reason_code,
      (x.failure ->> 'retryAfterSeconds')::double precision as retry_after
    from jsonb_to_recordset(reports) as x (lane uuid, token uuid, kind text, failure jsonb, results jsonb)
    join bilag.export_lanes l on l.integration_id = x.lane and l.lease_token = x.token
    join bilag.integration_config c on c.id = x.lane
    left join bilag.export_runs r on r.id = l.run_id
    where jsonb_typeof(x.failure) = 'object'
    order by l.integration_id
  loop
    -- least() passes null over.
    pause_for := case when report.retry_after is not null then make_interval(secs => least(report.retry_after, 6 * 3600)) end;
    if report.reason_code like 'credential_%' and report.error ->> 'errorClass' = 'permanent' then
      -- A credential that was replaced while the job ran has not been tried yet.
      continue when report.handed is distinct from report.credential_version;
      perform bilag_internal.pause(array(
        -- Whose settings somebody is changing right now is tried again, and paused then.
        select c.id from bilag.integration_config c where c.id = report.integration_id for no key update skip locked),
        report.reason_code, bilag_internal.tell(report.reason_code, '{}'));
      perform bilag_internal.raise_alert('credential', report.integration_id::text, report.org_id, report.integration_type,
        bilag_internal.tell(report.reason_code, '{}'));
    elsif report.error ->> 'errorClass' <> 'permanent' and report.reason_code is distinct from 'rate_limited' then
      -- Infrastructure: five times in a row opens the circuit; it half-opens by time, with one batch as the probe.
      update bilag.export_lanes l
      set failures = l.failures + 1,
        circuit_open_until = case when l.failures + 1 >= 5
          then bilag_internal.now() + least(interval '1 minute' * power(2, least(l.failures + 1 - 5, 10)), interval '30 minutes') end
      where l.integration_id = report.integration_id;
      if report.lane_failures + 1 >= 5 then
        perform bilag_internal.raise_alert('circuit_open', report.integration_id::text, report.org_id, report.integration_type,
          bilag_internal.tell('circuit_open', '{}'));
      end if;
    end if;
    if report.kind <> 'post' then
      -- The wait that a server asks for holds for looks too.
      update bilag.export_items i set next_look_at = greatest(i.next_look_at, bilag_internal.now() + pause_for)
      where i.id in (select (x ->> 'id')::bigint from jsonb_array_elements(report.results) as x) and i.next_look_at is not null;
      continue;
    end if;
    continue when report.run_id is null;

    if report.error ->> 'errorClass' = 'permanent' and coalesce(report.reason_code, '') not like 'credential_%' then
      update bilag.export_runs r set error = report.error where r.id = report.run_id;
      perform bilag_internal.finish_runs(array[report.run_id], forced => true);
      continue;
    end if;
    nth := case when report.reason_code = 'rate_limited' or report.reason_code like 'credential_%'
      then report.run_failures else report.run_failures + 1 end;
    if report.reason_code = 'rate_limited' then
      pause_for := coalesce(pause_for, interval '1 minute');
    elsif report.reason_code like 'credential_%' then
      pause_for := coalesce(pause_for, interval '1 second');
    else
      select greatest(s.wait, pause_for) into pause_for from bilag.retry_schedule s where s.failure = nth;
      if not found then
        update bilag.export_runs r set error = report.error || jsonb_build_object('isRetryable', false) where r.id = report.run_id;
        perform bilag_internal.finish_runs(array[report.run_id], forced => true);
        continue;
      end if;
    end if;
    update bilag.export_runs r
    set status = 'waiting', failures = nth, error = report.error, due_at = bilag_internal.now() + pause_for,
      waiting_since = bilag_internal.now(), waiting_reason_code = case
        when report.reason_code is null or report.reason_code = '' then 'retry_later' else report.reason_code end
    where r.id = report.run_id;
  end loop;

  -- A batch that went through closes the circuit and forgets earlier failures.
  update bilag.export_lanes l set failures = 0, circuit_open_until = null
  from jsonb_to_recordset(reports) as x (lane uuid, token uuid, failure jsonb, results jsonb)
  where l.integration_id = x.lane and l.lease_token = x.token and coalesce(jsonb_typeof(x.failure), 'null') = 'null'
    and l.failures > 0 and x.results @? '$[*] ? (@.outcome != "unsent" && @.outcome != "unknown")';
  update bilag.export_runs r set failures = 0, error = null
  from jsonb_to_recordset(reports) as x (lane uuid, token uuid, kind text, failure jsonb)
  join bilag.export_lanes l on l.integration_id = x.lane and l.lease_token = x.token
  where r.id = l.run_id and x.kind = 'post' and coalesce(jsonb_typeof(x.failure), 'null') = 'null' and (r.failures > 0 or r.error is not null);
  perform bilag_internal.resolve_alert('circuit_open', a.problem_key, 'a call went through')
  from jsonb_to_recordset(reports) as x (lane uuid)
  join bilag.alerts a on a.kind = 'circuit_open' and a.resolved_at is null and a.problem_key = x.lane::text
  join bilag.export_lanes l on l.integration_id = x.lane and l.failures = 0;
end $$;

comment on function bilag_internal.settle_failures(jsonb) is 'Back-off, pause, circuit or end, for each reported failure of a lane that is still leased.';

create or replace function bilag_internal.settle_exports(worker_id uuid, reports jsonb) returns setof jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set jit = off set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
  lanes uuid[];
  alive uuid[];
  going_on uuid[];
  waiting uuid[];
begin
  lanes := array(
    select l.integration_id from bilag.export_lanes l
    where l.integration_id = any(array(select x.lane from jsonb_to_recordset(reports) as x (lane uuid)))
    order by l.integration_id for update skip locked);
  -- A lane that somebody holds, in a transaction that may be open for long, keeps nobody else's outcomes waiting: tell it again later.
  return query
    select jsonb_build_object('kind', 'later', 'lane', x.lane, 'token', x.token)
    from jsonb_to_recordset(reports) as x (lane uuid, token uuid)
    where x.lane <> all(lanes) and exists (select from bilag.export_lanes l where l.integration_id = x.lane);
  select jsonb_agg(r.report order by r.n) into reports
  from jsonb_array_elements(reports) with ordinality as r (report, n)
  where (r.report ->> 'lane')::uuid = any(lanes);
  if reports is null then
    return;
  end if;
  -- One lane may report twice at once, a late report and a newer one: they are told one after the other, as they came.
  for turn in 1 .. (
    select max(x.times) from (select count(*) as times from jsonb_to_recordset(reports) as r (lane uuid) group by r.lane) as x
  ) loop
    perform bilag_internal.settle_items((
      select jsonb_agg(x.report)
      from (
        select r.report, row_number() over (partition by r.report ->> 'lane' order by r.n) as nth
        from jsonb_array_elements(reports) with ordinality as r (report, n)
      ) as x
      where x.nth = turn));
  end loop;

  select array_agg(l.integration_id) into alive
  from jsonb_to_recordset(reports) as x (lane uuid, token uuid)
  join bilag.export_lanes l on l.integration_id = x.lane and l.lease_token = x.token and l.integration_id = any(lanes);
  -- What a report forgets was sent all the same.
  update bilag.export_items i
  set state = 'in_doubt', next_look_at = bilag_internal.now(), reason_code = 'unanswered', reason_params = '{}',
    absent_from = coalesce(bilag_internal.now() + t.absence_after, 'infinity'), message = bilag_internal.tell('unanswered', '{}')
  from bilag.export_lanes l
  join bilag.integration_types t on t.integration_type = l.integration_type
  where l.integration_id = any(alive) and l.in_flight and l.sending > (
      select coalesce(sum(jsonb_array_length(x.results)), 0)
      from jsonb_to_recordset(reports) as x (lane uuid, token uuid, results jsonb)
      where x.lane = l.integration_id and x.token = l.lease_token)
    and i.run_id = l.run_id and i.state = 'sending';
  -- Any outcome at all is progress: the job did not crash.
  update bilag.export_lanes l
  set deliveries = 0, in_flight = false, deliver_until = bilag_internal.now() + make_interval(secs => l.delivery_seconds)
  where l.integration_id = any(alive);
  -- A new group of suspects acquits the rest of the old one.
  update bilag.export_items i set suspect = false
  from bilag.export_lanes l, jsonb_to_recordset(reports) as x (lane uuid, results jsonb)
  where l.integration_id = any(alive) and x.lane = l.integration_id and i.run_id = l.run_id and i.suspect and i.state = 'pending'
    and x.results @? '$[*] ? (@.outcome == "refused")'
    and not x.results @> jsonb_build_array(jsonb_build_object('id', i.id, 'outcome', 'refused'));

  perform bilag_internal.settle_failures(reports);
  perform bilag_internal.finish_runs(array(
    select r.id from bilag.export_lanes l join bilag.export_runs r on r.id = l.run_id
    where l.integration_id = any(alive) and r.cancel_requested_at is not null and r.finished_at is null));

  select array_agg(distinct i.run_id) into waiting
  from bilag.export_items i
  cross join lateral (select r.status, r.due_at, r.finished_at from bilag.export_runs r where r.id = i.run_id offset 0) as r
  where i.id = any(array(select x.id from bilag_internal.results(reports) x))
    and r.status = 'waiting' and r.finished_at is null and (r.due_at = 'infinity' or not exists (
      -- On the ladder, but a look has settled its last voucher.
      select from bilag.export_items o where o.run_id = i.run_id and o.state in ('pending', 'sending', 'accepted', 'in_doubt')));
  perform bilag_internal.finish_runs(waiting);

  select array_agg(l.integration_id) into going_on
  from jsonb_to_recordset(reports) as x (lane uuid, release boolean)
  join bilag.export_lanes l on l.integration_id = x.lane and l.integration_id = any(alive)
  cross join bilag.installation h
  where l.integration_id = any(alive) and not coalesce(x.release, false) and h.paused_at is null
    and l.leased_at > bilag_internal.now() - interval '1 minute'  -- then the tail of the queue, so that no tenant starves another
    and bilag_internal.lane_due(l) <= bilag_internal.now();
  perform bilag_internal.release_lanes(array(select a from unnest(alive) as a where a <> all(coalesce(going_on, '{}'))));
  perform bilag_internal.wake_lanes(array(select a from unnest(lanes) as a where a <> all(coalesce(alive, '{}'))));
  if going_on is not null then
    return query select bilag_internal.advance(going_on);
  end if;
end $$;

comment on function bilag_internal.settle_exports(uuid, jsonb) is
  'Settles reports, moves their runs, and returns the next job of each lane that goes on: one call for all coroutines that wait. {"kind": "later", lane, token} for a report that is to be told again.';

create or replace function bilag_internal.log_attempts(entries jsonb) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  insert into bilag.integration_run_logs (
    correlation_id, org_id, integration_type, run_id, adapter_name, operation, attempt_number, total_attempts, error_class,
    http_status, error_message, duration_ms, "timestamp")
  select e.correlation_id, e.org_id, e.integration_type, e.run_id, e.adapter_name, e.operation, e.attempt_number, e.total_attempts,
    e.error_class, e.http_status, left(e.error_message, 500), e.duration_ms, coalesce(e."timestamp", bilag_internal.now())
  from jsonb_to_recordset(entries) as e (
    correlation_id uuid, org_id uuid, integration_type text, run_id uuid, adapter_name text, operation text, attempt_number integer,
    total_attempts integer, error_class text, http_status integer, error_message text, duration_ms integer, "timestamp" timestamptz)
$$;

comment on function bilag_internal.log_attempts(jsonb) is 'Writes attempt rows, many at once; nothing waits for them.';
