-- What the look that a correction waits for has said: the only place in which a release or a reversal is decided.

-- An answer about items that are being verified; few, for each stands for a person's decision. Absence is believed of what the vendor
-- has answered for or was seen to have, and else once nothing can be on its way any more. Nothing is released on what a credential
-- does not find that was set since: it may reach another ledger.
create or replace function bilag_internal.settle_verified(told bilag_internal.result[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  one record;
  item bilag.export_items;
  said bilag_internal.result;
  gone boolean;
  there boolean;
  elsewhere boolean;
  withdrawn boolean;
  claim_is_ours boolean;
begin
  for one in
    select i as item, x as said from unnest(told) x join bilag.export_items i on i.id = x.id
    where i.verifying is not null and x.kind = 'confirm' and x.alive order by i.id
  loop
    item := one.item;
    said := one.said;
    there := said.outcome in ('exported', 'accepted') or (said.outcome = 'import_error' and item.verifying = 'release');
    gone := said.outcome = 'absent' and coalesce(
      item.answered or item.attempt <> all(item.succeeded_attempts) or item.looked_at >= item.absent_from, false);
    elsewhere := gone and item.verifying = 'release' and not said.same_credential;
    gone := gone and not elsewhere;
    -- Nobody is waited for: a claim that somebody holds is released at the next look.
    claim_is_ours := not gone or item.verifying <> 'release' or exists (
      select from bilag.expense_claims c where c.id = item.claim_id for no key update skip locked);
    if there and said.outcome <> 'import_error' then
      perform bilag_internal.stand_again(array[item.id], 'seen again');
      perform bilag_internal.judge_vanished(array[item.integration_id]);
    end if;
    if not (there or gone or elsewhere) or not claim_is_ours then
      withdrawn := item.verifying = 'reversal' and not exists (select from bilag.export_items r where r.reverses = item.id and r.holds);
      update bilag.export_items i
      set looks = i.looks + 1, verifying = case when not withdrawn then i.verifying end,
        next_look_at = case when not withdrawn then bilag_internal.now() + bilag_internal.look_wait('in_doubt', i.looks) end,
        reason_code = case when not withdrawn then i.reason_code end,
        message = case when not withdrawn then coalesce(said.message, i.message) end
      where i.id = item.id;
      continue;
    end if;
    update bilag.export_items i
    set verifying = null, next_look_at = null, looks = 0, reason_params = '{}', reason_code = w.reason_code,
      message = bilag_internal.tell(w.reason_code, '{}')
    from (
      select case when elsewhere then 'not_found_with_new_credential' when item.verifying = 'release' then 'still_there'
        when gone then 'original_absent' end as reason_code
    ) as w
    where i.id = item.id;
    if item.verifying = 'release' and gone then
      perform bilag_internal.release_items(array[item.id]);
      perform bilag_internal.judge_vanished(array[item.integration_id]);
    elsif item.verifying = 'reversal' and there then
      perform bilag_internal.begin_reversal(item);
    elsif item.verifying = 'reversal' then
      perform bilag_internal.drop_reversal(item);
    end if;
    perform bilag_internal.audit_many(array[(item.org_id,
      case item.verifying when 'release' then case when gone then 'claim.released' else 'claim.release_refused' end
        else case when gone then 'claim.reversal_refused' else 'claim.original_seen' end end,
      item.integration_type, null, null, jsonb_build_object('claimId', item.claim_id, 'claimNumber', item.voucher ->> 'claimNumber',
        'reference', item.reference, 'voucherNumber', item.voucher_number), null)::bilag_internal.audit_entry], patient => false);
  end loop;
end $$;

comment on function bilag_internal.settle_verified(bilag_internal.result[]) is
  'What a look at a booked voucher means for the correction that a person asked for.';
