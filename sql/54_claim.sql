-- Claiming deletes the hint in the transaction that stamps the lease; what the hint was for is read from the lane. The verbs of the
-- hot path run with enable_seqscan off and generic plans: a session keeps their plans, which halves their time, and one that was
-- made while the tables were small would scan them when they are large.

create or replace function bilag_internal.rescue_items(integration_ids uuid[]) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  update bilag.export_items i
  set state = 'in_doubt', next_look_at = bilag_internal.now(), reason_code = 'interrupted', reason_params = '{}',
    -- The write may have begun as late as the lease allowed: from here on the time counts that an absence needs.
    absent_from = coalesce(bilag_internal.now() + t.absence_after, 'infinity'), message = bilag_internal.tell('interrupted', '{}')
  from bilag.export_lanes l
  join bilag.integration_types t on t.integration_type = l.integration_type
  where l.integration_id = any(integration_ids) and l.in_flight and coalesce(l.lease_until <= bilag_internal.now(), true)
    and i.run_id = l.run_id and i.state = 'sending';
  update bilag.export_lanes l set in_flight = false
  where l.integration_id = any(integration_ids) and l.in_flight and coalesce(l.lease_until <= bilag_internal.now(), true);
$$;

comment on function bilag_internal.rescue_items(uuid[]) is 'What a dead lease left `sending` is in doubt, and is looked at now.';

create or replace function bilag_internal.quarantine(integration_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  lane record;
begin
  for lane in
    select l.*, r.org_id as run_org from bilag.export_lanes l left join bilag.export_runs r on r.id = l.run_id
    where l.integration_id = any(integration_ids)
  loop
    perform bilag_internal.bury(jsonb_build_object('queue', 'bilag_exports', 'message', jsonb_build_object('integration_id', lane.integration_id),
      'reasonCode', 'too_many_deliveries', 'reasonParams', jsonb_build_object('deliveries', lane.deliveries),
      'integrationId', lane.integration_id, 'runId', lane.run_id));
    perform bilag_internal.raise_alert('dead_letter', coalesce(lane.run_id, lane.integration_id)::text, lane.org_id, lane.integration_type,
      bilag_internal.tell('too_many_deliveries', jsonb_build_object('deliveries', lane.deliveries)));
    if lane.run_id is not null then
      update bilag.export_runs r
      set error = jsonb_build_object('correlationId', coalesce(r.correlation_id, gen_random_uuid()), 'errorClass', 'permanent',
        'httpStatus', null, 'adapterName', lane.integration_type, 'attempt', lane.deliveries,
        'message', bilag_internal.tell('too_many_deliveries', jsonb_build_object('deliveries', lane.deliveries)), 'isRetryable', false)
      where r.id = lane.run_id;
      perform bilag_internal.finish_runs(array[lane.run_id], forced => true);
    else
      -- What cannot even be looked at without a crash is looked at once a day, and the alert stays.
      update bilag.export_items i set next_look_at = bilag_internal.now() + interval '1 day'
      where i.integration_id = lane.integration_id and i.next_look_at <= bilag_internal.now();
      update bilag.reconciliations r set due_at = bilag_internal.now() + interval '1 day', asking = '{}'
      where r.integration_id = lane.integration_id and r.finished_at is null and r.asking <> '{}';
    end if;
  end loop;
  update bilag.export_lanes l set deliveries = 0 where l.integration_id = any(integration_ids);
end $$;

comment on function bilag_internal.quarantine(uuid[]) is 'Ends the run of lanes that were handed out too often without progress.';

create or replace function bilag_internal.named_lane(message jsonb) returns uuid
language sql immutable
as $$
  select case when jsonb_typeof(message) = 'object' and jsonb_typeof(message -> 'integration_id') = 'string'
    and message ->> 'integration_id' ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'
    then (message ->> 'integration_id')::uuid end
$$;

comment on function bilag_internal.named_lane(jsonb) is 'The integration that a message names, or null when it is not one of ours.';

create or replace function bilag_internal.bury_garbage(
  garbage bigint[], hints bigint[], named uuid[], messages jsonb[], reads integer[]
) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  perform bilag_internal.bury(jsonb_build_object('queue', 'bilag_exports', 'message', u.message, 'readCount', u.read_ct,
    'reasonCode', case when u.lane is null then 'message_means_nothing' else 'lane_unknown' end, 'reasonParams', '{}'::jsonb))
  from unnest(hints, named, messages, reads) as u (msg_id, lane, message, read_ct)
  where u.msg_id = any(garbage);
  perform bilag_internal.raise_alert('dead_letter', 'bilag_exports', null, null, 'A message was set aside: see bilag.dead_letters.');
end $$;

comment on function bilag_internal.bury_garbage(bigint[], bigint[], uuid[], jsonb[], integer[]) is
  'Sets aside the messages that mean nothing, whole, and says so once.';

create or replace function bilag_internal.claim_exports(
  worker_id uuid, slots integer, lease_seconds integer, delivery_seconds integer
) returns setof jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set jit = off set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
  moment timestamptz := bilag_internal.now();
  here bilag.installation;
  hints bigint[];
  named uuid[];
  messages jsonb[];
  reads integer[];
  locked uuid[];
  held uuid[];
  broken uuid[];
  tired uuid[];
  understood bigint[];
  garbage bigint[];
  jobs integer;
begin
  perform bilag_internal.require_worker(worker_id);
  select i.* into here from bilag.installation i;
  if here.paused_at is not null or slots <= 0 then
    return;
  end if;

  -- Hints first, in their order; then lanes that are due without one, which waited in the table. A hint is used up whether or
  -- not it leads to work.
  select array_agg(h.msg_id), array_agg(bilag_internal.named_lane(h.message)), array_agg(h.message), array_agg(h.read_ct)
  into hints, named, messages, reads
  from bilag_internal.read_hints(slots) as h;
  with lanes as (
    select l.integration_id, l.due_at <= moment and coalesce(l.lease_until <= moment, true) as workable, l.deliveries, l.in_flight
    from bilag.export_lanes l
    where l.integration_id = any(named)
    for update skip locked
  )
  select coalesce(array_agg(l.integration_id), '{}'), coalesce(array_agg(l.integration_id) filter (where l.workable), '{}'),
    array_agg(l.integration_id) filter (where l.workable and l.in_flight),
    array_agg(l.integration_id) filter (where l.workable and l.deliveries >= 10)
  into locked, held, broken, tired
  from lanes l;
  if cardinality(held) < slots then
    with lanes as (
      select l.integration_id, l.deliveries, l.in_flight
      from bilag.export_lanes l
      where l.due_at <= moment and l.msg_id is null and l.integration_id <> all(locked) and coalesce(l.lease_until <= moment, true)
      order by l.due_at
      limit slots - cardinality(held)
      for update skip locked
    )
    select held || coalesce(array_agg(l.integration_id), '{}'),
      broken || array_agg(l.integration_id) filter (where l.in_flight),
      tired || array_agg(l.integration_id) filter (where l.deliveries >= 10)
    into held, broken, tired
    from lanes l;
  end if;

  if hints is not null then
    select array_agg(u.msg_id) filter (where u.lane = any(locked)),
      array_agg(u.msg_id) filter (where u.lane is null or not exists (
        select from bilag.export_lanes l where l.integration_id = u.lane))
    into understood, garbage
    from unnest(hints, named) as u (msg_id, lane);
    if garbage is not null then
      perform bilag_internal.bury_garbage(garbage, hints, named, messages, reads);
    end if;
    perform bilag_internal.drop_hints(understood || garbage);
    -- A lane that somebody holds must not keep those behind it from the few hands there are.
    if cardinality(hints) > coalesce(cardinality(understood), 0) + coalesce(cardinality(garbage), 0) then
      perform bilag_internal.put_off_hints(array(
        select u from unnest(hints) as u where u <> all(coalesce(understood || garbage, understood, garbage, '{}'))));
    end if;
    if exists (select from unnest(locked) as x where x <> all(held)) then
      update bilag.export_lanes l set msg_id = null
      where l.integration_id = any(locked) and l.integration_id <> all(held) and l.msg_id = any(understood);
    end if;
  end if;
  if cardinality(held) = 0 then
    return;
  end if;

  if broken is not null then
    perform bilag_internal.rescue_items(broken);
  end if;
  if tired is not null then
    perform bilag_internal.quarantine(tired);
  end if;
  return query select bilag_internal.advance(held, worker_id, lease_seconds, delivery_seconds);
  get diagnostics jobs = row_count;
  -- A null for each lane that needed no hands: there was work, and there may be more.
  return query select null::jsonb from generate_series(1, cardinality(held) - jobs);
end $$;

comment on function bilag_internal.claim_exports(uuid, integer, integer, integer) is
  'Leases up to so many lanes that have work and returns a job for each: claims, starts and marks in one call. A lane whose work needed no call gives null.';
