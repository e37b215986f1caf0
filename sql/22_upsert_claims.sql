-- Claims in bulk from the application: idempotent on claim_number, and never stopped by a bad one. A key that nobody reads is a
-- fault: a misspelled currency would otherwise be NOK.

create or replace function bilag_internal.claim_fault(claim jsonb) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp
as $$
declare
  of_claim constant text[] := array[
    'id', 'claim_number', 'status', 'currency', 'approved_at', 'claimant_name', 'claimant_reference', 'claimant_user_id', 'documentation_url', 'lines'];
  of_line constant text[] := array['line_no', 'category', 'description', 'expense_date', 'amount', 'dimensions'];
  line jsonb;
  unknown text;
begin
  if jsonb_typeof(claim) <> 'object' or coalesce(claim ->> 'claim_number', '') = '' then
    return 'A claim is a JSON object with a claim_number.';
  end if;
  unknown := (select min(k) from jsonb_object_keys(claim - of_claim) as k);
  if unknown is not null then
    return format('A claim has no %I; it has: %s.', left(unknown, 100), array_to_string(of_claim, ', '));
  elsif not claim ? 'lines' then
    return null;
  elsif jsonb_typeof(claim -> 'lines') <> 'array' then
    return 'lines is not a JSON array of lines.';
  end if;
  for line in select l from jsonb_array_elements(claim -> 'lines') as l loop
    if jsonb_typeof(line) <> 'object' then
      return 'A line is not a JSON object.';
    elsif line - of_line <> '{}' then
      unknown := (select min(k) from jsonb_object_keys(line - of_line) as k);
      return format('A line has no %I; it has: %s.', left(unknown, 100), array_to_string(of_line, ', '));
    end if;
  end loop;
  return null;
end $$;

comment on function bilag_internal.claim_fault(jsonb) is 'What is wrong with the shape of a claim, in a sentence; null when nothing is.';

create or replace function bilag_internal.lines_told(claim jsonb)
returns table (line_no integer, category text, description text, expense_date date, amount numeric, dimensions jsonb)
language sql stable
as $$
  select coalesce(x.line_no, x.n::integer), x.category, x.description, x.expense_date, x.amount, coalesce(x.dimensions, '{}')
  from (
    select l.*, row_number() over () as n
    from jsonb_to_recordset(claim -> 'lines') as l (
      line_no integer, category text, description text, expense_date date, amount numeric, dimensions jsonb)
  ) as x
$$;

comment on function bilag_internal.lines_told(jsonb) is 'The lines of a claim as the application sent them; without a line_no they are counted.';

create or replace function bilag_internal.differs(known bilag.expense_claims, claim jsonb) returns boolean
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
  return claim ->> 'currency' <> known.currency or (claim ? 'lines' and exists (
    select from bilag_internal.lines_told(claim) as t
    full join (select l.* from bilag.expense_claim_lines l where l.claim_id = known.id) as l using (line_no)
    where (t.category, t.expense_date, t.amount, t.dimensions) is distinct from (l.category, l.expense_date, l.amount, l.dimensions)));
end $$;

comment on function bilag_internal.differs(bilag.expense_claims, jsonb) is
  'Whether what was sent would be booked otherwise than the claim that is known. Names and texts do not count: they may have been anonymized.';

create or replace function bilag_internal.upsert_claim(org_id uuid, claim jsonb) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  known bilag.expense_claims;
  made uuid;
  fault text := bilag_internal.claim_fault(claim);
begin
  if fault is not null then
    perform bilag_internal.complain('KB001', fault);
  end if;
  select c.* into known from bilag.expense_claims c
  where c.org_id = upsert_claim.org_id and c.claim_number = claim ->> 'claim_number';
  if known.id <> (claim ->> 'id')::uuid then
    perform bilag_internal.complain('KB001', format('Claim %s has the id %s.', known.claim_number, known.id), 'Send that one, or none.');
  end if;
  if known.status = 'approved' and coalesce(claim ->> 'status', 'approved') = 'approved' then
    if bilag_internal.differs(known, claim) then
      perform bilag_internal.complain('KB006', format('Claim %s is approved, and has other lines or another currency than was sent.', known.claim_number),
        'reopen_claim takes it back to draft when nothing holds it.');
    end if;
    return 'unchanged';  -- immutable, and telling it again is not an error; not locked, for a worker may be booking it
  end if;
  select c.* into known from bilag.expense_claims c where c.id = known.id for update;
  if known.id is null then
    insert into bilag.expense_claims (
      id, org_id, claim_number, claimant_name, claimant_reference, claimant_user_id, currency, status, approved_at, documentation_url)
    values (coalesce((claim ->> 'id')::uuid, gen_random_uuid()), upsert_claim.org_id, claim ->> 'claim_number', claim ->> 'claimant_name', claim ->> 'claimant_reference',
      (claim ->> 'claimant_user_id')::uuid, coalesce(claim ->> 'currency', 'NOK'), 'draft', null, claim ->> 'documentation_url')
    returning id into made;
  else
    made := known.id;
    update bilag.expense_claims c
    set status = case when known.status = 'approved' then claim ->> 'status' else c.status end where c.id = made;
    update bilag.expense_claims c
    set claimant_name = coalesce(claim ->> 'claimant_name', c.claimant_name),
      claimant_reference = coalesce(claim ->> 'claimant_reference', c.claimant_reference),
      claimant_user_id = coalesce((claim ->> 'claimant_user_id')::uuid, c.claimant_user_id),
      currency = coalesce(claim ->> 'currency', c.currency),
      documentation_url = coalesce(claim ->> 'documentation_url', c.documentation_url)
    where c.id = made;
  end if;
  if claim ? 'lines' then
    delete from bilag.expense_claim_lines l where l.claim_id = made;
    insert into bilag.expense_claim_lines (org_id, claim_id, line_no, category, description, expense_date, amount, dimensions)
    select upsert_claim.org_id, made, t.line_no, t.category, t.description, t.expense_date, t.amount, t.dimensions
    from bilag_internal.lines_told(claim) as t;
  end if;
  update bilag.expense_claims c
  set status = coalesce(claim ->> 'status', c.status),
    approved_at = case when claim ->> 'status' = 'approved' then (claim ->> 'approved_at')::timestamptz end
  where c.id = made;
  return case when known.id is null then 'inserted' else 'updated' end;
end $$;

comment on function bilag_internal.upsert_claim(uuid, jsonb) is 'Inserts or updates one claim with its lines; raises what is wrong with it.';

-- A constraint's name says what should be so, to whoever writes the tables. Here somebody sent JSON, and is told what is not so.
create or replace function bilag_internal.refusal_told(code text, rule text, missing text, message text) returns text
language sql immutable set search_path = pg_catalog, pg_temp
as $$
  select case
    when code = '23502' then format('A line has no %s.', missing)
    when rule = 'expense_claims_pkey' then 'The id belongs to another claim.'
    when rule = 'expense_claim_lines_pkey' then 'Two lines have the same line_no.'
    when rule = 'claim_number_has_one_to_hundred_characters' then 'The claim_number has more than 100 characters.'
    when rule = 'status_is_known' then 'The status is none of draft, submitted, approved, rejected, withdrawn.'
    when rule = 'currency_is_three_letters' then 'The currency is not three capital letters, as NOK.'
    when rule = 'approval_time_is_plausible' then 'approved_at lies outside the years 1900 to 2200.'
    when rule = 'expense_date_is_a_plausible_day' then 'An expense_date lies outside the years 1900 to 2200.'
    when rule = 'amount_is_money' then 'An amount is not a number with at most two decimals, smaller than 1000000000000.'
    when rule = 'category_has_at_most_two_hundred_characters' then 'A category has more than 200 characters.'
    when rule in ('dimensions_are_an_object', 'dimensions_are_flat') then 'The dimensions of a line are not a flat JSON object, as {"DEPARTMENT": "SALES"}.'
    else message
  end
$$;

comment on function bilag_internal.refusal_told(text, text, text, text) is
  'Why a claim was refused, from SQLSTATE, constraint, column and message of the error.';

create or replace function bilag.upsert_claims(org_id uuid, claims jsonb) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  claim jsonb;
  results jsonb := '[]'::jsonb;
  did text;
  sentence text;
  mend text;
  code text;
  rule text;
  missing text;
begin
  perform bilag_internal.require_finance(org_id);
  if jsonb_typeof(claims) is distinct from 'array' then
    perform bilag_internal.complain('KB001', 'claims is not a JSON array of claims.',
      '[{"claim_number": "C-1", "status": "approved", "lines": [{"category": "taxi", "expense_date": "2026-02-26", "amount": 450.00}]}]');
  end if;
  for claim in select c from jsonb_array_elements(claims) as c loop
    begin
      did := bilag_internal.upsert_claim(org_id, claim);
      results := results || jsonb_build_object('claimNumber', claim ->> 'claim_number', 'result', did);
    exception
      -- One bad claim is told and skipped, also one that is too long for an index of the application's own; anything that is not about
      -- the data still stops the call.
      when sqlstate 'KB001' or sqlstate 'KB006' or sqlstate 'KB008' or integrity_constraint_violation or data_exception or program_limit_exceeded then
        get stacked diagnostics sentence = message_text, mend = pg_exception_hint, code = returned_sqlstate, rule = constraint_name, missing = column_name;
        results := results || jsonb_build_object('claimNumber',
          case when jsonb_typeof(claim) = 'object' then claim ->> 'claim_number' end, 'result', 'refused', 'code', code,
          'message', bilag_internal.refusal_told(code, rule, missing, sentence), 'hint', nullif(mend, ''));
    end;
  end loop;
  return jsonb_build_object(
    'inserted', (select count(*) from jsonb_array_elements(results) r where r ->> 'result' = 'inserted'),
    'updated', (select count(*) from jsonb_array_elements(results) r where r ->> 'result' = 'updated'),
    'unchanged', (select count(*) from jsonb_array_elements(results) r where r ->> 'result' = 'unchanged'),
    'refused', (select count(*) from jsonb_array_elements(results) r where r ->> 'result' = 'refused'),
    'claims', results);
end $$;

comment on function bilag.upsert_claims(uuid, jsonb) is
  'Inserts or updates claims, idempotent on claim_number, and reports on each; a bad one is refused and stops no other. Each is {id, claim_number, status, currency, approved_at, claimant_name, claimant_reference, claimant_user_id, documentation_url, lines: [{line_no, category, description, expense_date, amount, dimensions}]}; without lines, those that are there stay.';
