-- May the month be closed? Every claim of the integration is counted once, on one day: the posting date of its voucher, and while it
-- has none the day of its approval, in the organisation's zone. So approved is always the sum of the others. What the ledger holds is
-- counted apart, by posting date and mirrors included: that is what the accountant compares.

create or replace function bilag_internal.claims_of_period(integration bilag.integration_config, zone text, from_date date, to_date date)
returns table (claim_id uuid, bucket text, under_way text, currency text, amount numeric)
language sql stable
as $$
  -- By posting date: the voucher that holds the claim, or the rejection that is the last word on it.
  with vouchers as materialized (
    select i.claim_id, i.id, i.state, i.currency, i.amount
    from bilag.export_items i
    where i.integration_id = integration.id and i.posting_date between from_date and to_date and i.reverses is null
      and (i.holds or (i.state = 'rejected' and not exists (
        select from bilag.export_items n
        where n.claim_id = i.claim_id and n.integration_id = i.integration_id and n.reverses is null and (n.holds or n.id > i.id))))
  ), free as materialized (
    -- By approval. The limit holds the planner to looking each claim up, whatever it thinks of the tables.
    select c.id, c.currency from bilag.expense_claims c
    left join lateral (
      select true as by_voucher from bilag.export_items h
      where h.integration_id = integration.id and h.claim_id = c.id and h.holds and coalesce(h.reverses, 0) = 0 and h.posting_date is not null
      limit 1
    ) as held on true
    where c.org_id = integration.org_id and c.status = 'approved' and held.by_voucher is null
      and c.approved_at >= greatest(from_date::timestamp at time zone zone, integration.export_from)
      and c.approved_at < (to_date + 1)::timestamp at time zone zone
  ), claims as (
    select v.claim_id, v.id, v.state, v.currency, v.amount from vouchers v
    union all
    select f.id, i.id, i.state, f.currency, null
    from free f
    left join lateral (
      select x.id, x.state, x.posting_date, x.holds from bilag.export_items x
      where x.claim_id = f.id and x.integration_id = integration.id and x.reverses is null
      order by x.holds desc, x.id desc limit 1
    ) as i on true
    where (i.id is null or i.state = 'voided' or i.posting_date is null)
      -- Another integration of the organisation books it.
      and (i.holds is true or not integration.books or not exists (
        select from bilag.export_items o
        where o.claim_id = f.id and o.holds and o.books and o.reverses is null and o.integration_id <> integration.id))
  )
  select k.claim_id,
    case
      when k.state = 'exported' then case when exists (
          select from bilag.export_items r where r.reverses = k.id and r.holds and r.state = 'exported') then 'reversed' else 'booked' end
      when k.state = 'in_doubt' then 'in_doubt'
      when k.state in ('pending', 'sending', 'accepted') then 'waiting'
      when exists (
        select from bilag.claim_exclusions x where x.integration_id = integration.id and x.claim_id = k.claim_id) then 'excluded'
      when k.state = 'rejected' then 'rejected'
      else 'waiting'
    end,
    case when k.state in ('sending', 'accepted') then k.state end,
    k.currency, coalesce(k.amount, (
      select coalesce(round(sum(n.amount), 2), 0) from bilag.expense_claim_lines n where n.claim_id = k.claim_id))
  from claims k
$$;

comment on function bilag_internal.claims_of_period(bilag.integration_config, text, date, date) is
  'Each claim of a period once, with what became of it in an integration.';

create or replace function bilag_internal.ledger_of_period(integration_id uuid, from_date date, to_date date)
returns table (currency text, vouchers bigint, amount numeric, mirrors bigint, mirrored numeric, unsettled bigint)
language sql stable
as $$
  select i.currency,
    -- What was released after its reversal is in the ledger still; what was deleted there is not.
    count(*) filter (where w.is_there), coalesce(sum(i.amount) filter (where w.is_there), 0),
    count(*) filter (where w.is_there and i.reverses is not null), coalesce(sum(i.amount) filter (where w.is_there and i.reverses is not null), 0),
    count(*) filter (where i.reverses is not null and i.holds and i.state <> 'exported')
  from bilag.export_items i
  cross join lateral (
    select i.state = 'exported' or (i.state = 'voided' and i.reason_code = 'released_for_reexport' and exists (
      select from bilag.export_items r where r.reverses = i.id and r.holds and r.state = 'exported')) as is_there
  ) as w
  where i.integration_id = ledger_of_period.integration_id and i.posting_date between from_date and to_date and i.voucher is not null
  group by i.currency
$$;

comment on function bilag_internal.ledger_of_period(uuid, date, date) is
  'What the ledger holds of an integration by posting date, per currency, mirrors included and also apart.';

create or replace function bilag_internal.sums(counted jsonb) returns jsonb
language sql immutable
as $$
  select jsonb_build_object('count', coalesce(sum((c.value ->> 'count')::bigint), 0),
    'sums', coalesce(jsonb_object_agg(c.value ->> 'currency', c.value ->> 'amount'), '{}'))
  from jsonb_array_elements(coalesce(counted, '[]')) as c
$$;

comment on function bilag_internal.sums(jsonb) is 'Counts per currency as {count, sums: {currency: amount}}.';

create or replace function bilag.period_summary(org_id uuid, integration_type text, from_date date, to_date date) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set jit = off set enable_seqscan = off
as $$
declare
  integration bilag.integration_config;
  zone text;
  buckets jsonb;
  ledger jsonb;
  under_way jsonb;
  reasons jsonb;
  vanished bigint;
begin
  perform bilag_internal.require_finance(org_id);
  integration := bilag_internal.integration_of(org_id, integration_type);
  perform bilag_internal.require_period(from_date, to_date);
  select o.time_zone into zone from bilag.organizations o where o.id = integration.org_id;
  with claims as materialized (
    select * from bilag_internal.claims_of_period(integration, zone, from_date, to_date)
  ), counted as (
    select c.bucket, c.currency, count(*) as n, sum(c.amount) as amount from claims c group by grouping sets ((c.bucket, c.currency), (c.currency))
  )
  select (
      select jsonb_object_agg(b.name, bilag_internal.sums((
        select jsonb_agg(jsonb_build_object('currency', n.currency, 'count', n.n, 'amount', n.amount::text) order by n.currency)
        from counted n where coalesce(n.bucket, 'approved') = b.bucket)))
      from (values ('approved', 'approved'), ('booked', 'booked'), ('rejected', 'rejected'), ('inDoubt', 'in_doubt'),
        ('waiting', 'waiting'), ('excluded', 'excluded'), ('reversed', 'reversed')) as b (name, bucket)),
    (select jsonb_build_object('sending', count(*) filter (where c.under_way = 'sending'),
      'accepted', count(*) filter (where c.under_way = 'accepted')) from claims c)
  into buckets, under_way;
  select jsonb_build_object(
      'ledger', bilag_internal.sums(jsonb_agg(jsonb_build_object('currency', l.currency, 'count', l.vouchers, 'amount', l.amount::text)
        order by l.currency) filter (where l.vouchers > 0)),
      'reversals', bilag_internal.sums(jsonb_agg(jsonb_build_object('currency', l.currency, 'count', l.mirrors, 'amount', l.mirrored::text)
        order by l.currency) filter (where l.mirrors > 0)),
      'unsettled', coalesce(sum(l.unsettled), 0))
  into ledger
  from bilag_internal.ledger_of_period(integration.id, from_date, to_date) as l;
  select count(distinct f.item_id) into vanished
  from bilag.reconciliation_findings f join bilag.export_items i on i.id = f.item_id
  where f.integration_id = integration.id and f.resolved_at is null and f.finding <> 'unknown'
    and i.posting_date between from_date and to_date;

  select coalesce(jsonb_agg(jsonb_build_object('code', w.code, 'count', w.n, 'reason', w.reason, 'whatToDo', w.mend) order by w.rank), '[]')
  into reasons
  from (values
    (1, 'claims_waiting', (buckets -> 'waiting' ->> 'count')::bigint - (under_way ->> 'sending')::bigint - (under_way ->> 'accepted')::bigint,
      'Approved claims are not booked yet.', 'request_export, or exclude_claim what is not to go.'),
    (2, 'vouchers_under_way', (under_way ->> 'sending')::bigint + (under_way ->> 'accepted')::bigint,
      'Vouchers are sent and not yet seen in the ledger.', 'Wait: they are asked for until seen.'),
    (3, 'vouchers_in_doubt', (buckets -> 'inDoubt' ->> 'count')::bigint,
      'It is not known whether vouchers are booked.', 'Wait for the look-up, or resolve_in_doubt.'),
    (4, 'claims_rejected', (buckets -> 'rejected' ->> 'count')::bigint,
      'Claims could not be booked.', 'Look at bilag.claim_exports: correct what it says, mark_booked, or exclude_claim.'),
    (5, 'reversals_under_way', (ledger ->> 'unsettled')::bigint,
      'Reversals with a posting date in the period are not booked yet.', 'Wait for their runs.'),
    (6, 'vouchers_vanished', vanished,
      'A reconciliation did not find vouchers as they were booked.', 'Look at reconciliation_status; release_for_reexport what was deleted.')
  ) as w (rank, code, n, reason, mend)
  where w.n > 0;

  return jsonb_build_object(
      'orgId', integration.org_id, 'integrationType', integration.integration_type, 'fromDate', from_date, 'toDate', to_date,
      'periodIsOver', to_date < (bilag_internal.now() at time zone zone)::date, 'booksClosedUntil', integration.books_closed_until)
    || buckets || (ledger - 'unsettled')
    || jsonb_build_object('readyToClose', reasons = '[]', 'reasons', reasons,
      'lastReconciliation', (
        select jsonb_build_object('reconciliationId', r.id, 'status', r.status, 'requestedAt', r.requested_at, 'finishedAt', r.finished_at,
          'vouchers', bilag_internal.standing(r))
        from bilag.reconciliations r
        where r.integration_id = integration.id and r.from_date <= period_summary.from_date and r.to_date >= period_summary.to_date
        order by r.requested_at desc limit 1));
end $$;

comment on function bilag.period_summary(uuid, text, date, date) is
  'Month-end: the claims of a period by what became of them, counts and sums per currency, what the ledger holds, and whether the period can be closed or why not. By posting date; while a claim has none, by the day of its approval.';
