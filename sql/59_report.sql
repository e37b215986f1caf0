-- What a worker calls when jobs ended: one call settles many reports, moves their runs and hands out what is next; another, for
-- which nobody waits, writes the attempts down. Lock order: lanes, runs, items, organisations.

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

  if reports @? '$[*] ? (@.kind == "reconcile")' then
    perform bilag_internal.settle_reconciliations(reports);
  end if;
  perform bilag_internal.settle_failures(reports);
  perform bilag_internal.follow_exports(reports);
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
    and exists (select from bilag_internal.lanes_due(array[l.integration_id]) as d where d.due_at <= bilag_internal.now());
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
