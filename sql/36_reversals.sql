-- Taking a voucher back (reverse_export): its mirror is booked by the path of an export and with its guarantees, from the lines as
-- they were booked, once a look has seen the original. The mirror is the only voucher of its run.

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
  set voucher_number_last = greatest(l.voucher_number_last, (integration.settings ->> 'voucher_number_from')::numeric::bigint - 1) + 1
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
  integration bilag.integration_config := bilag_internal.lock_lane(claim.org_id, integration_type);
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
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  item bilag.export_items;
  original bilag.export_items;
begin
  select i.* into item from bilag.export_items i where i.run_id = run.id;
  select o.* into original from bilag.export_items o where o.id = item.reverses;
  -- What the claim is booked as by now is another voucher, and nobody asked for its reversal.
  if not original.holds then
    perform bilag_internal.complain('KB004',
      format('Voucher %s, which the run was to reverse, was released for re-export.', original.voucher_number),
      'reverse_export reverses the voucher that the claim has now.');
  end if;
  return bilag.reverse_export(item.claim_id, run.integration_type, item.posting_date, coalesce(nullif(btrim(run.note), ''), 'retry'));
end $$;

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
