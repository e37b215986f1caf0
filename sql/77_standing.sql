-- The work of a reconciliation, by whoever holds the lane: which vouchers are asked about next, and what was answered. What people see
-- of it is in 76_reconciliations.sql, what does not stand in 78_findings.sql.

create or replace function bilag_internal.vouchers_to_ask(r bilag.reconciliations, quantity integer) returns setof bigint
language sql stable
as $$
  select i.id from bilag.export_items i
  where i.integration_id = r.integration_id and i.posting_date between r.from_date and r.to_date
    and (i.posting_date, i.id) > (r.asked_day, r.asked_item)
    and i.state = 'exported' and i.voucher is not null and i.booked_at <= r.requested_at
    and i.ledger_key is not distinct from (
      select bilag_internal.ledger_key(c.settings, t.identity_settings)
      from bilag.integration_config c join bilag.integration_types t on t.integration_type = c.integration_type where c.id = r.integration_id)
  order by i.posting_date, i.id limit quantity
$$;

comment on function bilag_internal.vouchers_to_ask(bilag.reconciliations, integer) is 'The next vouchers of a reconciliation, in the order of its cursor.';

-- Called by advance() for lanes that have nothing to send and nothing to look at.
create or replace function bilag_internal.ask_what_stands(integration_ids uuid[]) returns uuid[]
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  r bilag.reconciliations;
  quantity integer;
  batch bigint[];
  asked uuid[];
begin
  for r in
    select distinct on (x.integration_id) x.* from bilag.reconciliations x
    where x.integration_id = any(integration_ids) and x.finished_at is null and x.due_at <= bilag_internal.now()
    order by x.integration_id, x.due_at, x.requested_at
  loop
    select t.vouchers_per_batch into quantity from bilag.integration_types t where t.integration_type = r.integration_type;
    batch := array(select bilag_internal.vouchers_to_ask(r, quantity));
    if cardinality(batch) = 0 then
      batch := array(
        select f.item_id from bilag.reconciliation_findings f
        where f.reconciliation_id = r.id and f.finding = 'unknown' and f.resolved_at is null and f.asks < 5
        order by f.asks, f.item_id limit quantity);
    end if;
    if cardinality(batch) = 0 then
      perform bilag_internal.end_reconciliation(r.id, null);
      continue;
    end if;
    update bilag.reconciliations x
    set asking = batch, status = 'running', started_at = coalesce(x.started_at, bilag_internal.now()) where x.id = r.id;
    asked := asked || r.integration_id;
  end loop;
  return asked;
end $$;

comment on function bilag_internal.ask_what_stands(uuid[]) is
  'Chooses the next batch of the reconciliations of idle lanes and returns the lanes that have one; ends those that have asked about everything.';

create or replace function bilag_internal.questions(integration_ids uuid[]) returns setof jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object(
    'lane', l.integration_id, 'token', l.lease_token, 'leaseSeconds', l.lease_seconds, 'deliverySeconds', l.delivery_seconds,
    'runId', null, 'orgId', l.org_id, 'integrationType', l.integration_type, 'settings', c.settings, 'allowedHosts', t.allowed_hosts,
    'credentialVersion', c.credential_version, 'kind', 'reconcile', 'correlationId', gen_random_uuid(),
    'vehicle', min(i.vehicle), 'absenceAfterSeconds', extract(epoch from t.absence_after),
    'items', jsonb_agg(jsonb_build_object(
      'id', i.id, 'attempt', i.attempt, 'sentAt', i.sent_at, 'answered', i.answered, 'externalId', i.external_id, 'vehicle', i.vehicle,
      'recovered', false, 'lastLook', false, 'voucher', i.voucher) order by i.voucher_number, i.id))
  from bilag.reconciliations r
  join bilag.export_lanes l on l.integration_id = r.integration_id
  join bilag.integration_config c on c.id = r.integration_id
  join bilag.integration_types t on t.integration_type = r.integration_type
  join bilag.export_items i on i.id = any(r.asking)
  where r.integration_id = any(integration_ids) and r.finished_at is null and r.due_at <= bilag_internal.now() and r.asking <> '{}'
    and r.id = (
      select x.id from bilag.reconciliations x
      where x.integration_id = r.integration_id and x.finished_at is null and x.due_at <= bilag_internal.now()
      order by x.due_at, x.requested_at limit 1)
  group by l.integration_id, c.id, t.integration_type
$$;

comment on function bilag_internal.questions(uuid[]) is 'The jobs of lanes that ask what stands: all that a worker needs.';

create or replace function bilag_internal.settle_reconciliations(reports jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  report record;
  r bilag.reconciliations;
  news boolean;
begin
  for report in
    -- Of a lease that is lost nothing is believed: it is asked again.
    select l.integration_id, x.results, x.failure
    from jsonb_to_recordset(reports) as x (lane uuid, token uuid, kind text, results jsonb, failure jsonb)
    join bilag.export_lanes l on l.integration_id = x.lane and l.lease_token = x.token
    where x.kind = 'reconcile' order by l.integration_id
  loop
    select o.* into r from bilag.reconciliations o
    where o.integration_id = report.integration_id and o.finished_at is null and o.asking <> '{}' and o.due_at <= bilag_internal.now()
    order by o.due_at, o.requested_at limit 1 for update;
    continue when not found;  -- cancelled meanwhile
    if jsonb_typeof(report.failure) = 'object' then
      perform bilag_internal.put_off(r, report.failure);
      continue;
    end if;
    news := bilag_internal.write_findings(r, report.results);
    update bilag.reconciliations o
    set asking = '{}', failures = 0, error = null, status = 'running',
      asked = o.asked + case when n.day is null then 0 else cardinality(r.asking) end,
      asked_day = coalesce(n.day, o.asked_day), asked_item = coalesce(n.item, o.asked_item)
    from (
      -- Null for those that are asked about once more: the cursor is past them.
      select max(l.posting_date) as day, max(l.id) as item
      from (
        select i.posting_date, i.id from bilag.export_items i
        where i.id = any(r.asking) and (i.posting_date, i.id) > (r.asked_day, r.asked_item)
        order by i.posting_date desc, i.id desc limit 1
      ) as l
    ) as n
    where o.id = r.id returning o.* into r;
    -- What nobody could tell is asked about again, ever later, once the rest is through.
    if not exists (select from bilag_internal.vouchers_to_ask(r, 1)) then
      update bilag.reconciliations o
      set due_at = bilag_internal.now() + bilag_internal.look_wait('in_doubt', u.asks - 1), status = 'waiting'
      from (
        select min(f.asks) as asks from bilag.reconciliation_findings f
        where f.reconciliation_id = r.id and f.finding = 'unknown' and f.resolved_at is null and f.asks < 5 having count(*) > 0
      ) as u
      where o.id = r.id;
    end if;
    if news then
      perform bilag_internal.judge_vanished(array[r.integration_id]);
    end if;
  end loop;
end $$;

comment on function bilag_internal.settle_reconciliations(jsonb) is 'Takes the answers about what stands; the cursor moves only here.';

create or replace function bilag_internal.put_off(r bilag.reconciliations, failure jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if failure -> 'error' ->> 'errorClass' = 'permanent' and coalesce(failure ->> 'reasonCode', '') not like 'credential_%' then
    perform bilag_internal.end_reconciliation(r.id, failure -> 'error');
    return;
  end if;
  update bilag.reconciliations o
  set asking = '{}', failures = o.failures + 1, status = 'waiting', error = failure -> 'error',
    due_at = bilag_internal.now() + greatest(bilag_internal.look_wait('in_doubt', o.failures),
      -- Capped as every wait that a server asks for; greatest() and least() pass null over.
      least(coalesce((failure ->> 'retryAfterSeconds')::double precision, 0), 6 * 3600) * interval '1 second')
  where o.id = r.id;
end $$;

comment on function bilag_internal.put_off(bilag.reconciliations, jsonb) is
  'A question that failed: it is asked again, ever later, unless the vendor refused it for good.';
