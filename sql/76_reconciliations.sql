-- Does what was booked still stand? A reconciliation asks the vendor about every voucher of a period, a batch at a time, on the
-- integration's lane: looks and exports come first, and wait for one batch of it at the most. It asks by `confirm`, which never
-- writes, and changes no item: what does not stand is written down as a finding, and people decide. A batch whose answer is lost is
-- asked about again (77_standing.sql). Here is what people ask for and see.

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
        when l.quiet_until > bilag_internal.now() then 'rate_limited'
        when r.status = 'waiting' then case when r.error is null then 'in_doubt' else 'retry_later' end
      end as reason_code,
      coalesce(h.paused_at, c.paused_at, r.requested_at) as since,
      case when h.paused_at is null and c.enabled then greatest(r.due_at, l.circuit_open_until, l.quiet_until, c.paused_until) end as until
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
    perform bilag_internal.complain('KB002', format('There is no reconciliation %s.', coalesce(reconciliation_id::text, 'null')),
      'select id, from_date, to_date, status from bilag.reconciliations;');
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
