-- Correcting what is booked. Two things can be wrong with a voucher: somebody deleted it at the vendor, and the claim is to go
-- again (release_for_reexport); or it should not be there, and its mirror is booked (reverse_export). Neither is done on a person's
-- word alone where the vendor can be asked: what is released must be gone, and what is reversed must be there. The item is then
-- `verifying` and looked up by `confirm`, which never writes; 37_verified.sql settles the answer. Here is what both have in common.
-- A reversed voucher keeps its claim: the ledger has both, and only release_for_reexport or reopen_claim lets the claim go again.

create or replace function bilag_internal.next_revision(integration_id uuid, claim_id uuid) returns integer
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  -- The rule of proposals(): what was released is followed by the next one.
  select coalesce((
    select i.revision + case when i.reason_code = 'released_for_reexport' then 1 else 0 end
    from bilag.export_items i
    where i.claim_id = next_revision.claim_id and i.integration_id = next_revision.integration_id and i.reverses is null
    order by i.id desc limit 1), 1)
$$;

comment on function bilag_internal.next_revision(uuid, uuid) is 'The revision of the claim''s next voucher in the integration.';

create or replace function bilag_internal.is_reversed(item_id bigint) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select exists (select from bilag.export_items r where r.reverses = item_id and r.holds and r.state = 'exported') $$;

comment on function bilag_internal.is_reversed(bigint) is 'Whether the mirror of a voucher is booked.';

create or replace function bilag_internal.reversal_is_unsent(run bilag.export_runs) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select run.trigger = 'reversal' and exists (
    select from bilag.export_items i where i.run_id = run.id and (i.state = 'pending' or (i.state = 'in_doubt' and i.look_first)))
$$;

comment on function bilag_internal.reversal_is_unsent(bilag.export_runs) is
  'Whether the run has a reversal still to send: no later run would take it, so this one does not end for impatience.';

create or replace function bilag_internal.ledger_key(settings jsonb, identity_settings text[]) returns text
language sql immutable
as $$ select string_agg(coalesce(settings ->> k, ''), '|' order by k) from unnest(identity_settings) as k $$;

comment on function bilag_internal.ledger_key(jsonb, text[]) is 'Which ledger the settings reach, as export_items.ledger_key keeps it.';

create or replace function bilag_internal.require_reason(reason text) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
begin
  if btrim(coalesce(reason, '')) = '' then
    perform bilag_internal.complain('KB001', 'A correction needs a reason: it is kept in the audit.', 'Say why, in a few words.');
  end if;
end $$;

comment on function bilag_internal.require_reason(text) is 'Raises KB001 unless a reason is given.';

-- The caller holds the lane.
create or replace function bilag_internal.booked_item(claim bilag.expense_claims, integration bilag.integration_config)
returns bilag.export_items
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  item bilag.export_items;
  reversal bilag.export_items;
begin
  select i.* into item from bilag.export_items i
  where i.claim_id = claim.id and i.integration_id = integration.id and i.reverses is null
  order by i.holds desc, i.id desc limit 1 for update;
  if item.reason_code = 'released_for_reexport' then
    perform bilag_internal.complain('KB004', format('Claim %s was released already.', claim.claim_number), 'The next export takes it.');
  elsif item.state in ('in_doubt', 'accepted') then
    perform bilag_internal.complain('KB004',
      format('Claim %s is %s: it is not known whether it is booked.', claim.claim_number,
        case item.state when 'in_doubt' then 'in doubt' else 'accepted and not yet seen in the ledger' end),
      'Wait for the look-up, or resolve_in_doubt.');
  elsif item.state in ('pending', 'sending') then
    perform bilag_internal.complain('KB004', format('Claim %s is being exported.', claim.claim_number), 'Wait for its run to end.');
  elsif item.state is distinct from 'exported' then
    perform bilag_internal.complain('KB004', format('Claim %s is not booked by %s.', claim.claim_number, integration.integration_type),
      'select * from bilag.claim_exports;');
  end if;
  select r.* into reversal from bilag.export_items r where r.reverses = item.id and r.holds and r.state <> 'exported';
  if found then
    perform bilag_internal.complain('KB004',
      format('Claim %s is being reversed by voucher %s.', claim.claim_number, reversal.voucher_number),
      format('select bilag.export_status(''%s'');', reversal.run_id));
  end if;
  return item;
end $$;

comment on function bilag_internal.booked_item(bilag.expense_claims, bilag.integration_config) is
  'The booked item of a claim, or KB004 with what stands in the way of correcting it.';

create or replace function bilag_internal.require_reachable(item bilag.export_items, integration bilag.integration_config) returns void
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if not integration.enabled then
    perform bilag_internal.complain('KB004', format('The integration %s is disabled.', integration.integration_type),
      'Set enabled to true in bilag.integration_config.');
  end if;
  if item.ledger_key is not null and item.ledger_key is distinct from (
    select bilag_internal.ledger_key(integration.settings, t.identity_settings)
    from bilag.integration_types t where t.integration_type = integration.integration_type
  ) then
    perform bilag_internal.complain('KB004', 'The voucher was booked in another ledger than the settings name now.',
      'Correct it there by hand, and note it with exclude_claim.');
  end if;
end $$;

comment on function bilag_internal.require_reachable(bilag.export_items, bilag.integration_config) is
  'Raises KB004 when the ledger that has the voucher cannot be reached.';
