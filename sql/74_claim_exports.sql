-- How each claim stands with each integration, in plain words: what finance reads of its organisation's claims, and claimants of their own.

-- Of an exclusion the claimant is told that it is one, and not in which words; of a refusal its code, and not what the vendor said.
create or replace function bilag_internal.my_claim_exports()
returns table (
  org_id uuid, claim_id uuid, claim_number text, integration_type text, item_state text, excluded boolean, too_early boolean,
  booked boolean, item_reason_code text, voucher_number bigint, posting_date date, amount numeric, currency text, booked_at timestamptz, verifying text, reversal_state text,
  reversal_number bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select c.org_id, c.id, c.claim_number, g.integration_type, i.state, e.claim_id is not null, c.approved_at < g.export_from,
    c.booked, i.reason_code, i.voucher_number, i.posting_date, i.amount, coalesce(i.currency, c.currency), i.booked_at,
    i.verifying, v.state, v.voucher_number
  from bilag.expense_claims c
  join bilag.integration_config g on g.org_id = c.org_id
  left join bilag.claim_exclusions e on e.integration_id = g.id and e.claim_id = c.id
  left join lateral (
    select x.* from bilag.export_items x
    where x.claim_id = c.id and x.integration_id = g.id and x.reverses is null order by x.holds desc, x.id desc limit 1
  ) as i on true
  left join lateral (
    -- What became of its reversal.
    select x.* from bilag.export_items x where x.reverses = i.id and i.state = 'exported' order by x.holds desc, x.id desc limit 1
  ) as v on true
  where c.id = any (array(select bilag_internal.my_claim_ids())) and c.org_id <> all (array(select bilag_internal.my_finance_org_ids()))
    and (c.status = 'approved' or i.id is not null)
$$;

comment on function bilag_internal.my_claim_exports() is 'How the caller''s own claims stand, for those who are not finance_admin and see no items.';

create or replace view bilag.claim_exports with (security_invoker = true) as
select u.org_id, u.claim_number, u.integration_type,
  case
    when u.item_state is null and u.excluded then 'excluded by a person'
    when u.item_state is null and u.too_early then 'approved before export_from: not ours'
    when u.item_state is null and u.booked then 'booked by another integration'
    when u.item_state is null or (u.item_state = 'voided') then 'approved, waits for the next export'
    when u.item_state = 'exported' and u.reversal_state = 'exported' then 'reversed by voucher ' || u.reversal_number
    when u.item_state = 'exported' and u.reversal_state in ('pending', 'sending', 'accepted', 'in_doubt') then 'booked; its reversal is under way'
    when u.item_state = 'exported' and u.reversal_state = 'rejected' then 'booked; its reversal was rejected'
    when u.verifying = 'release' then 'booked; its release waits for a look'
    when u.item_state = 'exported' and u.vanished then 'booked, and not found as it was booked'
    when u.item_reason_code = 'booked_elsewhere' then 'booked elsewhere'
    when u.item_state = 'pending' then 'taken, waits to be sent'
    when u.item_state = 'sending' then 'being sent'
    when u.item_state = 'accepted' then 'accepted, not yet seen in the ledger'
    when u.item_state = 'exported' then 'booked'
    when u.item_state = 'rejected' then 'rejected'
    when u.item_state = 'in_doubt' then 'in doubt: being looked up'
  end as state,
  u.voucher_number, u.reference, u.external_id, u.posting_date, u.amount, u.currency, u.booked_at,
  u.reason_code, u.reason_params, u.reason, u.what_to_do, u.run, u.attempt, u.next_look_at, u.claim_id, u.reversal_run
from (
  select c.org_id, c.claim_number, g.integration_type, i.state as item_state, e.claim_id is not null as excluded,
    c.approved_at < g.export_from as too_early, c.booked, i.reason_code as item_reason_code, i.voucher_number, i.reference, i.external_id,
    i.posting_date, i.amount, coalesce(i.currency, c.currency) as currency, i.booked_at,
    w.reason_code,
    case when i.reason_code is null and v.reason_code is not null then v.reason_params
      when i.reason_code is null and e.claim_id is not null then jsonb_build_object('reason', e.reason) else i.reason_params end as reason_params,
    coalesce(i.message, v.message, e.reason) as reason, r.what_to_do, i.run_id as run, i.attempt,
    coalesce(i.next_look_at, v.next_look_at) as next_look_at, c.id as claim_id, v.run_id as reversal_run,
    i.verifying, v.state as reversal_state, v.voucher_number as reversal_number,
    exists (
      select from bilag.reconciliation_findings f
      where f.item_id = i.id and f.resolved_at is null and f.finding <> 'unknown') as vanished
  from bilag.expense_claims c
  join bilag.integration_config g on g.org_id = c.org_id
  left join bilag.claim_exclusions e on e.integration_id = g.id and e.claim_id = c.id
  left join lateral (
    select x.* from bilag.export_items x
    where x.claim_id = c.id and x.integration_id = g.id and x.reverses is null order by x.holds desc, x.id desc limit 1
  ) as i on true
  left join lateral (
    -- What became of its reversal.
    select x.* from bilag.export_items x where x.reverses = i.id and i.state = 'exported' order by x.holds desc, x.id desc limit 1
  ) as v on true
  cross join lateral (
    select coalesce(i.reason_code, v.reason_code, case when e.claim_id is not null then 'excluded' end) as reason_code
  ) as w
  left join bilag.reasons r on r.reason_code = w.reason_code
  where (c.status = 'approved' or i.id is not null)
    and ((select bilag_internal.is_service()) or c.org_id = any (array(select bilag_internal.my_finance_org_ids())))
  union all
  select m.org_id, m.claim_number, m.integration_type, m.item_state, m.excluded, m.too_early, m.booked, m.item_reason_code,
    m.voucher_number, null, null, m.posting_date, m.amount, m.currency, m.booked_at,
    coalesce(m.item_reason_code, case when m.excluded then 'excluded' end), null, null, null, null, null, null, m.claim_id, null, m.verifying, m.reversal_state,
    m.reversal_number, false
  from bilag_internal.my_claim_exports() m
) as u;

comment on view bilag.claim_exports is
  'One row per claim and integration: its state in plain words, its voucher, its reason and what to do. A claimant sees how their own stand.';
comment on column bilag.claim_exports.reference is 'What the voucher is known by in the accounting system; it stays the same until the claim is released for another export.';
comment on column bilag.claim_exports.external_id is 'What the accounting system calls the voucher; of one that was booked elsewhere, its number there.';
comment on column bilag.claim_exports.amount is 'The sum of the voucher''s lines before the settlement line.';
comment on column bilag.claim_exports.reason is 'Why it stands as it does, in a sentence; reason_code and reason_params say it to programs.';
comment on column bilag.claim_exports.attempt is 'How often it was sent.';
comment on column bilag.claim_exports.next_look_at is 'When it is looked up again.';
comment on column bilag.claim_exports.run is 'The run that has or had it.';
comment on column bilag.claim_exports.reversal_run is 'The run that books or booked its mirror.';
