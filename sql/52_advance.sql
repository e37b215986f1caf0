-- What a leased lane does next: look at doubtful or accepted items that are due, else send the next batch of its run, else end the
-- run. Claiming and settling both come here, so that a lane goes on in the call that settled its last batch.

-- Items of a lane to look up now: doubtful ones first, else accepted ones and booked ones that a person wants to correct. What waits
-- longest comes first.
create or replace function bilag_internal.looks_due(integration_id uuid, batch_limit integer) returns setof bigint
language sql stable
as $$
  with due as (
    select i.id, i.state = 'in_doubt' as doubtful, i.next_look_at from bilag.export_items i
    where i.integration_id = looks_due.integration_id and i.next_look_at <= bilag_internal.now()
    order by i.next_look_at limit 1000
  )
  select d.id from due d
  where d.doubtful = (select bool_or(o.doubtful) from due o)
  order by d.next_look_at limit batch_limit
$$;

comment on function bilag_internal.looks_due(uuid, integer) is 'The next look-up of a lane: items of one kind, none if no look is due.';

-- Called by a claim with its worker, and by a settle without: then the lease goes on as it was stamped.
create or replace function bilag_internal.advance(
  integration_ids uuid[], worker_id uuid default null, lease_seconds integer default null, delivery_seconds integer default null
) returns setof jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  moment timestamptz := bilag_internal.now();
  idle uuid[];
  looking uuid[];
  sending uuid[];
  posting uuid[];
  ended uuid[];
  begun uuid[];
  marked bigint[];
  looked bigint[];
  asking uuid[];
begin
  if not bilag_internal.server_is_known() then
    perform bilag_internal.recognise_server();
    return;
  end if;
  if worker_id is not null then
    idle := bilag_internal.end_idle_runs(integration_ids);
    integration_ids := array(select i from unnest(integration_ids) as i where i <> all(idle));
    if cardinality(integration_ids) = 0 then
      return;
    end if;
  end if;
  -- A token of its own for each job: a report that is told twice finds another token and changes nothing.
  with leased as (
    update bilag.export_lanes l
    set lease_token = gen_random_uuid(), in_flight = false, msg_id = case when worker_id is null then l.msg_id end,
      run_id = coalesce(l.run_id, (
        select r.id from bilag.export_runs r
        where r.integration_id = l.integration_id and r.finished_at is null and r.due_at <= moment
        order by r.due_at, r.id limit 1)),
      credential_version = (select c.credential_version from bilag.integration_config c where c.id = l.integration_id),
      leased_at = case when worker_id is null then l.leased_at else moment end,
      leased_by = coalesce(advance.worker_id, l.leased_by),
      lease_seconds = coalesce(advance.lease_seconds, l.lease_seconds),
      delivery_seconds = coalesce(advance.delivery_seconds, l.delivery_seconds),
      deliver_until = case when worker_id is null then l.deliver_until
        else moment + make_interval(secs => advance.delivery_seconds) end,
      lease_until = case when worker_id is null then least(moment + make_interval(secs => l.lease_seconds), l.deliver_until)
        else moment + make_interval(secs => advance.lease_seconds) end,
      deliveries = l.deliveries + case when worker_id is null then 0 else 1 end
    where l.integration_id = any(integration_ids)
    returning l.integration_id, l.run_id
  )
  select array_agg(l.integration_id) filter (where k.due), array_agg(l.run_id) filter (where not k.due)
  into looking, posting
  from leased l
  cross join lateral (
    select exists (
      select from bilag.export_items i where i.integration_id = l.integration_id and i.next_look_at <= moment) as due
    offset 0
  ) as k;

  select array_agg(r.id) filter (where r.cancel_requested_at is not null),
    array_agg(r.id) filter (where r.cancel_requested_at is null and r.due_at <= moment),
    array_agg(r.id) filter (where r.cancel_requested_at is null and r.due_at <= moment and not r.took_all and not exists (
      select from bilag.export_items i where i.run_id = r.id and i.position >= r.next_position and i.state = 'pending'))
  into ended, posting, begun
  from bilag.export_runs r
  where r.id = any(posting) and r.finished_at is null;
  perform bilag_internal.finish_runs(ended);
  if begun is not null then
    perform bilag_internal.start_runs_apart(begun);
    if exists (select from bilag.installation i where i.recover_before is not null) then
      perform bilag_internal.doubt_recovered(begun);
    end if;
  end if;

  if posting is not null then
    select array_agg(r.id) into ended
    from bilag.export_runs r
    where r.id = any(posting) and r.took_all and not exists (
      select from bilag.export_items i where i.run_id = r.id and i.position >= r.next_position and i.state = 'pending');
    perform bilag_internal.finish_runs(ended);
    -- What is left: not at its end, and with something to send; a piece without any is followed by the next one in another delivery.
    posting := array(
      select r.id from bilag.export_runs r
      where r.id = any(posting) and r.finished_at is null and exists (
        select from bilag.export_items i where i.run_id = r.id and i.position >= r.next_position and i.state = 'pending'));
    if cardinality(posting) > 0 then
      marked := bilag_internal.mark_batches(posting);
      with flying as (
        update bilag.export_lanes l set in_flight = true, sending = m.sending
        from (select i.run_id, count(*) as sending from bilag.export_items i where i.id = any(marked) group by i.run_id) as m
        where l.integration_id = any(integration_ids) and l.run_id = m.run_id
        returning l.integration_id
      )
      select array_agg(f.integration_id) into sending from flying f;
    end if;
  end if;

  if looking is not null then
    select array_agg(k) into looked
    from bilag.export_lanes x
    join bilag.integration_types t on t.integration_type = x.integration_type
    cross join lateral bilag_internal.looks_due(x.integration_id, t.vouchers_per_batch) as k
    where x.integration_id = any(looking);
    -- The ledger that is asked about what is in doubt is the one that has it, if it is found: its settings are kept until then.
    update bilag.export_items i set looked_at = moment, ledger_key = case when i.state <> 'in_doubt' then i.ledger_key else (
      select bilag_internal.ledger_key(c.settings, t.identity_settings)
      from bilag.integration_config c join bilag.integration_types t on t.integration_type = c.integration_type
      where c.id = i.integration_id) end
    where i.id = any(looked);
  end if;
  -- Whoever has nothing to send and nothing to look at may ask what stands.
  if exists (
    select from bilag.reconciliations r
    where r.integration_id = any(integration_ids) and r.finished_at is null and r.due_at <= moment
  ) then
    asking := bilag_internal.ask_what_stands(array(
      select i from unnest(integration_ids) as i where i <> all(coalesce(looking, '{}')) and i <> all(coalesce(sending, '{}'))));
    return query select bilag_internal.questions(asking);
  end if;
  -- All that a worker needs for one invocation, secrets apart.
  return query
    select jsonb_build_object(
      'lane', l.integration_id, 'token', l.lease_token, 'leaseSeconds', l.lease_seconds, 'deliverySeconds', l.delivery_seconds,
      'runId', case when i.kind = 'post' then r.id end, 'orgId', l.org_id, 'integrationType', l.integration_type,
      'settings', coalesce((select f.settings from bilag_internal.files_begun f where f.run_id = r.id), c.settings),
      'allowedHosts', t.allowed_hosts, 'credentialVersion', c.credential_version, 'kind', i.kind,
      'correlationId', case when i.kind = 'post' then r.correlation_id else gen_random_uuid() end,
      'absenceAfterSeconds', extract(epoch from t.absence_after),
      'items', jsonb_agg(jsonb_build_object(
        'id', i.id, 'attempt', i.attempt, 'sentAt', i.sent_at, 'answered', i.answered, 'externalId', i.external_id,
        'recovered', i.look_first, 'lastLook', i.last_look,
        'vehicle', i.vehicle, 'revocable', i.kind <> 'find' or not exists (
          -- What was accepted, or is being sent, must not lose its vehicle to a look-up of what travelled beside it.
          select from bilag.export_items m
          where m.run_id = i.run_id and m.vehicle = i.vehicle and m.state in ('accepted', 'sending')),
        'voucher', i.voucher) order by i.voucher_number, i.id))
    from (
      select i.*, case when i.id = any(marked) then 'post' when i.state = 'in_doubt' then 'find' else 'confirm' end as kind
      from bilag.export_items i
      where i.id = any(marked || looked)
      offset 0
    ) as i
    join bilag.export_lanes l on l.integration_id = i.integration_id
    join bilag.integration_config c on c.id = l.integration_id
    join bilag.integration_types t on t.integration_type = c.integration_type
    left join bilag.export_runs r on r.id = l.run_id
    where l.integration_id = any(integration_ids)
    group by l.integration_id, c.id, t.integration_type, r.id, i.kind;

  perform bilag_internal.release_lanes(array(
    select i from unnest(integration_ids) as i where i <> all(coalesce(looking, '{}')) and i <> all(coalesce(sending, '{}'))
      and i <> all(coalesce(asking, '{}'))));
end $$;

comment on function bilag_internal.advance(uuid[], uuid, integer, integer) is
  'The next job of each lane that the caller holds; lanes without one are released.';
