-- Forgetting a person. What bookkeeping law needs stays: which claim became which voucher, its number, dates, accounts, amounts, and
-- the subledger that was booked. The name goes, the person's id, the link to receipts that names them, and the name in every text
-- that is kept for people to read. What was sent is not sent again: the hashes of a voucher stay those of what was sent. The audit log
-- and delivered files stay whole, for their hashes are their worth. Decision 30 says why.

create or replace function bilag_internal.name_pattern(names text[]) returns text
language sql immutable set search_path = pg_catalog, pg_temp
as $$
  -- Each name as a whole in any case, and each word and part of it: short ones as they are written, for "Per" is also a word. A genitive s too.
  -- No \y: what a letter is depends on the locale, and in "C" Å is none. Longest first.
  select '(^|[^[:alnum:]])(' || string_agg(w.pattern, '|' order by length(w.pattern) desc, w.pattern) || ')(''?s)?(?![[:alnum:]])'
  from (
    select distinct case when length(v.word) < 4 then e.escaped else '(?:' || f.folded || ')' end as pattern
    from (
      select btrim(n) as word from unnest(names) as n
      union
      select w from unnest(names) as n cross join regexp_split_to_table(n, '[\s,;]+') as w
      union
      select w from unnest(names) as n cross join regexp_split_to_table(n, '[^[:alnum:]\u0080-\uffff'']+') as w
    ) as v
    cross join lateral (select regexp_replace(v.word, '([^[:alnum:][:space:]\u0080-\uffff])', '\\\1', 'g') as escaped) as e
    cross join lateral (
      -- Case by case, for the short ones beside it keep theirs.
      select string_agg(case when lower(c) <> upper(c) then '[' || lower(c) || upper(c) || ']' when c ~ '[[:space:]]' then '[[:space:]]+'
        when c ~ '[[:alnum:]\u0080-\uffff]' then c else '\' || c end, '' order by n) as folded
      from regexp_split_to_table(v.word, '') with ordinality as s (c, n)
    ) as f
    where length(v.word) >= 2
  ) as w
$$;

comment on function bilag_internal.name_pattern(text[]) is 'A regular expression that finds these names, and each word of them, in a text; null when there are none.';

create or replace function bilag_internal.forget(words text, pattern text) returns text
language sql immutable set search_path = pg_catalog, pg_temp
as $$ select case when pattern is null then words else regexp_replace(words, pattern, '\1…', 'g') end $$;

comment on function bilag_internal.forget(text, text) is 'The text with … in place of every name that the pattern finds.';

create or replace function bilag_internal.forget(words jsonb, pattern text) returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp
as $$
begin
  return case jsonb_typeof(words)
    when 'string' then to_jsonb(bilag_internal.forget(words #>> '{}', pattern))
    when 'object' then coalesce((select jsonb_object_agg(e.key, bilag_internal.forget(e.value, pattern)) from jsonb_each(words) as e), '{}')
    when 'array' then coalesce((
      select jsonb_agg(bilag_internal.forget(e.value, pattern) order by e.n) from jsonb_array_elements(words) with ordinality as e (value, n)), '[]')
    else words
  end;
end $$;

comment on function bilag_internal.forget(jsonb, text) is 'The same in every string of a JSON value.';

-- The codes of a voucher are what was booked and stay, a dimension that is somebody's initials too; its texts are for people to read.
create or replace function bilag_internal.forget_in_voucher(voucher jsonb, pattern text) returns jsonb
language sql immutable set search_path = pg_catalog, pg_temp
as $$
  select voucher || jsonb_build_object(
    'description', bilag_internal.forget(voucher ->> 'description', pattern),
    'documentationUrl', case when voucher ->> 'documentationUrl' !~ coalesce(pattern, '$.') then voucher ->> 'documentationUrl' end,
    'claimantReference', case when voucher -> 'lines' @? '$[*] ? (@.subledger != null)' then voucher ->> 'claimantReference' end,
    'lines', (
      select jsonb_agg(l.line || jsonb_build_object('description', bilag_internal.forget(l.line ->> 'description', pattern)) order by l.n)
      from jsonb_array_elements(voucher -> 'lines') with ordinality as l (line, n)))
$$;

comment on function bilag_internal.forget_in_voucher(jsonb, text) is 'A voucher without the names in its texts; its codes, amounts and dates as they were.';

create or replace function bilag_internal.unsettled(claim_ids uuid[]) returns text[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select array_agg(c.claim_number || ' (' || u.why || ')' order by c.claim_number)
  from bilag.expense_claims c
  cross join lateral (
    select case
      when c.status in ('draft', 'submitted') then c.status
      when exists (select from bilag.export_items i where i.claim_id = c.id and i.state in ('pending', 'sending', 'accepted', 'in_doubt')) then 'being exported'
      when exists (select from bilag.export_items i where i.claim_id = c.id and i.verifying is not null) then 'being corrected'
      when c.status = 'approved' and not c.booked and not exists (select from bilag.integration_config g where g.org_id = c.org_id) then 'approved'
      when c.status = 'approved' and exists (
        select from bilag.integration_config g
        where g.org_id = c.org_id and g.enabled and c.approved_at >= g.export_from
          and not exists (select from bilag.claim_exclusions e where e.integration_id = g.id and e.claim_id = c.id)
          and not exists (
            select from bilag.export_items i
            where i.claim_id = c.id and i.holds and (i.integration_id = g.id or (i.books and g.books)))) then 'waits for an export'
    end as why
  ) as u
  where c.id = any(claim_ids) and u.why is not null
$$;

comment on function bilag_internal.unsettled(uuid[]) is 'Which of these claims are not at their end, with the reason; null when all are.';

create or replace function bilag_internal.forget_claims(claim_ids uuid[], pattern text) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  vouchers integer;
begin
  update bilag.export_items i
  set voucher = bilag_internal.forget_in_voucher(i.voucher, pattern), message = bilag_internal.forget(i.message, pattern),
    reason_params = bilag_internal.forget(i.reason_params, pattern)
  where i.claim_id = any(claim_ids);
  get diagnostics vouchers = row_count;
  update bilag.export_lines l set description = bilag_internal.forget(l.description, pattern)
  from bilag.export_items i
  where i.claim_id = any(claim_ids) and l.item_id = i.id and l.description ~ pattern;
  update bilag.reconciliation_findings f set message = bilag_internal.forget(f.message, pattern)
  from bilag.export_items i
  where i.claim_id = any(claim_ids) and f.item_id = i.id and f.message ~ pattern;
  update bilag.claim_exclusions e set reason = bilag_internal.forget(e.reason, pattern)
  where e.claim_id = any(claim_ids) and e.reason ~ pattern;
  insert into bilag_internal.anonymizing (claim_id, in_transaction) select c, pg_current_xact_id() from unnest(claim_ids) as c;
  update bilag.expense_claim_lines l set description = bilag_internal.forget(l.description, pattern)
  where l.claim_id = any(claim_ids) and l.description ~ pattern;
  update bilag.expense_claims c
  set claimant_name = null, claimant_user_id = null, anonymized_at = bilag_internal.now(),
    documentation_url = case when c.documentation_url !~ coalesce(pattern, '$.') then c.documentation_url end,
    -- The subledger is an account of the books; where none was booked, the number is only the person's.
    claimant_reference = case when exists (
      select from bilag.export_items i join bilag.export_lines l on l.item_id = i.id
      where i.claim_id = c.id and l.subledger = c.claimant_reference) then c.claimant_reference end
  where c.id = any(claim_ids);
  delete from bilag_internal.anonymizing a where a.claim_id = any(claim_ids);
  return vouchers;
end $$;

comment on function bilag_internal.forget_claims(uuid[], text) is 'Takes a person out of settled claims, their lines, vouchers and refusals. Returns how many vouchers.';

create or replace function bilag_internal.forget_texts(org_id uuid, pattern text) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  update bilag.integration_run_logs g set error_message = left(bilag_internal.forget(g.error_message, pattern), 500)
  where g.org_id = forget_texts.org_id and g.error_message ~ pattern;
  update bilag.alerts a
  set message = bilag_internal.forget(a.message, pattern), details = bilag_internal.forget(a.details, pattern),
    resolution = bilag_internal.forget(a.resolution, pattern)
  where a.org_id = forget_texts.org_id and (a.message ~ pattern or a.details::text ~ pattern or a.resolution ~ pattern);
  update bilag_internal.alerts_waiting a
  set message = bilag_internal.forget(a.message, pattern), details = bilag_internal.forget(a.details, pattern)
  where a.org_id = forget_texts.org_id and (a.message ~ pattern or a.details::text ~ pattern);
  update bilag.reconciliation_findings f
  set message = bilag_internal.forget(f.message, pattern), resolution = bilag_internal.forget(f.resolution, pattern)
  where f.org_id = forget_texts.org_id and (f.message ~ pattern or f.resolution ~ pattern);
  update bilag.export_runs r set error = bilag_internal.forget(r.error, pattern), note = bilag_internal.forget(r.note, pattern)
  where r.org_id = forget_texts.org_id and (r.error ->> 'message' ~ pattern or r.note ~ pattern);
$$;

comment on function bilag_internal.forget_texts(uuid, text) is 'Takes names out of what logs, alerts and runs of an organisation say.';

create or replace function bilag.anonymize_claimant(org_id uuid, claimant_reference text) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  theirs uuid[];
  waiting text[];
  pattern text;
  vouchers integer := 0;
begin
  perform bilag_internal.require_finance(org_id);
  if coalesce(btrim(claimant_reference), '') = '' then
    perform bilag_internal.complain('KB001', 'The claimant_reference is empty.', 'Give the reference that the person''s claims have.');
  end if;
  -- The lanes first, as every verb: nothing of these claims is handed out meanwhile, and no late word changes a voucher.
  perform from bilag.export_lanes l where l.org_id = anonymize_claimant.org_id order by l.integration_id for update;
  theirs := array(
    select c.id from bilag.expense_claims c
    where c.org_id = anonymize_claimant.org_id and c.claimant_reference = anonymize_claimant.claimant_reference
    order by c.id for update);
  waiting := bilag_internal.unsettled(theirs);
  if waiting is not null then
    perform bilag_internal.complain('KB004', format('%s of the claims are not settled: %s%s.', cardinality(waiting), array_to_string(waiting[1:3], ', '),
        case when cardinality(waiting) > 3 then ' and others' else '' end),
      'Let them be booked, or exclude_claim or withdraw them; then call this again.');
  end if;
  theirs := array(select c.id from bilag.expense_claims c where c.id = any(theirs)
    and (c.anonymized_at is null or c.claimant_name is not null or c.claimant_user_id is not null) order by c.id);
  if cardinality(theirs) > 0 then
    pattern := bilag_internal.name_pattern(array(
      select distinct c.claimant_name from bilag.expense_claims c where c.id = any(theirs) and btrim(c.claimant_name) <> ''));
    vouchers := bilag_internal.forget_claims(theirs, pattern);
    perform bilag_internal.forget_texts(org_id, pattern);
    -- The ids of the claims, and not the reference: what is written here is never forgotten.
    perform bilag_internal.audit(org_id, 'claimant.anonymized', null, null, null,
      jsonb_build_object('claims', cardinality(theirs), 'vouchers', vouchers, 'claimIds', to_jsonb(theirs)));
  end if;
  return jsonb_build_object('claims', cardinality(theirs), 'vouchers', vouchers);
end $$;

comment on function bilag.anonymize_claimant(uuid, text) is
  'Takes a person out of their settled claims and of every text about them; what was booked stays. Returns {claims, vouchers}; again, and nothing is left to do.';
