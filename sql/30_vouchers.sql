-- Which claims go, and what voucher each becomes: one statement for an export and for its preview, so that what was shown is
-- what is booked. It is pure: it reads, and the rooms that call it freeze what it says.
-- These helpers have no SET clause, so that Postgres can inline them; they run inside verbs that pin the search_path.

create or replace function bilag_internal.reference(integration_id uuid, claim_number text, revision integer, reversal boolean default false)
returns text
language sql immutable
as $$
  -- 'BL' and 18 characters of base 64 in capitals: 93 bits against collision. Hashed and not drawn by lot, and from the claim's number
  -- and not its id: a database restored to an hour ago, whose application registers the lost claims anew, gives each the name under
  -- which the vendor already has it. Our integration's id keeps apart organisations that share a ledger.
  select 'BL' || substr(translate(upper(encode(sha256(convert_to(
    integration_id::text || '/' || claim_number || '/' || revision::text || case when reversal then '/R' else '' end, 'UTF8')),
    'base64') collate "C"), '+/', '01'), 1, 18)
$$;

comment on function bilag_internal.reference(uuid, text, integer, boolean) is
  'Our name for a voucher at the vendor: 20 characters of [A-Z0-9], the same whenever it is computed.';

create or replace function bilag_internal.candidates(
  integration_ids uuid[], cutoffs timestamptz[], taken_ats timestamptz[], taken_claims uuid[], piece integer
) returns table (integration_id uuid, claim_id uuid, approved_at timestamptz)
language sql stable
as $$
  -- The limits hold the planner to looking each claim up, and to one index scan of approved_claims per integration, whatever it thinks of the tables.
  select c.id, x.id, x.approved_at
  from unnest(integration_ids, cutoffs, taken_ats, taken_claims) as s (integration_id, cutoff_at, taken_at, taken_claim)
  join bilag.integration_config c on c.id = s.integration_id and c.books
  cross join lateral (
    select x.id, x.approved_at from bilag.expense_claims x
    left join lateral (
      select true as by_somebody from bilag.export_items i
      where i.claim_id = x.id and i.holds and i.reverses is null and (i.books or i.integration_id = c.id)
      limit 1
    ) as held on true
    where x.org_id = c.org_id and x.status = 'approved' and not x.booked and held.by_somebody is null and x.approved_at >= greatest(c.export_from, s.taken_at)
      and x.approved_at < s.cutoff_at and (x.approved_at, x.id) > (s.taken_at, s.taken_claim)
      and not exists (select from bilag.claim_exclusions e where e.integration_id = c.id and e.claim_id = x.id)
    order by x.approved_at, x.id
    limit piece
  ) as x
  union all
  -- A copy takes claims whether or not they are booked elsewhere.
  select c.id, x.id, x.approved_at
  from unnest(integration_ids, cutoffs, taken_ats, taken_claims) as s (integration_id, cutoff_at, taken_at, taken_claim)
  join bilag.integration_config c on c.id = s.integration_id and not c.books
  cross join lateral (
    select x.id, x.approved_at from bilag.expense_claims x
    left join lateral (
      select true as by_us from bilag.export_items i
      where i.claim_id = x.id and i.integration_id = c.id and i.holds and i.reverses is null
      limit 1
    ) as held on true
    where x.org_id = c.org_id and held.by_us is null and x.approved_at >= greatest(c.export_from, s.taken_at) and x.approved_at < s.cutoff_at
      and x.status = 'approved' and (x.approved_at, x.id) > (s.taken_at, s.taken_claim)
      and not exists (select from bilag.claim_exclusions e where e.integration_id = c.id and e.claim_id = x.id)
    order by x.approved_at, x.id
    limit piece
  ) as x
$$;

comment on function bilag_internal.candidates(uuid[], timestamptz[], timestamptz[], uuid[], integer) is
  'Approved claims since export_from and before the cutoff that nothing holds and nobody excluded, a piece at a time in order of approval.';

-- The voucher of each (integration, claim), or the reason why there is none. Arrays run in parallel: the n-th claim goes to the
-- n-th integration, in a run whose period ends on the n-th day (null: open).
create or replace function bilag_internal.vouchers(integration_ids uuid[], claim_ids uuid[], period_ends date[])
returns table (
  integration_id uuid, claim_id uuid, claim_number text, approved_at timestamptz, posting_date date, currency text,
  amount numeric, line_count integer, content jsonb, reason_code text, reason_params jsonb)
language sql stable
as $$
  with pairs as materialized (
    select c.id as integration_id, c.org_id, c.integration_type, c.books_closed_until,
      x.id as claim_id, x.claim_number, x.claimant_reference, x.currency, x.documentation_url, x.approved_at,
      (x.approved_at at time zone o.time_zone)::date as approval_day, p.period_end,
      coalesce(c.settings ->> 'currency', 'NOK') as ledger_currency,
      c.settings ->> 'settlement_account' as settlement_account,
      coalesce(c.settings ->> 'settlement', 'account') as settlement,
      coalesce(c.settings ->> 'posting_date', 'approved') as posting_date_rule,
      coalesce(c.settings ->> 'closed_period', 'move') as closed_period,
      t.lines_per_batch, t.foreign_currency and (t.own_currency_when = '{}' or not c.settings @> t.own_currency_when) as foreign_currency
    from unnest(integration_ids, claim_ids, period_ends) as p (integration_id, claim_id, period_end)
    join bilag.integration_config c on c.id = p.integration_id
    join bilag.integration_types t on t.integration_type = c.integration_type
    join bilag.organizations o on o.id = c.org_id
    join bilag.expense_claims x on x.id = p.claim_id
    where x.id = any(claim_ids)
  ),
  -- Materialized, or each expression would be computed wherever it is named. A claim's lines are fetched claim by claim: the time
  -- grows with the claims and not with their square, whatever number of them the planner expects.
  dated as materialized (
    select p.*, coalesce(s.amount, 0) as amount, s.lines, s.list, s.unmapped,
      coalesce(s.last_day, p.approval_day) as document_date, w.wanted,
      case when p.closed_period = 'move' then greatest(w.wanted, p.books_closed_until + 1) else w.wanted end as posting_date
    from pairs p
    cross join lateral (
      select round(sum(n.amount), 2) as amount, count(*)::integer as lines, max(n.expense_date) as last_day,
        (array_agg(n.category order by n.line_no) filter (where n.account_code is null))[1] as unmapped,
        jsonb_agg(jsonb_build_object(
          'lineNo', n.nth, 'account', n.account_code, 'amount', round(n.amount, 2)::text, 'vatCode', n.vat_code,
          'description', coalesce(nullif(n.description, ''), n.category),
          'dimensions', coalesce(n.mapped_dimensions, '{}') || n.dimensions, 'subledger', null) order by n.line_no) as list
      from (
        select l.line_no, l.amount, l.category, l.description, l.expense_date, l.dimensions, m.account_code, m.vat_code,
          m.dimensions as mapped_dimensions, row_number() over (order by l.line_no) as nth
        from bilag.expense_claim_lines l
        left join lateral (
          select m.account_code, m.vat_code, m.dimensions
          from bilag.account_mappings m
          where m.org_id = p.org_id and m.integration_type = p.integration_type and m.category = l.category
            and m.valid_from <= coalesce(l.expense_date, p.approval_day)
          order by m.valid_from desc
          limit 1
        ) as m on true
        where l.claim_id = p.claim_id and l.amount <> 0
      ) as n
      offset 0
    ) as s
    cross join lateral (
      select case p.posting_date_rule
        when 'expense' then coalesce(s.last_day, p.approval_day)
        when 'period_end' then coalesce(p.period_end, p.approval_day)
        else p.approval_day
      end as wanted
    ) as w
  ),
  judged as materialized (
    select d.*, case
        when d.currency <> d.ledger_currency and not d.foreign_currency then 'currency_unsupported'
        when d.lines = 0 then case
          when exists (select from bilag.expense_claim_lines l where l.claim_id = d.claim_id) then 'nothing_to_book'
          else 'no_lines' end
        when d.unmapped is not null then 'mapping_missing'
        when d.amount = 0 then 'nothing_to_book'
        when d.lines + 1 > d.lines_per_batch then 'too_many_lines'
        when d.settlement = 'subledger' and coalesce(d.claimant_reference, '') = '' then 'claimant_reference_missing'
        when d.posting_date <= d.books_closed_until then 'period_closed'
      end as reason_code
    from dated d
  )
  select j.integration_id, j.claim_id, j.claim_number, j.approved_at, j.posting_date, j.currency, j.amount,
    case when j.reason_code is null then j.lines + 1 else 0 end,
    case when j.reason_code is null then jsonb_build_object(
      'claimId', j.claim_id, 'claimNumber', j.claim_number, 'claimantReference', j.claimant_reference,
      'postingDate', j.posting_date, 'documentDate', j.document_date, 'currency', j.currency,
      'description', 'Expense claim ' || j.claim_number, 'documentationUrl', j.documentation_url,
      'lines', j.list || jsonb_build_object(
        'lineNo', j.lines + 1, 'account', j.settlement_account, 'amount', round(-j.amount, 2)::text, 'vatCode', null,
        'description', 'Expense claim ' || j.claim_number, 'dimensions', '{}'::jsonb,
        'subledger', case when j.settlement = 'subledger' then j.claimant_reference end))
    end,
    j.reason_code,
    case j.reason_code
      when 'currency_unsupported' then jsonb_build_object('currency', j.currency, 'ledgerCurrency', j.ledger_currency)
      when 'mapping_missing' then jsonb_build_object('category', j.unmapped)
      when 'too_many_lines' then jsonb_build_object('lines', j.lines + 1, 'limit', j.lines_per_batch)
      when 'period_closed' then jsonb_build_object('postingDate', j.posting_date, 'closedUntil', j.books_closed_until)
      else '{}'::jsonb
    end
  from judged j
$$;

comment on function bilag_internal.vouchers(uuid[], uuid[], date[]) is
  'The balanced voucher that each claim becomes in its integration, or the reason code for which it cannot be booked.';

-- The same with what this integration made of the claim before. `unchanged`: it was rejected, and would become exactly what was
-- rejected; a claim is tried again when the claim, a mapping or a setting changed. All show in what it would become, but for the
-- settings that only the adapter reads (into which field a dimension goes, say): those count beside it.
create or replace function bilag_internal.proposals(integration_ids uuid[], claim_ids uuid[], period_ends date[])
returns table (
  integration_id uuid, claim_id uuid, claim_number text, approved_at timestamptz, posting_date date, currency text,
  amount numeric, line_count integer, content jsonb, reason_code text, reason_params jsonb, content_sha256 bytea,
  revision integer, unchanged boolean, last_reason_code text, last_reason_params jsonb, last_message text)
language sql stable
as $$
  with v as materialized (
    select * from bilag_internal.vouchers(integration_ids, claim_ids, period_ends)
  ), d as materialized (
    select v.*, sha256(convert_to(v.content::text || (c.settings - array['currency', 'settlement_account', 'settlement', 'posting_date',
      'closed_period', 'voucher_number_from', 'slow_after_ms'])::text, 'UTF8')) as content_sha256
    from v join bilag.integration_config c on c.id = v.integration_id
  )
  select v.integration_id, v.claim_id, v.claim_number, v.approved_at, v.posting_date, v.currency, v.amount, v.line_count, v.content,
    v.reason_code, v.reason_params, v.content_sha256,
    coalesce(last.revision + case when last.reason_code = 'released_for_reexport' then 1 else 0 end, 1),
    last.state is not distinct from 'rejected' and case when v.reason_code is null then last.content_sha256 is not distinct from v.content_sha256
      else (last.reason_code, last.reason_params) is not distinct from (v.reason_code, v.reason_params) end,
    last.reason_code, last.reason_params, last.message
  from d as v
  left join lateral (
    select i.state, i.revision, i.reason_code, i.reason_params, i.message, i.content_sha256
    from bilag.export_items i
    where i.claim_id = v.claim_id and i.integration_id = v.integration_id and i.reverses is null
    order by i.id desc limit 1
  ) as last on true
$$;

comment on function bilag_internal.proposals(uuid[], uuid[], date[]) is
  'What each claim becomes, and whether that is only what was rejected before.';
