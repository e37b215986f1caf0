-- Correcting what is booked. Two things can be wrong with a voucher: somebody deleted it at the vendor, and the claim is to go
-- again (release_for_reexport); or it should not be there, and its mirror is booked (reverse_export). Neither is done on a person's
-- word alone where the vendor can be asked: what is released must be gone, and what is reversed must be there. The item is then
-- `verifying` and looked up by `confirm`, which never writes; its answer is settled here.
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
  integration bilag.integration_config := bilag_internal.lock_lane(claim, integration_type);
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

create or replace function bilag_internal.mirrored(item bilag.export_items, posting_date date) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  -- From the lines as they were booked, whatever the mappings say by now.
  select item.voucher || jsonb_build_object('postingDate', posting_date, 'documentDate', posting_date,
    'description', format('Reversal of voucher %s, expense claim %s', item.voucher_number, item.voucher ->> 'claimNumber'),
    'lines', (
      select jsonb_agg(jsonb_build_object('lineNo', l.line_no, 'account', l.account_code, 'amount', (-l.amount)::text, 'vatCode', l.vat_code,
        'description', l.description, 'dimensions', l.dimensions, 'subledger', l.subledger) order by l.line_no)
      from bilag.export_lines l where l.item_id = item.id))
$$;

comment on function bilag_internal.mirrored(bilag.export_items, date) is 'The voucher that takes back what an item booked.';

create or replace function bilag_internal.make_reversal(item bilag.export_items, integration bilag.integration_config, posting_date date, reason text)
returns bilag.export_items
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  run bilag.export_runs;
  reversal bilag.export_items;
  content jsonb := bilag_internal.mirrored(item, posting_date);
  reference text := bilag_internal.reference(item.integration_id, item.voucher ->> 'claimNumber', item.revision, true);
  number bigint;
begin
  update bilag.export_lanes l
  set voucher_number_last = greatest(l.voucher_number_last,
    coalesce((integration.settings ->> 'voucher_number_from')::numeric::bigint, 1) - 1) + 1
  where l.integration_id = integration.id returning l.voucher_number_last into number;
  insert into bilag.export_runs (org_id, integration_type, trigger, note)
  values (integration.org_id, integration.integration_type, 'reversal', reason) returning * into run;
  insert into bilag.export_items (
    run_id, org_id, integration_id, integration_type, claim_id, position, revision, reverses, state, holds, books, reference,
    voucher_number, voucher, content_sha256, posting_date, currency, amount, line_count, created_at)
  values (run.id, item.org_id, item.integration_id, item.integration_type, item.claim_id, 1, item.revision, item.id, 'pending', true,
    item.books, reference, number,
    content || jsonb_build_object('reference', reference, 'voucherNumber', number, 'revision', item.revision),
    sha256(convert_to((content - 'reference' - 'voucherNumber' - 'revision')::text, 'UTF8')), posting_date, item.currency, -item.amount,
    item.line_count, bilag_internal.now())
  returning * into reversal;
  -- It has all that it will ever have.
  update bilag.export_runs r set took_all = true, item_count = 1 where r.id = run.id;
  return reversal;
end $$;

comment on function bilag_internal.make_reversal(bilag.export_items, bilag.integration_config, date, text) is
  'A run with the mirror of a booked item as its only voucher.';

create or replace function bilag.reverse_export(claim_id uuid, integration_type text, posting_date date, reason text) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  claim bilag.expense_claims := bilag_internal.claim_of(claim_id);
  integration bilag.integration_config := bilag_internal.lock_lane(claim, integration_type);
  item bilag.export_items;
  reversal bilag.export_items;
begin
  perform bilag_internal.require_reason(reason);
  if posting_date is null or posting_date not between '1900-01-01' and '2200-01-01' then
    perform bilag_internal.complain('KB001', format('%s is no day to book a reversal on.', coalesce(posting_date::text, 'null')),
      'Say the posting date of the mirrored voucher.');
  end if;
  select r.* into reversal
  from bilag.export_items r join bilag.export_items i on i.id = r.reverses and i.holds
  where r.claim_id = claim.id and r.integration_id = integration.id and r.holds;
  if reversal.state = 'exported' then
    perform bilag_internal.complain('KB004',
      format('Claim %s is reversed already, by voucher %s of %s.', claim.claim_number, reversal.voucher_number, reversal.posting_date),
      'A reversal is not reversed: release_for_reexport lets the claim be exported again.');
  elsif reversal.posting_date = reverse_export.posting_date then
    return reversal.run_id;  -- a second click
  end if;
  item := bilag_internal.booked_item(claim, integration);
  if item.verifying = 'release' then
    perform bilag_internal.complain('KB004', format('Claim %s is being released for re-export.', claim.claim_number),
      'Wait for the look-up: only what is still there can be reversed.');
  elsif item.voucher is null then
    perform bilag_internal.complain('KB004', format('Claim %s was booked elsewhere, so its lines are not known here.', claim.claim_number),
      'Reverse it there; then release_for_reexport, or leave it as it is.');
  elsif reverse_export.posting_date <= integration.books_closed_until then
    perform bilag_internal.complain('KB004',
      format('The books are closed until %s, and the reversal is to be posted on %s.', integration.books_closed_until, reverse_export.posting_date),
      'Say a later posting date, or open the books: books_closed_until in bilag.integration_config.');
  end if;
  perform bilag_internal.require_reachable(item, integration);

  reversal := bilag_internal.make_reversal(item, integration, posting_date, reason);
  if (select t.finds and not t.makes_file from bilag.integration_types t where t.integration_type = integration.integration_type) then
    update bilag.export_items i
    set verifying = 'reversal', next_look_at = bilag_internal.now(), looks = 0, reason_code = 'reversal_requested', reason_params = '{}',
      message = bilag_internal.tell('reversal_requested', '{}')
    where i.id = item.id;
    update bilag.export_runs r
    set status = 'waiting', due_at = 'infinity', waiting_since = bilag_internal.now(), waiting_reason_code = 'verifying_original'
    where r.id = reversal.run_id;
  end if;
  perform bilag_internal.wake_lanes(array[integration.id]);
  perform bilag_internal.decide(claim.org_id, 'claim.reversal_requested', integration_type, claim, reason,
    jsonb_build_object('reference', item.reference, 'voucherNumber', item.voucher_number, 'reversal', reversal.voucher_number,
      'postingDate', reversal.posting_date, 'runId', reversal.run_id));
  return reversal.run_id;
end $$;

comment on function bilag.reverse_export(uuid, text, date, text) is
  'Books the mirror of a voucher, by the path of an export and with its guarantees, once a look has seen the voucher. Returns the run; a second call while it is under way returns the same. The claim is not exported again before release_for_reexport or reopen_claim.';

create or replace function bilag_internal.retry_reversal(run bilag.export_runs) returns uuid
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  select bilag.reverse_export(i.claim_id, run.integration_type, i.posting_date, coalesce(nullif(btrim(run.note), ''), 'retry'))
  from bilag.export_items i where i.run_id = run.id
$$;

comment on function bilag_internal.retry_reversal(bilag.export_runs) is 'For retry_export: no later run takes a reversal, so it is asked for again.';

create or replace function bilag_internal.begin_reversal(item bilag.export_items) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  its_run uuid;
begin
  select r.run_id into its_run from bilag.export_items r where r.reverses = item.id and r.holds and r.state = 'pending';
  if its_run is null then
    return;  -- cancelled meanwhile
  end if;
  -- Its reference is the same in every life of this database, so it is looked for before it is sent.
  if exists (select from bilag.installation i where i.recover_before is not null) then
    perform bilag_internal.doubt_recovered(array[its_run]);
  end if;
  update bilag.export_items r
  set state = 'in_doubt', look_first = true, sent_at = item.created_at, next_look_at = bilag_internal.now(), answered = false,
    absent_from = bilag_internal.now(), looked_at = null, credential_version = c.credential_version, reason_code = 'looked_up_first',
    reason_params = '{}', message = bilag_internal.tell('looked_up_first', '{}')
  from bilag.integration_config c
  where r.run_id = its_run and r.state = 'pending' and c.id = r.integration_id;
  update bilag.export_runs r set waiting_reason_code = 'in_doubt' where r.id = its_run;
end $$;

comment on function bilag_internal.begin_reversal(bilag.export_items) is 'The original is there: its mirror is looked up, and sent if it is absent.';

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

create or replace function bilag_internal.drop_reversal(item bilag.export_items) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  ended uuid;
begin
  update bilag.export_items r
  set state = 'rejected', holds = false, settled_at = bilag_internal.now(), reason_code = 'original_absent', reason_params = '{}',
    message = bilag_internal.tell('original_absent', '{}')
  where r.reverses = item.id and r.holds and r.state = 'pending' returning r.run_id into ended;
  perform bilag_internal.finish_runs(array_remove(array[ended], null));
end $$;

comment on function bilag_internal.drop_reversal(bilag.export_items) is 'The original is not there: its mirror would take back what nobody booked.';
