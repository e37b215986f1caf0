-- Claims in bulk from the application: idempotent on claim_number, and never stopped by a bad one. Each claim is
-- {claim_number, status, currency, approved_at, claimant_name, claimant_reference, claimant_user_id, documentation_url,
-- lines: [{line_no, category, description, expense_date, amount, dimensions}]}.

create or replace function bilag_internal.upsert_claim(org_id uuid, claim jsonb) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  known bilag.expense_claims;
  made uuid;
begin
  if jsonb_typeof(claim) <> 'object' or coalesce(claim ->> 'claim_number', '') = '' then
    perform bilag_internal.complain('KB001', 'A claim is a JSON object with a claim_number.');
  end if;
  select c.* into known from bilag.expense_claims c
  where c.org_id = upsert_claim.org_id and c.claim_number = claim ->> 'claim_number';
  if found and known.status = 'approved' and coalesce(claim ->> 'status', 'approved') = 'approved' then
    return 'unchanged';  -- immutable, and telling it again is not an error; not locked, for a worker may be booking it
  end if;
  select c.* into known from bilag.expense_claims c where c.id = known.id for update;
  if known.id is null then
    insert into bilag.expense_claims (
      org_id, claim_number, claimant_name, claimant_reference, claimant_user_id, currency, status, approved_at, documentation_url)
    values (upsert_claim.org_id, claim ->> 'claim_number', claim ->> 'claimant_name', claim ->> 'claimant_reference',
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
    select upsert_claim.org_id, made, coalesce(x.line_no, x.n::integer), x.category, x.description, x.expense_date, x.amount,
      coalesce(x.dimensions, '{}')
    from (
      select l.*, row_number() over () as n
      from jsonb_to_recordset(claim -> 'lines') as l (
        line_no integer, category text, description text, expense_date date, amount numeric, dimensions jsonb)
    ) as x;
  end if;
  update bilag.expense_claims c
  set status = coalesce(claim ->> 'status', c.status),
    approved_at = case when claim ->> 'status' = 'approved' then (claim ->> 'approved_at')::timestamptz end
  where c.id = made;
  return case when known.id is null then 'inserted' else 'updated' end;
end $$;

comment on function bilag_internal.upsert_claim(uuid, jsonb) is 'Inserts or updates one claim with its lines; raises what is wrong with it.';

create or replace function bilag.upsert_claims(org_id uuid, claims jsonb) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  claim jsonb;
  results jsonb := '[]'::jsonb;
  did text;
  sentence text;
  code text;
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
        get stacked diagnostics sentence = message_text, code = returned_sqlstate;
        results := results || jsonb_build_object('claimNumber',
          case when jsonb_typeof(claim) = 'object' then claim ->> 'claim_number' end, 'result', 'refused', 'code', code, 'message', sentence);
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
  'Inserts or updates claims, idempotent on claim_number, and reports on each; a bad one is refused and stops no other.';
