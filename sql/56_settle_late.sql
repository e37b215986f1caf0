-- A word that comes late: from an attempt that was overtaken, or about an item that was settled meanwhile. It is evidence all the
-- same: two successes of one claim are told, and nothing that is under way is disturbed.

create or replace function bilag_internal.settle_late(item bilag.export_items, result bilag_internal.result) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  other bilag.export_items;
  target bigint;
begin
  select o.* into other from bilag.export_items o
  where o.claim_id = item.claim_id and o.id <> item.id and o.holds and o.reverses is not distinct from item.reverses
    and (o.integration_id = item.integration_id or (o.books and item.books))
  order by o.id desc limit 1 for update;
  if item.state = 'pending' then
    target := item.id;
  elsif item.reason_code = 'released_for_reexport' then
    if bilag_internal.is_reversed(item.id) then
      return;  -- it is there, and so is its mirror
    end if;
    perform bilag_internal.raise_alert('released_still_there', item.reference, item.org_id, item.integration_type,
      bilag_internal.tell('released_by_mistake', '{}'), jsonb_build_object('itemId', item.id));
  end if;
  if item.state in ('rejected', 'voided') then
    if other.state = 'pending' or (other.state = 'in_doubt' and other.attempt = 0 and other.integration_id = item.integration_id) then
      -- A later run, or another integration, has taken the claim and not sent it yet: it is booked already.
      update bilag.export_items o
      set state = 'voided', holds = false, suspect = false, settled_at = bilag_internal.now(), reason_code = 'booked_meanwhile',
        reason_params = '{}', message = bilag_internal.tell('booked_meanwhile', '{}'), next_look_at = null
      where o.id = other.id;
      other := null;
    end if;
    if other.id is null then
      target := item.id;
    end if;
  end if;
  if target is not null then
    update bilag.export_items i
    set state = result.outcome, holds = true, suspect = false, answered = true, external_id = coalesce(result.external_id, i.external_id),
      succeeded_attempts = case when result.kind = 'post' and not result.seen then i.succeeded_attempts || result.attempt
        else i.succeeded_attempts end,
      reason_params = '{}',
      reason_code = case when item.reason_code = 'released_for_reexport' then 'released_by_mistake' end,
      message = case when item.reason_code = 'released_for_reexport' then bilag_internal.tell('released_by_mistake', '{}') end,
      booked_at = case when result.outcome = 'exported' then bilag_internal.now() end,
      settled_at = case when result.outcome = 'exported' then bilag_internal.now() end,
      next_look_at = case when result.outcome = 'accepted' then bilag_internal.now() end
    where i.id = target;
    if result.outcome = 'exported' then
      perform bilag_internal.book(array[target]);
    end if;
    perform bilag_internal.claims_changed(array[target]);
    return;
  end if;
  -- What a look saw may be the voucher of the attempt that is under way or settled; only a write's own answer is a second one.
  if result.kind <> 'post' or result.seen then
    return;
  end if;
  update bilag.export_items i set succeeded_attempts = i.succeeded_attempts || result.attempt
  where i.id = item.id and result.attempt <> all(i.succeeded_attempts);
  if item.state in ('accepted', 'exported') and result.attempt = item.attempt and cardinality(item.succeeded_attempts) = 0 then
    return;  -- the answer to the attempt that a look has found already
  end if;
  if item.state in ('accepted', 'exported') or other.state in ('sending', 'accepted', 'in_doubt', 'exported') then
    perform bilag_internal.raise_alert('doubled', item.reference, item.org_id, item.integration_type,
      format('Voucher %s was reported booked by attempt %s beside another one.', item.reference, result.attempt),
      jsonb_build_object('itemId', item.id));
  end if;
end $$;

comment on function bilag_internal.settle_late(bilag.export_items, bilag_internal.result) is
  'Evidence of success from an attempt that is over: settles what was not sent again, and raises doubled for what was.';
