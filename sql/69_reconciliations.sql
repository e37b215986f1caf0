-- Does what was booked still stand? A reconciliation asks the vendor about every voucher of a period, a batch at a time, on the
-- integration's lane: looks and exports come first, and wait for one batch of it at the most. It asks by `confirm`, which never
-- writes, and changes no item: what does not stand is written down as a finding, and people decide. A batch whose answer is lost is
-- asked about again. Everything here is done by whoever holds the lane.

create or replace function bilag.request_reconciliation(org_id uuid, integration_type text, from_date date, to_date date) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  integration bilag.integration_config;
  kind bilag.integration_types;
  made uuid;
begin
  perform bilag_internal.require_finance(org_id);
  integration := bilag_internal.integration_of(org_id, integration_type);
  perform bilag_internal.require_period(from_date, to_date);
  select t.* into kind from bilag.integration_types t where t.integration_type = integration.integration_type;
  if not kind.finds or kind.makes_file then
    perform bilag_internal.complain('KB004', format('%s cannot be asked what it holds.', kind.display_name),
      'Compare bilag.export_report with the ledger by hand.');
  elsif not integration.enabled then
    perform bilag_internal.complain('KB004', format('The integration %s is disabled.', integration_type),
      'Set enabled to true in bilag.integration_config.');
  end if;
  perform from bilag.export_lanes l where l.integration_id = integration.id for update;
  select r.id into made from bilag.reconciliations r
  where r.integration_id = integration.id and r.finished_at is null
    and (r.from_date, r.to_date) = (request_reconciliation.from_date, request_reconciliation.to_date);
  if found then
    return made;
  end if;
  insert into bilag.reconciliations (
    org_id, integration_type, integration_id, from_date, to_date, due_at, requested_at, requested_by, requested_as, total, elsewhere)
  select integration.org_id, integration.integration_type, integration.id, request_reconciliation.from_date, request_reconciliation.to_date,
    bilag_internal.now(), bilag_internal.now(), bilag_internal.caller(), session_user,
    count(*) filter (where h.here), count(*) filter (where not h.here)
  from bilag.export_items i
  cross join lateral (
    select i.ledger_key is not distinct from bilag_internal.ledger_key(integration.settings, kind.identity_settings) as here
  ) as h
  where i.integration_id = integration.id and i.posting_date between request_reconciliation.from_date and request_reconciliation.to_date
    and i.state = 'exported' and i.voucher is not null and i.booked_at <= bilag_internal.now()
  returning id into made;
  perform bilag_internal.wake_lanes(array[integration.id]);
  perform pg_notify('bilag_wake', '');
  perform bilag_internal.audit(integration.org_id, 'reconciliation.requested', integration.integration_type, null, null,
    jsonb_build_object('reconciliationId', made, 'fromDate', request_reconciliation.from_date, 'toDate', request_reconciliation.to_date));
  return made;
end $$;

comment on function bilag.request_reconciliation(uuid, text, date, date) is
  'Asks the accounting system whether every voucher booked with a posting date in the period still stands. Returns the id to poll with reconciliation_status or export_status; while one of the same period is under way, that one.';

create or replace function bilag_internal.require_period(from_date date, to_date date) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
begin
  if from_date is null or to_date is null or from_date not between '1900-01-01' and '2200-01-01'
    or to_date not between '1900-01-01' and '2200-01-01' or from_date > to_date then
    perform bilag_internal.complain('KB001',
      format('%s to %s is no period.', coalesce(from_date::text, 'null'), coalesce(to_date::text, 'null')),
      'Say its first and its last day; both belong to it.');
  end if;
end $$;

comment on function bilag_internal.require_period(date, date) is 'Raises KB001 unless the two days make a period.';

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

create or replace function bilag_internal.reconciliation_due(integration_id uuid) returns timestamptz
language sql stable
as $$
  select r.due_at from bilag.reconciliations r
  where r.integration_id = reconciliation_due.integration_id and r.finished_at is null order by r.due_at limit 1
$$;

comment on function bilag_internal.reconciliation_due(uuid) is 'When a reconciliation of the lane goes on.';

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

create or replace function bilag_internal.write_findings(r bilag.reconciliations, results jsonb) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  standing bigint[];
begin
  select array_agg(x.id) into standing
  from jsonb_to_recordset(results) as x (id bigint, outcome text)
  where x.id = any(r.asking) and x.outcome in ('exported', 'accepted');
  perform bilag_internal.stand_again(standing, 'seen again');
  -- What a report forgets, nobody could tell; what was released or is being corrected meanwhile is no finding.
  insert into bilag.reconciliation_findings as f (reconciliation_id, item_id, org_id, integration_id, finding, message, found_at)
  select r.id, i.id, i.org_id, i.integration_id,
    case
      when x.outcome in ('absent', 'import_error') then x.outcome
      when x."reasonCode" = 'partial' then 'partial'
      else 'unknown' end,
    concat_ws(' ', left(x.message, 500), case when x.outcome = 'absent' and i.credential_version is distinct from c.credential_version
      then 'The credential was changed since: it may reach another ledger.' end), bilag_internal.now()
  from bilag.export_items i
  join bilag.integration_config c on c.id = i.integration_id
  left join jsonb_to_recordset(results) as x (id bigint, outcome text, message text, "reasonCode" text) on x.id = i.id
  where i.id = any(r.asking) and i.id <> all(coalesce(standing, '{}')) and i.state = 'exported'
  order by i.id
  on conflict (reconciliation_id, item_id) do update
  set finding = excluded.finding, message = excluded.message, asks = f.asks + 1, found_at = excluded.found_at, resolved_at = null, resolution = null;
  return found or cardinality(standing) > 0;
end $$;

comment on function bilag_internal.write_findings(bilag.reconciliations, jsonb) is 'Writes down what does not stand, and closes what stands again. True if there is any.';

create or replace function bilag_internal.stand_again(item_ids bigint[], why text) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  update bilag.reconciliation_findings f set resolved_at = bilag_internal.now(), resolution = why
  where f.item_id = any(item_ids) and f.resolved_at is null
$$;

comment on function bilag_internal.stand_again(bigint[], text) is 'Closes the findings about vouchers.';

-- One alert per integration, open while any voucher is known not to stand.
create or replace function bilag_internal.judge_vanished(integration_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  one record;
begin
  update bilag.reconciliation_findings f set resolved_at = bilag_internal.now(), resolution = 'the claim was released'
  from bilag.export_items i
  where f.integration_id = any(integration_ids) and f.resolved_at is null and i.id = f.item_id and i.state <> 'exported';
  for one in
    select c.id, c.org_id, c.integration_type, coalesce(n.vouchers, 0) as vouchers, n.details
    from bilag.integration_config c
    left join lateral (
      select count(distinct f.item_id) as vouchers, jsonb_build_object('vouchers', count(distinct f.item_id),
        'claims', to_jsonb((array_agg(distinct i.voucher ->> 'claimNumber'))[1:20]), 'reconciliationId', max(f.reconciliation_id::text)) as details
      from bilag.reconciliation_findings f join bilag.export_items i on i.id = f.item_id
      where f.integration_id = c.id and f.resolved_at is null and f.finding <> 'unknown' having count(*) > 0
    ) as n on true
    where c.id = any(integration_ids)
  loop
    if one.vouchers > 0 then
      perform bilag_internal.raise_alert('voucher_vanished', one.id::text, one.org_id, one.integration_type,
        format('%s booked %s not in the accounting system as booked.', one.vouchers,
          case when one.vouchers = 1 then 'voucher is' else 'vouchers are' end), one.details);
    else
      perform bilag_internal.resolve_alert('voucher_vanished', one.id::text, 'every voucher was seen again or released');
    end if;
  end loop;
end $$;

comment on function bilag_internal.judge_vanished(uuid[]) is 'Opens or resolves voucher_vanished, by the findings that are open.';

create or replace function bilag_internal.end_reconciliation(reconciliation_id uuid, error jsonb, cancelled boolean default false) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  r bilag.reconciliations;
begin
  update bilag.reconciliations o
  set finished_at = bilag_internal.now(), started_at = coalesce(o.started_at, bilag_internal.now()), due_at = null, asking = '{}',
    error = coalesce(end_reconciliation.error, case when cancelled then o.error end),
    status = case
      when cancelled then 'cancelled'
      when end_reconciliation.error is not null then 'failed'
      when exists (
        select from bilag.reconciliation_findings f
        where f.reconciliation_id = o.id and f.finding = 'unknown' and f.resolved_at is null) then 'partially_succeeded'
      else 'succeeded' end
  where o.id = end_reconciliation.reconciliation_id returning o.* into r;
  -- What this one found again missing is its to tell of.
  if r.status in ('succeeded', 'partially_succeeded') then
    update bilag.reconciliation_findings f set resolved_at = bilag_internal.now(), resolution = 'a later reconciliation tells'
    where f.integration_id = r.integration_id and f.resolved_at is null and f.reconciliation_id <> r.id and exists (
      select from bilag.reconciliation_findings n where n.reconciliation_id = r.id and n.item_id = f.item_id and n.finding <> 'unknown');
  end if;
  perform bilag_internal.judge_vanished(array[r.integration_id]);
  perform bilag_internal.audit_many(array[(r.org_id, 'reconciliation.' || r.status, r.integration_type, null, null,
    jsonb_build_object('reconciliationId', r.id, 'fromDate', r.from_date, 'toDate', r.to_date, 'vouchers', bilag_internal.standing(r)),
    null)::bilag_internal.audit_entry], patient => false);
end $$;

comment on function bilag_internal.end_reconciliation(uuid, jsonb, boolean) is 'Ends a reconciliation, and says in the audit what it found.';

create or replace function bilag_internal.standing(r bilag.reconciliations) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object('total', r.total, 'asked', r.asked,
    'standing', greatest(r.asked - n.absent - n.partial - n.import_error - n.unknown, 0),
    'vanished', n.absent, 'partial', n.partial, 'importError', n.import_error, 'unknown', n.unknown, 'elsewhere', r.elsewhere)
  from (
    select count(*) filter (where f.finding = 'absent') as absent, count(*) filter (where f.finding = 'partial') as partial,
      count(*) filter (where f.finding = 'import_error') as import_error, count(*) filter (where f.finding = 'unknown') as unknown
    from bilag.reconciliation_findings f
    -- As it was when this one asked: what was put right later was missing all the same.
    where f.reconciliation_id = r.id and (f.resolved_at is null or f.resolved_at > r.finished_at or f.resolution <> 'seen again')
  ) as n
$$;

comment on function bilag_internal.standing(bilag.reconciliations) is 'How many vouchers a reconciliation asked about, and how they stood.';

create or replace function bilag_internal.reconciliation_of(id uuid) returns bilag.reconciliations
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
  r bilag.reconciliations;
begin
  select o.* into r from bilag.reconciliations o where o.id = reconciliation_of.id;
  if not found or not bilag_internal.concerns_caller(r.org_id) then
    return null;
  end if;
  return r;
end $$;

comment on function bilag_internal.reconciliation_of(uuid) is 'The reconciliation, or null; for a stranger, too.';

create or replace function bilag_internal.waits_for(r bilag.reconciliations) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object('since', w.since, 'until', w.until, 'reasonCode', w.reason_code)
  from bilag.integration_config c
  join bilag.export_lanes l on l.integration_id = c.id
  cross join bilag.installation h
  cross join lateral (
    select case
        when h.paused_at is not null then 'everything_paused'
        when not c.enabled then 'integration_disabled'
        when c.paused_at is not null and coalesce(c.paused_until, 'infinity') > bilag_internal.now() then c.paused_reason_code
        when l.circuit_open_until > bilag_internal.now() then 'circuit_open'
        when r.status = 'waiting' then case when r.error is null then 'in_doubt' else 'retry_later' end
      end as reason_code,
      coalesce(h.paused_at, c.paused_at, r.requested_at) as since,
      case when h.paused_at is null and c.enabled then greatest(r.due_at, l.circuit_open_until, c.paused_until) end as until
  ) as w
  where c.id = r.integration_id and r.finished_at is null and w.reason_code is not null
$$;

comment on function bilag_internal.waits_for(bilag.reconciliations) is 'Why a reconciliation does not go on, or null.';

create or replace function bilag.reconciliation_status(reconciliation_id uuid) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
  r bilag.reconciliations := bilag_internal.reconciliation_of(reconciliation_id);
begin
  if r.id is null then
    perform bilag_internal.complain('KB002', format('There is no reconciliation %s.', reconciliation_id));
  end if;
  perform bilag_internal.require_finance(r.org_id);
  return jsonb_build_object(
    'reconciliationId', r.id, 'integrationType', r.integration_type, 'fromDate', r.from_date, 'toDate', r.to_date, 'status', r.status,
    'requestedAt', r.requested_at, 'startedAt', r.started_at, 'finishedAt', r.finished_at, 'waitingFor', bilag_internal.waits_for(r),
    'progress', bilag_internal.reconciliation_progress(r), 'vouchers', bilag_internal.standing(r),
    'findings', coalesce((
      select jsonb_agg(f.finding order by f.n) from (
        select row_number() over (order by i.posting_date, i.voucher_number) as n, jsonb_build_object('finding', x.finding, 'claimId', i.claim_id,
          'claimNumber', i.voucher ->> 'claimNumber', 'voucherNumber', i.voucher_number, 'reference', i.reference,
          'postingDate', i.posting_date, 'message', nullif(x.message, ''), 'foundAt', x.found_at, 'resolvedAt', x.resolved_at,
          'resolution', x.resolution) as finding
        from bilag.reconciliation_findings x join bilag.export_items i on i.id = x.item_id
        where x.reconciliation_id = r.id order by i.posting_date, i.voucher_number limit 1000
      ) as f), '[]'),
    'error', r.error);
end $$;

comment on function bilag.reconciliation_status(uuid) is
  'How a reconciliation stands: status, counts, and the vouchers that do not stand (a thousand at the most; all in bilag.reconciliation_findings).';

create or replace function bilag_internal.reconciliation_progress(r bilag.reconciliations) returns numeric
language sql immutable
as $$
  select case when r.finished_at is not null then 1 when r.total = 0 then 0 else least(round(r.asked::numeric / r.total, 3), 1) end
$$;

comment on function bilag_internal.reconciliation_progress(bilag.reconciliations) is 'From 0 to 1.';

create or replace function bilag_internal.reconciliation_as_run(r bilag.reconciliations) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object(
    'runId', r.id, 'status', r.status, 'trigger', 'reconciliation', 'retryOf', null, 'periodStart', r.from_date, 'periodEnd', r.to_date,
    'scheduledFor', null, 'startedAt', r.started_at, 'finishedAt', r.finished_at, 'nextAttemptAt', w.waiting -> 'until',
    'waitingFor', w.waiting, 'progress', bilag_internal.reconciliation_progress(r),
    'claims', jsonb_build_object('total', r.total, 'pending', greatest(r.total - r.asked, 0), 'sending', 0, 'accepted', 0,
      'exported', s.counts -> 'standing', 'rejected', (s.counts ->> 'vanished')::integer + (s.counts ->> 'partial')::integer
        + (s.counts ->> 'importError')::integer, 'inDoubt', s.counts -> 'unknown'),
    'error', r.error, 'file', null)
  from (select bilag_internal.standing(r) as counts) as s cross join (select bilag_internal.waits_for(r) as waiting) as w
$$;

comment on function bilag_internal.reconciliation_as_run(bilag.reconciliations) is
  'A reconciliation with the keys of export_status: exported stands for what still stands, rejected for what does not.';

create or replace function bilag_internal.cancel_reconciliation(r bilag.reconciliations) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  perform bilag_internal.require_finance(r.org_id);
  perform from bilag.export_lanes l where l.integration_id = r.integration_id for update;
  select o.* into r from bilag.reconciliations o where o.id = r.id;
  if r.finished_at is null then
    perform bilag_internal.end_reconciliation(r.id, null, cancelled => true);
    perform bilag_internal.wake_lanes(array[r.integration_id]);
    return 'cancelled';
  end if;
  return r.status;
end $$;

comment on function bilag_internal.cancel_reconciliation(bilag.reconciliations) is 'For cancel_export: ends a reconciliation; the answer that is under way is not taken.';
