-- Letting a booked claim go again (release_for_reexport): its voucher was deleted at the vendor, or reversed. What can be looked up
-- must be gone; the next voucher has the next revision, and with it another reference and number.

-- The caller holds the lanes and the claims.
create or replace function bilag_internal.release_items(item_ids bigint[]) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  update bilag.export_items i
  set state = 'voided', holds = false, verifying = null, next_look_at = null, reason_code = 'released_for_reexport', reason_params = '{}',
    message = bilag_internal.tell('released_for_reexport', '{}'), settled_at = bilag_internal.now()
  where i.id = any(item_ids);
  update bilag.expense_claims c set booked = false
  where c.id in (select i.claim_id from bilag.export_items i where i.id = any(item_ids) and i.books) and c.booked;
  select bilag_internal.claims_changed(item_ids);
$$;

comment on function bilag_internal.release_items(bigint[]) is 'Lets claims go: their next voucher has the next revision, and with it another reference.';

create or replace function bilag_internal.release_reversed(claim bilag.expense_claims) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  perform from bilag.export_lanes l
  where l.integration_id in (
    select i.integration_id from bilag.export_items i where i.claim_id = claim.id and i.holds and i.reverses is null)
  order by l.integration_id for update;
  perform from bilag.expense_claims c where c.id = claim.id for no key update;
  perform bilag_internal.release_items(array(
    select i.id from bilag.export_items i
    where i.claim_id = claim.id and i.holds and i.reverses is null and i.state = 'exported' and bilag_internal.is_reversed(i.id)));
end $$;

comment on function bilag_internal.release_reversed(bilag.expense_claims) is 'For reopen_claim: what was reversed holds the claim no longer.';

create or replace function bilag.release_for_reexport(claim_id uuid, integration_type text, reason text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  claim bilag.expense_claims := bilag_internal.claim_of(claim_id);
  integration bilag.integration_config := bilag_internal.lock_lane(claim.org_id, integration_type);
  item bilag.export_items;
  reversed boolean;
  asks boolean;
begin
  perform bilag_internal.require_reason(reason);
  perform from bilag.expense_claims c where c.id = claim.id for no key update;
  item := bilag_internal.booked_item(claim, integration);
  if item.verifying = 'release' then
    return;  -- a second click
  end if;
  reversed := bilag_internal.is_reversed(item.id);
  -- What was reversed is there and is to stay; what was booked elsewhere has no reference to be found by; and where nothing can be
  -- looked up, the person's word counts.
  asks := not reversed and item.voucher is not null and (
    select t.finds and not t.makes_file from bilag.integration_types t where t.integration_type = integration.integration_type);
  if asks then
    perform bilag_internal.require_reachable(item, integration);
    update bilag.export_items i
    set verifying = 'release', next_look_at = bilag_internal.now(), looks = 0, reason_code = 'release_requested', reason_params = '{}',
      message = bilag_internal.tell('release_requested', '{}'),
      -- Told that the credential is another one, the person asks again: it reaches the ledger that had the voucher.
      credential_version = case when i.reason_code = 'not_found_with_new_credential' then integration.credential_version
        else i.credential_version end
    where i.id = item.id;
  else
    perform bilag_internal.release_items(array[item.id]);
    perform bilag_internal.judge_vanished(array[integration.id]);
  end if;
  perform bilag_internal.wake_lanes(array[integration.id]);
  perform pg_notify('bilag_wake', '');
  perform bilag_internal.decide(claim.org_id, case when asks then 'claim.release_requested' else 'claim.released' end, integration_type,
    claim, reason, jsonb_build_object('reference', item.reference, 'voucherNumber', item.voucher_number, 'reversed', reversed));
end $$;

comment on function bilag.release_for_reexport(uuid, text, text) is
  'The voucher was deleted at the vendor, or was reversed: the claim may be exported again, under a new reference and number. Where the vendor can be asked, one look must agree that it is gone.';

create or replace function bilag_internal.withdraw_release(claim bilag.expense_claims, integration bilag.integration_config) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  withdrawn bigint;
begin
  update bilag.export_items i
  set verifying = null, next_look_at = null, looks = 0, reason_code = null, reason_params = '{}', message = null
  where i.claim_id = claim.id and i.integration_id = integration.id and i.verifying = 'release' returning i.id into withdrawn;
  perform bilag_internal.raise_look_alerts(array[withdrawn]);
  return withdrawn is not null;
end $$;

comment on function bilag_internal.withdraw_release(bilag.expense_claims, bilag.integration_config) is
  'For resolve_in_doubt: a person says that the voucher is booked after all. False when it was not being released.';
