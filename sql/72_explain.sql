-- The whole story of a claim, one line per event, for the person who asks "where is my money"; at its end what the claim waits for.

create or replace function bilag_internal.what_is_next(claim bilag.expense_claims, zone text)
returns table (integration_type text, said text)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select c.integration_type, case
      when x.reason is not null then format('excluded: %s', x.reason)
      when not c.enabled then 'not exported: the integration is disabled'
      when claim.approved_at < c.export_from then
        format('not exported: approved before export_from, which is %s', to_char(c.export_from at time zone zone, 'YYYY-MM-DD HH24:MI:SS'))
      when claim.approved_at > m.moment then 'no run takes it before its approval, which is in the future'
      when i.state = 'rejected' then 'tried again by a run that comes after a change of the claim, a mapping or a setting'
      when r.id is not null then format('goes with run %s, which is %s', r.id, r.status)
      when s.next_run_at is not null then
        format('goes with the next run, scheduled for %s', to_char(s.next_run_at at time zone zone, 'YYYY-MM-DD HH24:MI:SS'))
      else 'goes with the next run; none is queued or scheduled'
    end || case when c.enabled and x.reason is null and c.paused_at is not null then '; the integration is paused' else '' end
  from bilag.integration_config c
  cross join (select bilag_internal.now() as moment) as m
  left join bilag.claim_exclusions x on x.integration_id = c.id and x.claim_id = claim.id
  left join lateral (
    select i.state from bilag.export_items i where i.claim_id = claim.id and i.integration_id = c.id order by i.id desc limit 1
  ) as i on true
  left join lateral (
    select r.id, r.status from bilag.export_runs r
    where r.integration_id = c.id and r.finished_at is null and not r.took_all and r.cutoff_at > claim.approved_at
    order by r.due_at, r.id limit 1
  ) as r on true
  left join lateral (
    select min(s.next_run_at) as next_run_at from bilag.export_schedules s
    where s.org_id = c.org_id and s.integration_type = c.integration_type and s.enabled
  ) as s on true
  where c.org_id = claim.org_id and claim.status = 'approved' and not exists (
    select from bilag.export_items h
    where h.claim_id = claim.id and h.holds and h.reverses is null and (h.integration_id = c.id or (h.books and c.books)))
  order by c.integration_type
$$;

comment on function bilag_internal.what_is_next(bilag.expense_claims, text) is
  'For each integration that may take an approved claim and does not hold it: what it waits for.';

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
    perform bilag_internal.complain('KB002', format('Organisation %s has no claim %L.', coalesce(org_id::text, 'null'), claim_number),
      'select claim_number from bilag.expense_claims;');
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
      -- sent_at says since when the vendor may have it, which is earlier where it is looked up first: no item is sent before it is made.
      select greatest(i.sent_at, i.created_at), 3, format('%s: %ssent%s, correlation %s', i.integration_type,
        case when i.reverses is not null then 'reversal ' else '' end, case when i.attempt > 1 then format(' for the first time (%s attempts by now)', i.attempt) else '' end, i.correlation_id)
      from bilag.export_items i where i.claim_id = claim.id and i.attempt > 0
      union all
      select coalesce(i.settled_at, greatest(i.sent_at, i.created_at)), 4, format('%s: %s%s%s%s', i.integration_type,
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
      union all
      select greatest(bilag_internal.now(), claim.approved_at), 7, format('%s: %s', n.integration_type, n.said)
      from bilag_internal.what_is_next(claim, zone) n
    )
    select to_char(e.at at time zone zone, 'YYYY-MM-DD HH24:MI:SS') || '  ' || e.said from events e order by e.rank = 7, e.at, e.rank;
end $$;

comment on function bilag.explain_claim(uuid, text) is 'One line per event in the life of a claim, in the organisation''s time; at the end what it waits for.';
