-- What a leased lane does next: look at doubtful or accepted items that are due, else send the next batch of its run, else end the
-- run. Claiming and settling both come here, so that a lane goes on in the call that settled its last batch.

-- Marks the next batch of each run `sending`, with everything that recovery will need, before anything is sent. While there are
-- suspects, half of the suspects go: if they pass, the culprit is in the other half, which is then halved without being sent.
create or replace function bilag_internal.mark_batches(integration_ids uuid[])
returns table (integration_id uuid, items bigint[])
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
  with batch as (
    select l.integration_id, l.lease_token, r.id as run_id, r.correlation_id, p.id,
      translate(substr(encode(sha256(convert_to(l.lease_token::text, 'UTF8')), 'hex'), 1, 10), '0123456789abcdef', 'GHJKLMNPQRSTVWXZ') as vehicle,
      (select string_agg(coalesce(c.settings ->> k, ''), '|' order by k) from unnest(t.identity_settings) as k) as ledger_key
    from bilag.export_lanes l
    join bilag.export_runs r on r.id = l.run_id
    join bilag.integration_config c on c.id = l.integration_id
    join bilag.integration_types t on t.integration_type = l.integration_type
    cross join lateral (
      select exists (
        select from bilag.export_items i where i.run_id = r.id and i.suspect and i.state = 'pending') as suspecting
    ) as q
    cross join lateral (
      select w.id
      from (
        select i.id, count(*) over () as candidates,
          row_number() over (order by i.position) as n, sum(i.line_count) over (order by i.position) as lines
        from (
          select i.id, i.position, i.line_count from bilag.export_items i
          where i.run_id = r.id and i.position >= r.next_position and i.state = 'pending' and i.suspect = q.suspecting
          order by i.position
          limit t.vouchers_per_batch
        ) as i
      ) as w
      where w.n = 1 or (w.lines <= t.lines_per_batch and (not q.suspecting or w.n <= (w.candidates + 1) / 2))
    ) as p
    where l.integration_id = any(integration_ids)
  ), marked as (
    update bilag.export_items i
    set state = 'sending', attempt = i.attempt + 1, sent_at = bilag_internal.now(), answered = false, look_first = false,
      correlation_id = b.correlation_id, vehicle = b.vehicle, ledger_key = b.ledger_key, looks = 0
    from batch b
    where i.id = b.id
    returning i.integration_id, i.id
  )
  select m.integration_id, array_agg(m.id) from marked m group by m.integration_id;

  -- Where the next batch starts looking: behind what was just marked, unless something before it is pending.
  update bilag.export_runs r
  set next_position = coalesce((
    select i.position from bilag.export_items i
    where i.run_id = r.id and i.position >= r.next_position and i.state = 'pending' order by i.position limit 1), r.item_count + 1)
  from bilag.export_lanes l
  where l.integration_id = any(integration_ids) and r.id = l.run_id;

  update bilag.export_lanes l set in_flight = true where l.integration_id = any(integration_ids);
  -- The mark must survive a crash whatever the role's setting says; a SET on the function would be undone before the commit.
  perform set_config('synchronous_commit', 'on', true);
end $$;

comment on function bilag_internal.mark_batches(uuid[]) is 'Write-ahead: marks what is about to be sent, and no more.';

-- Items of a lane to look up now: doubtful ones first, else accepted ones.
create or replace function bilag_internal.due_looks(integration_id uuid, batch_limit integer)
returns table (kind text, items bigint[])
language sql stable
as $$
  with due as (
    select i.id, i.state from bilag.export_items i
    where i.integration_id = due_looks.integration_id and i.next_look_at <= bilag_internal.now()
    order by i.next_look_at limit 1000
  ), one as (
    select case when bool_or(d.state = 'in_doubt') then 'in_doubt' else 'accepted' end as state from due d having count(*) > 0
  )
  select case o.state when 'in_doubt' then 'find' else 'confirm' end,
    array(select d.id from due d where d.state = o.state limit batch_limit)
  from one o
$$;

comment on function bilag_internal.due_looks(uuid, integer) is 'The next look-up of a lane, if one is due.';

create or replace function bilag_internal.advance(integration_ids uuid[]) returns setof jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  looking uuid[];
  sending uuid[];
  marked jsonb;
  ended uuid[];
  begun uuid[];
begin
  -- A token of its own for each job: a report that is told twice finds another token and changes nothing.
  update bilag.export_lanes l
  set lease_token = gen_random_uuid(), in_flight = false,
    credential_version = (select c.credential_version from bilag.integration_config c where c.id = l.integration_id),
    run_id = coalesce(l.run_id, (
      select r.id from bilag.export_runs r
      where r.integration_id = l.integration_id and r.finished_at is null and r.due_at <= bilag_internal.now()
      order by r.due_at, r.id limit 1)),
    lease_until = least(bilag_internal.now() + make_interval(secs => l.lease_seconds), l.deliver_until)
  where l.integration_id = any(integration_ids);

  select array_agg(l.integration_id) into looking
  from bilag.export_lanes l
  where l.integration_id = any(integration_ids) and exists (
    select from bilag.export_items i where i.integration_id = l.integration_id and i.next_look_at <= bilag_internal.now());

  select array_agg(r.id) into ended
  from bilag.export_lanes l join bilag.export_runs r on r.id = l.run_id
  where l.integration_id = any(integration_ids) and r.cancel_requested_at is not null;
  perform bilag_internal.finish_runs(ended);

  select array_agg(l.integration_id), array_agg(r.id) filter (where r.started_at is null)
  into sending, begun
  from bilag.export_lanes l join bilag.export_runs r on r.id = l.run_id
  where l.integration_id = any(integration_ids) and r.due_at <= bilag_internal.now()
    and l.integration_id <> all(coalesce(looking, '{}'));
  if begun is not null then
    perform bilag_internal.start_runs(begun);
    if exists (select from bilag.installation i where i.recover_before is not null) then
      perform bilag_internal.doubt_recovered(begun);
    end if;
  end if;

  if sending is not null then
    update bilag.export_runs r
    set status = 'running', waiting_since = null, waiting_reason_code = null, correlation_id = gen_random_uuid()
    from bilag.export_lanes l
    where l.integration_id = any(sending) and r.id = l.run_id;

    select array_agg(r.id) into ended
    from bilag.export_lanes l join bilag.export_runs r on r.id = l.run_id
    where l.integration_id = any(sending) and not exists (
      select from bilag.export_items i where i.run_id = r.id and i.position >= r.next_position and i.state = 'pending');
    if ended is not null then
      select array_agg(l.integration_id) into sending
      from bilag.export_lanes l where l.integration_id = any(sending) and l.run_id <> all(ended);
      perform bilag_internal.finish_runs(ended);
    end if;
    if sending is not null then
      select jsonb_object_agg(m.integration_id, to_jsonb(m.items)) into marked from bilag_internal.mark_batches(sending) m;
    end if;
  end if;

  -- All that a worker needs for one invocation, secrets apart.
  return query
    select jsonb_build_object(
      'lane', l.integration_id, 'token', l.lease_token, 'leaseSeconds', l.lease_seconds, 'deliverySeconds', l.delivery_seconds,
      'runId', case when w.kind = 'post' then r.id end, 'orgId', l.org_id, 'integrationType', l.integration_type,
      'settings', c.settings, 'credentialVersion', c.credential_version, 'kind', w.kind,
      'correlationId', case when w.kind = 'post' then r.correlation_id else gen_random_uuid() end,
      'vehicle', min(i.vehicle), 'absenceAfterSeconds', extract(epoch from t.absence_after),
      'items', jsonb_agg(jsonb_build_object(
        'id', i.id, 'attempt', i.attempt, 'sentAt', i.sent_at, 'answered', i.answered, 'externalId', i.external_id,
        'voucher', i.voucher) order by i.id))
    from (
      select m.key::uuid as integration_id, 'post' as kind, e::bigint as item_id
      from jsonb_each(marked) as m cross join lateral jsonb_array_elements_text(m.value) as e
      union all
      select x.integration_id, k.kind, unnest(k.items)
      from bilag.export_lanes x
      join bilag.integration_types t on t.integration_type = x.integration_type
      cross join lateral bilag_internal.due_looks(x.integration_id, t.vouchers_per_batch) as k
      where x.integration_id = any(looking)
    ) as w
    join bilag.export_items i on i.id = w.item_id
    join bilag.export_lanes l on l.integration_id = w.integration_id
    join bilag.integration_config c on c.id = l.integration_id
    join bilag.integration_types t on t.integration_type = c.integration_type
    left join bilag.export_runs r on r.id = l.run_id
    group by l.integration_id, c.id, t.integration_type, r.id, w.kind;

  perform bilag_internal.release_lanes(array(
    select i from unnest(integration_ids) as i where i <> all(coalesce(looking, '{}')) and i <> all(coalesce(sending, '{}'))));
end $$;

comment on function bilag_internal.advance(uuid[]) is
  'The next job of each lane that the caller holds; lanes without one are released.';
