-- The whole story of a claim, one line per event, for the person who asks "where is my money".

create or replace function bilag.explain_claim(org_id uuid, claim_number text) returns setof text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
  claim bilag.expense_claims;
  zone text;
begin
  perform bilag_internal.require_finance(org_id);
  select c.* into claim from bilag.expense_claims c
  where c.org_id = explain_claim.org_id and c.claim_number = explain_claim.claim_number;
  if not found then
    perform bilag_internal.complain('KB002', format('Organisation %s has no claim %L.', org_id, claim_number));
  end if;
  select o.time_zone into zone from bilag.organizations o where o.id = claim.org_id;
  return query
    with events as (
      select claim.created_at as at, 0 as rank, format('claim %s registered, %s', claim.claim_number, claim.currency) as said
      union all
      select claim.approved_at, 1, 'approved' where claim.approved_at is not null
      union all
      select i.created_at, 2, format('%s: taken by run %s as voucher %s%s, reference %s, %s %s, posting date %s', i.integration_type,
        coalesce(i.run_id::text, '-'), coalesce(i.voucher_number::text, '-'),
        coalesce((select ' to reverse voucher ' || o.voucher_number from bilag.export_items o where o.id = i.reverses), ''),
        i.reference, i.amount, i.currency, i.posting_date)
      from bilag.export_items i where i.claim_id = claim.id and i.voucher is not null
      union all
      select i.sent_at, 3, format('%s: sent%s, correlation %s', i.integration_type,
        case when i.attempt > 1 then format(' for the first time (%s attempts by now)', i.attempt) else '' end, i.correlation_id)
      from bilag.export_items i where i.claim_id = claim.id and i.attempt > 0
      union all
      select coalesce(i.settled_at, i.sent_at, i.created_at), 4, format('%s: %s%s%s%s', i.integration_type,
        case when i.reverses is not null then 'reversal ' else '' end, case i.state when 'exported' then 'booked' when 'in_doubt' then 'in doubt' when 'voided' then 'released' else i.state end,
        coalesce(', external id ' || i.external_id, ''), coalesce(': ' || i.message, ''))
      from bilag.export_items i where i.claim_id = claim.id and i.state <> 'pending'
      union all
      select i.next_look_at, 5, format('%s: will be looked up again', i.integration_type)
      from bilag.export_items i where i.claim_id = claim.id and i.next_look_at is not null
      union all
      select f.found_at, 5, format('%s: reconciliation: %s%s%s', i.integration_type,
        case f.finding when 'absent' then 'not found' when 'partial' then 'only partly there' when 'import_error' then 'only in the import'
          else 'could not be told' end, coalesce(': ' || nullif(f.message, ''), ''), coalesce('; ' || f.resolution, ''))
      from bilag.export_items i join bilag.reconciliation_findings f on f.item_id = i.id where i.claim_id = claim.id
      union all
      select a.occurred_at, 6, format('%s by %s%s', a.action, coalesce(a.user_id::text, a.acted_as), coalesce(': ' || a.note, ''))
      from bilag.bufdir_export_audit_log a where a.org_id = claim.org_id and a.details ->> 'claimId' = claim.id::text
    )
    select to_char(e.at at time zone zone, 'YYYY-MM-DD HH24:MI:SS') || '  ' || e.said from events e order by e.at, e.rank;
end $$;

comment on function bilag.explain_claim(uuid, text) is 'One line per event in the life of a claim, in the organisation''s time.';
