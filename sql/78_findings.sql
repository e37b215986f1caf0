-- What a reconciliation found: vouchers that do not stand, each written down once and taken back when it is seen again, with one
-- alert per integration while any is known; and the end of it.

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
