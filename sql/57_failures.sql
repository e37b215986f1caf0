-- What a run does about a failure that was not any one voucher's: wait and try again on the schedule, wait for a new credential,
-- or fail.

create or replace function bilag_internal.settle_failures(reports jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  report record;
  pause_for interval;
  nth integer;
  of_credential boolean;
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
    -- The wait that the server asks for, six hours at the most. Until then the lane is quiet: a look would be refused like a batch.
    pause_for := case when report.retry_after is not null then make_interval(secs => least(report.retry_after, 6 * 3600))
      when report.reason_code = 'rate_limited' then interval '1 minute' end;
    if pause_for is not null then
      update bilag.export_lanes l set quiet_until = greatest(l.quiet_until, bilag_internal.now() + pause_for)
      where l.integration_id = report.integration_id;
    end if;
    -- Missing, expired or refused; one that could not be read is a failure that passes, like any other.
    of_credential := coalesce(report.reason_code like 'credential_%' and report.error ->> 'errorClass' = 'permanent', false);
    if of_credential then
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
    elsif report.lane_failures > 0 and report.error ->> 'httpStatus' is not null then
      -- A refusal is an answer, too: whoever asks to wait or says no is there.
      update bilag.export_lanes l set failures = 0, circuit_open_until = null where l.integration_id = report.integration_id;
    end if;
    if report.kind <> 'post' then
      -- The wait that a server asks for holds for looks too.
      update bilag.export_items i set next_look_at = greatest(i.next_look_at, bilag_internal.now() + pause_for)
      where i.id in (select (x ->> 'id')::bigint from jsonb_array_elements(report.results) as x) and i.next_look_at is not null;
      continue;
    end if;
    continue when report.run_id is null;

    if report.error ->> 'errorClass' = 'permanent' and not of_credential then
      update bilag.export_runs r set error = report.error where r.id = report.run_id;
      perform bilag_internal.finish_runs(array[report.run_id], forced => true);
      continue;
    end if;
    nth := case when report.reason_code = 'rate_limited' or of_credential then report.run_failures else report.run_failures + 1 end;
    if of_credential then
      pause_for := coalesce(pause_for, interval '1 second');
    elsif report.reason_code is distinct from 'rate_limited' then
      select greatest(s.wait, pause_for) into pause_for from bilag.retry_schedule s where s.failure = nth;
      if not found then
        update bilag.export_runs r set error = report.error where r.id = report.run_id;
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
