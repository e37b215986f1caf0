-- May the month be closed? Every claim of the integration is counted once, on one day: the posting date of its voucher, and while it
-- has none the day of its approval, in the organisation's zone. So approved is always the sum of the others. What the ledger holds is
-- counted apart, by posting date and mirrors included: that is what the accountant compares.

create or replace function bilag_internal.claims_of_period(integration bilag.integration_config, zone text, from_date date, to_date date)
returns table (claim_id uuid, bucket text, under_way text, currency text, amount numeric)
language sql stable
as $$
  with booked as (
    -- By posting date: the claim's own voucher, if it is the one that counts.
    select i.claim_id, i.id
    from bilag.export_items i
    where i.integration_id = integration.id and i.posting_date between from_date and to_date and i.reverses is null and i.state <> 'voided'
  ), approved as (
    -- By approval: what has no voucher that counts.
    select c.id as claim_id, null::bigint as id
    from bilag.expense_claims c
    where c.org_id = integration.org_id and c.status = 'approved'
      and c.approved_at >= greatest(from_date::timestamp at time zone zone, integration.export_from)
      and c.approved_at < (to_date + 1)::timestamp at time zone zone
  ), candidates as (
    select b.claim_id, b.id from booked b
    union all
    select a.claim_id, null from approved a
  )
  select k.claim_id,
    case
      when i.state = 'exported' and v.is_reversed then 'reversed'
      when i.state = 'exported' then 'booked'
      when i.state = 'in_doubt' then 'in_doubt'
      when e.is_excluded and coalesce(i.state, '') in ('', 'voided', 'rejected') then 'excluded'
      when i.state = 'rejected' then 'rejected'
      else 'waiting'
    end,
    case when i.state in ('sending', 'accepted') then i.state end,
    coalesce(i.currency, c.currency), coalesce(case when i.state <> 'voided' then i.amount end, (
      select coalesce(round(sum(n.amount), 2), 0) from bilag.expense_claim_lines n where n.claim_id = k.claim_id))
  from candidates k
  join bilag.expense_claims c on c.id = k.claim_id
  left join lateral (
    select x.* from bilag.export_items x
    where x.claim_id = k.claim_id and x.integration_id = integration.id and x.reverses is null
    order by x.holds desc, x.id desc limit 1
  ) as i on true
  cross join lateral (
    select i.state = 'exported' and exists (
      select from bilag.export_items r where r.reverses = i.id and r.holds and r.state = 'exported') as is_reversed
  ) as v
  cross join lateral (
    select exists (select from bilag.claim_exclusions x where x.integration_id = integration.id and x.claim_id = k.claim_id) as is_excluded
  ) as e
  where case
      when k.id is not null then i.id = k.id
      else (i.id is null or i.state = 'voided' or i.posting_date is null)
        -- Another integration of the organisation books it.
        and (i.holds is true or not integration.books or not exists (
          select from bilag.export_items o
          where o.claim_id = k.claim_id and o.holds and o.books and o.reverses is null and o.integration_id <> integration.id))
    end
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
