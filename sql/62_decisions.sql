-- What people decide about single claims: booked elsewhere, never, once more, back to draft; and what they know of one in doubt.

create or replace function bilag_internal.decide(org_id uuid, action text, integration_type text, claim bilag.expense_claims, note text, details jsonb default '{}')
returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  select bilag_internal.audit(org_id, action, integration_type, null, note,
    jsonb_build_object('claimId', claim.id, 'claimNumber', claim.claim_number) || details)
$$;

comment on function bilag_internal.decide(uuid, text, text, bilag.expense_claims, text, jsonb) is 'Audits a person''s decision on a claim.';

create or replace function bilag.mark_booked(claim_id uuid, integration_type text, voucher_number text, note text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  claim bilag.expense_claims := bilag_internal.claim_of(claim_id);
  integration bilag.integration_config := bilag_internal.lock_lane(claim.org_id, integration_type);
  held bilag.export_items;
begin
  if coalesce(btrim(voucher_number), '') = '' then
    perform bilag_internal.complain('KB001', 'The voucher_number is empty.',
      'Say under which number the claim was booked; exclude_claim is for what is never to be booked.');
  end if;
  -- As a start does: whoever takes the claim at the same moment is waited for, then seen.
  perform from bilag.expense_claims c where c.id = claim.id for no key update;
  if claim.status <> 'approved' then
    perform bilag_internal.complain('KB004', format('Claim %s is %s, not approved.', claim.claim_number, claim.status),
      'Only an approved claim is booked, here or elsewhere.');
  end if;
  select i.* into held from bilag.export_items i
  where i.claim_id = claim.id and i.holds and i.reverses is null and (i.integration_id = integration.id or (i.books and integration.books))
  limit 1;
  if found then
    perform bilag_internal.refuse_held(claim.claim_number, held);
  end if;
  insert into bilag.export_items (
    org_id, integration_id, integration_type, claim_id, revision, state, holds, books, reference, external_id, booked_at, settled_at,
    reason_code, message, created_at)
  select claim.org_id, integration.id, integration.integration_type, claim.id, n.revision, 'exported', true, integration.books,
    bilag_internal.reference(integration.id, claim.claim_number, n.revision), mark_booked.voucher_number, bilag_internal.now(), bilag_internal.now(),
    'booked_elsewhere', bilag_internal.tell('booked_elsewhere', '{}'), bilag_internal.now()
  from (select bilag_internal.next_revision(integration.id, claim.id) as revision) as n;
  if integration.books then
    update bilag.expense_claims c set booked = true where c.id = claim.id;
  end if;
  perform bilag_internal.claims_changed(array(
    select i.id from bilag.export_items i where i.claim_id = claim.id and i.integration_id = integration.id and i.holds));
  perform bilag_internal.decide(claim.org_id, 'claim.marked_booked', integration_type, claim, note,
    jsonb_build_object('voucherNumber', mark_booked.voucher_number));
end $$;

comment on function bilag.mark_booked(uuid, text, text, text) is 'The claim was booked by other means: it is never exported to this integration.';

create or replace function bilag.exclude_claim(claim_id uuid, integration_type text, reason text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  claim bilag.expense_claims := bilag_internal.claim_of(claim_id);
  integration bilag.integration_config := bilag_internal.lock_lane(claim.org_id, integration_type);
  held bilag.export_items;
begin
  if coalesce(btrim(exclude_claim.reason), '') = '' then
    perform bilag_internal.complain('KB001', 'The reason is empty.', 'Say why the claim is not to be exported: whoever looks at it next reads it.');
  end if;
  select i.* into held from bilag.export_items i
  where i.claim_id = claim.id and i.integration_id = integration.id and i.holds and i.reverses is null limit 1;
  if found then
    perform bilag_internal.refuse_held(claim.claim_number, held);
  end if;
  insert into bilag.claim_exclusions as e (integration_id, claim_id, org_id, reason, excluded_at)
  values (integration.id, claim.id, claim.org_id, exclude_claim.reason, bilag_internal.now())
  on conflict on constraint claim_exclusions_pkey do update set reason = excluded.reason;
  perform bilag_internal.decide(claim.org_id, 'claim.excluded', integration_type, claim, exclude_claim.reason);
end $$;

comment on function bilag.exclude_claim(uuid, text, text) is 'Keeps a claim out of an integration until include_claim.';

create or replace function bilag.include_claim(claim_id uuid, integration_type text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  claim bilag.expense_claims := bilag_internal.claim_of(claim_id);
  integration bilag.integration_config := bilag_internal.lock_lane(claim.org_id, integration_type);
begin
  delete from bilag.claim_exclusions e where e.integration_id = integration.id and e.claim_id = claim.id;
  perform bilag_internal.decide(claim.org_id, 'claim.included', integration_type, claim, null);
end $$;

comment on function bilag.include_claim(uuid, text) is 'Takes an excluded claim back in: the next run takes it.';

create or replace function bilag.reopen_claim(claim_id uuid, reason text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  claim bilag.expense_claims := bilag_internal.claim_of(claim_id);
begin
  if claim.status <> 'approved' then
    perform bilag_internal.complain('KB004', format('Claim %s is %s, not approved.', claim.claim_number, claim.status),
      'There is nothing to take back: only an approved claim is locked.');
  end if;
  perform bilag_internal.release_reversed(claim);
  update bilag.expense_claims c set status = 'draft' where c.id = claim.id;
  perform bilag_internal.decide(claim.org_id, 'claim.reopened', null, claim, reason);
end $$;

comment on function bilag.reopen_claim(uuid, text) is 'An approved claim that nothing holds, or whose voucher was reversed, goes back to draft, where it may change.';

create or replace function bilag.resolve_in_doubt(
  claim_id uuid, integration_type text, outcome text, voucher_number text default null, note text default null
) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  claim bilag.expense_claims := bilag_internal.claim_of(claim_id);
  integration bilag.integration_config := bilag_internal.lock_lane(claim.org_id, integration_type);
  item bilag.export_items;
begin
  if outcome is null or outcome not in ('booked', 'not_booked') then
    perform bilag_internal.complain('KB001', format('%L is not an outcome.', outcome), 'Say booked or not_booked.');
  end if;
  select i.* into item from bilag.export_items i
  where i.claim_id = claim.id and i.integration_id = integration.id and i.holds and i.state in ('in_doubt', 'accepted')
  order by i.id desc limit 1 for update;
  if not found and outcome = 'booked' and bilag_internal.withdraw_release(claim, integration) then
    perform bilag_internal.decide(claim.org_id, 'claim.release_withdrawn', integration_type, claim, note);
    return;
  elsif item.id is null then
    perform bilag_internal.complain('KB004', format('Claim %s is not in doubt.', claim.claim_number),
      'select * from bilag.claim_exports;');
  end if;
  if outcome = 'booked' then
    update bilag.export_items i
    set state = 'exported', external_id = coalesce(resolve_in_doubt.voucher_number, i.external_id), booked_at = bilag_internal.now(),
      settled_at = bilag_internal.now(), next_look_at = null, last_look = false, reason_code = null,
      -- Evidence that arrives later for this attempt is the same voucher, not a second one.
      succeeded_attempts = array_remove(i.succeeded_attempts, i.attempt) || i.attempt, reason_params = '{}', message = null
    where i.id = item.id;
    perform bilag_internal.book(array[item.id]);
    perform bilag_internal.claims_changed(array[item.id]);
    perform bilag_internal.finish_runs(array(
      select r.id from bilag.export_runs r where r.id = item.run_id and r.due_at = 'infinity' and r.finished_at is null));
  else
    -- Never on a person's word alone: the vendor is asked once more, and only if it has nothing is the claim released.
    update bilag.export_items i
    set state = 'in_doubt', last_look = true, next_look_at = bilag_internal.now(), reason_code = coalesce(i.reason_code, 'unanswered'),
      message = coalesce(i.message, bilag_internal.tell('unanswered', '{}'))
    where i.id = item.id;
    perform bilag_internal.wake_lanes(array[integration.id]);
    perform pg_notify('bilag_wake', '');
  end if;
  perform bilag_internal.raise_look_alerts(array[item.id]);
  perform bilag_internal.decide(claim.org_id, 'claim.resolved', integration_type, claim, note,
    jsonb_build_object('outcome', outcome, 'voucherNumber', voucher_number));
end $$;

comment on function bilag.resolve_in_doubt(uuid, text, text, text, text) is
  'A person knows: booked settles the voucher; not_booked orders one last look, and an absent voucher is released.';
