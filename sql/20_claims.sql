-- What was approved is what is booked: an approved claim and its lines do not change, and a claim that an item holds does
-- not move. The lines of a claim may be inserted in the transaction that approves it.

-- A person may be taken out of an approved claim, by anonymize_claimant and nobody else.
create or replace function bilag_internal.only_forgets(was bilag.expense_claims, becomes bilag.expense_claims) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select (to_jsonb(becomes) - p.parts) is not distinct from (to_jsonb(was) - p.parts) and exists (
    select from bilag_internal.anonymizing a where a.claim_id = was.id and a.in_transaction = pg_current_xact_id_if_assigned())
  from (values (array[
    'claimant_name', 'claimant_user_id', 'claimant_reference', 'documentation_url', 'anonymized_at', 'booked', 'updated_at'])) as p (parts)
$$;

comment on function bilag_internal.only_forgets(bilag.expense_claims, bilag.expense_claims) is
  'Whether a change of a claim is anonymize_claimant''s, and touches nothing but the person.';

create or replace function bilag_internal.refuse_held(claim_number text, item bilag.export_items) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (select from bilag.export_items r where r.reverses = item.id and r.holds and r.state = 'exported') then
    perform bilag_internal.complain('KB008', format('Claim %s was booked by %s, and reversed.', claim_number, item.integration_type),
      'reopen_claim lets go of it, or release_for_reexport.');
  elsif item.state = 'exported' then
    perform bilag_internal.complain('KB008', format('Claim %s is booked by %s.', claim_number, item.integration_type),
      'release_for_reexport gives it up for another export, reverse_export takes it back.');
  elsif item.state in ('in_doubt', 'accepted') then
    perform bilag_internal.complain('KB008',
      format('Claim %s was sent to %s, and it is not known yet whether it is booked.', claim_number, item.integration_type),
      'Wait for the look-up, or resolve_in_doubt.');
  end if;
  perform bilag_internal.complain('KB008', format('Claim %s is being exported to %s.', claim_number, item.integration_type),
    format('Wait for its run to end, or select bilag.cancel_export(''%s'');', item.run_id));
end $$;

comment on function bilag_internal.refuse_held(text, bilag.export_items) is
  'Raises KB008 for a claim that this item holds: how it is held, and what lets go of it.';

create or replace function bilag_internal.guard_claim() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
  held bilag.export_items;
begin
  if tg_op = 'INSERT' then
    if new.status = 'approved' then
      new.approved_at := coalesce(new.approved_at, bilag_internal.now());
      new.approved_in := pg_current_xact_id();
    end if;
    new.booked := false;
    return new;
  end if;
  if tg_op = 'DELETE' then
    if old.status = 'approved' then
      perform bilag_internal.complain('KB006', format('Claim %s is approved and cannot be deleted.', old.claim_number),
        'reopen_claim first.');
    end if;
    return old;
  end if;
  if new.org_id is distinct from old.org_id or new.id is distinct from old.id then
    perform bilag_internal.complain('KB006', format('Claim %s keeps its id and organisation.', old.claim_number),
      'What belongs to another organisation is inserted there.');
  end if;
  -- Its vouchers are named by it: another claim that took the number would be taken for this one's at the vendor.
  if new.claim_number is distinct from old.claim_number and exists (
    select from bilag.export_items i where i.claim_id = old.id and i.sent_at is not null
  ) then
    perform bilag_internal.complain('KB006', format('Claim %s keeps its number: a voucher was sent under it.', old.claim_number),
      'Correct the rest of it; what is wholly another claim is made anew.');
  end if;
  if old.status = 'approved' then
    if new.status = 'approved' then
      if (to_jsonb(new) - 'booked' - 'updated_at') is distinct from (to_jsonb(old) - 'booked' - 'updated_at')
        and not bilag_internal.only_forgets(old, new) then
        perform bilag_internal.complain('KB006', format('Claim %s is approved and does not change.', old.claim_number),
          'reopen_claim takes it back to draft when nothing holds it.');
      end if;
      return new;
    end if;
    select i.* into held from bilag.export_items i where i.claim_id = old.id and i.holds and i.reverses is null limit 1;
    if found then
      perform bilag_internal.refuse_held(old.claim_number, held);
    end if;
    new.approved_at := null;
    new.approved_in := null;
  elsif new.status = 'approved' then
    new.approved_at := coalesce(new.approved_at, bilag_internal.now());
    new.approved_in := pg_current_xact_id();
  end if;
  new.updated_at := bilag_internal.now();
  return new;
end $$;

comment on function bilag_internal.guard_claim() is 'Approved claims are immutable and have an approval time; a held claim stays approved.';

create trigger guard_claim before insert or update or delete on bilag.expense_claims
  for each row execute function bilag_internal.guard_claim();

-- Per statement: the claims of all touched lines are locked once, in order. FOR SHARE makes an approval that is under way
-- wait for the line, or the line for the approval; without it, both could pass each other.
create or replace function bilag_internal.guard_lines() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
  touched uuid[];
  closed text;
begin
  if tg_op = 'INSERT' then
    select array_agg(distinct n.claim_id) into touched from new_lines n;
  elsif tg_op = 'DELETE' then
    select array_agg(distinct o.claim_id) into touched from old_lines o;
  else
    select array_agg(distinct t.claim_id) into touched
    from (select n.claim_id from new_lines n union all select o.claim_id from old_lines o) t;
  end if;
  perform from bilag.expense_claims c where c.id = any(touched) order by c.id for share;
  select c.claim_number into closed from bilag.expense_claims c
  where c.id = any(touched) and c.status = 'approved' and c.approved_in is distinct from pg_current_xact_id()
    and (tg_op <> 'UPDATE' or not exists (
      select from bilag_internal.anonymizing a where a.claim_id = c.id and a.in_transaction = pg_current_xact_id()))
  order by c.id limit 1;
  if closed is not null then
    perform bilag_internal.complain('KB006', format('Claim %s is approved and its lines do not change.', closed),
      'reopen_claim takes it back to draft when nothing holds it.');
  end if;
  return null;
end $$;

comment on function bilag_internal.guard_lines() is 'Lines of an approved claim are immutable, except in the transaction that approves it.';

create trigger guard_lines_inserted after insert on bilag.expense_claim_lines
  referencing new table as new_lines for each statement execute function bilag_internal.guard_lines();
create trigger guard_lines_updated after update on bilag.expense_claim_lines
  referencing old table as old_lines new table as new_lines for each statement execute function bilag_internal.guard_lines();
create trigger guard_lines_deleted after delete on bilag.expense_claim_lines
  referencing old table as old_lines for each statement execute function bilag_internal.guard_lines();

create or replace function bilag_internal.claim_of(claim_id uuid) returns bilag.expense_claims
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
  claim bilag.expense_claims;
begin
  select c.* into claim from bilag.expense_claims c where c.id = claim_of.claim_id;
  if not found or not bilag_internal.concerns_caller(claim.org_id) then
    perform bilag_internal.complain('KB002', format('There is no claim %s.', coalesce(claim_of.claim_id::text, 'null')),
      'select id, claim_number from bilag.expense_claims;');
  end if;
  perform bilag_internal.require_finance(claim.org_id);
  return claim;
end $$;

comment on function bilag_internal.claim_of(uuid) is 'The claim, for a caller who may move its organisation''s money; KB002 for a stranger, whether or not it exists.';
