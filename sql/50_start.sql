-- The start of a run: every claim that it may take becomes an item with its frozen voucher, or a rejection that names its
-- reason. Set-based over many runs at once. The claims are locked FOR SHARE first, so that one cannot be reopened between being
-- read and being held; a claim that somebody is changing right now is left for the next run. Claims are taken in pieces, so that a
-- backlog of years neither blocks the other lanes nor outlasts a statement's time: a run takes its next piece when it has sent the
-- last one.

create or replace function bilag_internal.start_runs(run_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  moment timestamptz := bilag_internal.now();
  starting uuid[];
  cutoffs timestamptz[];
  integrations uuid[];
  claims uuid[];
  periods date[];
  locked uuid[];
  passed_over uuid[];
  piece integer;
  taken_ats timestamptz[];
  taken_claims uuid[];
  approvals timestamptz[];
  unfinished uuid[];
  seen uuid[];
  seen_by uuid[];
begin
  piece := greatest(100, 3000 / cardinality(run_ids));
  select array_agg(r.integration_id), array_agg(r.cutoff_at), array_agg(r.taken_at), array_agg(r.taken_claim), array_agg(r.period_end)
  into starting, cutoffs, taken_ats, taken_claims, periods
  from bilag.export_runs r where r.id = any(run_ids);
  -- A piece is measured in lines, too: claims of a thousand lines each would outlast a statement's time before they are many.
  select array_agg(c.integration_id) filter (where c.fits), array_agg(c.claim_id) filter (where c.fits),
    array_agg(c.approved_at) filter (where c.fits), array_agg(c.period_end) filter (where c.fits),
    coalesce(array_agg(c.integration_id) filter (where not c.fits or c.n = piece), '{}')
  into integrations, claims, approvals, periods, unfinished
  from (
    select p.*, periods[array_position(starting, p.integration_id)] as period_end, row_number() over w as n,
      coalesce(sum(l.lines) over (w rows between unbounded preceding and 1 preceding), 0) < 60000 / cardinality(run_ids) as fits
    from bilag_internal.candidates(starting, cutoffs, taken_ats, taken_claims, piece) as p
    cross join lateral (select count(*) as lines from bilag.expense_claim_lines l where l.claim_id = p.claim_id) as l
    window w as (partition by p.integration_id order by p.approved_at, p.claim_id)
  ) as c;

  seen := claims;
  seen_by := integrations;

  -- Two booking integrations of one organisation: the second one passes over what the first is taking.
  locked := array(
    select x.id from bilag.expense_claims x where x.id = any(claims) and x.status = 'approved' order by x.id
    for no key update skip locked);
  if cardinality(locked) < cardinality(claims) then
    -- What was passed over is tried again for a minute, for another integration's start is over by then; after that it is left.
    passed_over := array(
      select distinct r.id
      from unnest(integrations, claims) as p (integration_id, claim_id)
      join bilag.export_runs r on r.integration_id = p.integration_id and r.id = any(run_ids)
      where p.claim_id <> all(locked) and r.trigger <> 'retry' and coalesce(r.started_at, moment) > moment - interval '1 minute');
    select array_agg(p.integration_id), array_agg(p.claim_id), array_agg(p.period_end) into integrations, claims, periods
    from unnest(integrations, claims, periods) as p (integration_id, claim_id, period_end)
    where p.claim_id = any(locked);
  end if;
  if claims is not null then
    with these as materialized (
      select r.id, r.org_id, r.integration_type, r.integration_id, r.item_count, r.trigger, c.books, l.voucher_number_last,
        t.finds and not t.makes_file as finds, c.credential_version,
        coalesce((c.settings ->> 'voucher_number_from')::numeric::bigint, 1) as numbers_from
      from bilag.export_runs r
      join bilag.integration_config c on c.id = r.integration_id
      join bilag.integration_types t on t.integration_type = c.integration_type
      join bilag.export_lanes l on l.integration_id = r.integration_id
      where r.id = any(run_ids)
    )
    insert into bilag.export_items (
      run_id, org_id, integration_id, integration_type, claim_id, position, revision, state, holds, books, reference,
      voucher_number, voucher, content_sha256, posting_date, currency, amount, line_count, reason_code, reason_params,
      message, settled_at, created_at, look_first, next_look_at, absent_from, sent_at, credential_version)
    select n.run_id, n.org_id, n.integration_id, n.integration_type, n.claim_id, n.position, n.revision,
      case when n.reason_code is not null then 'rejected' when n.looks_first then 'in_doubt' else 'pending' end, n.reason_code is null, n.books, n.reference,
      n.voucher_number,
      n.content || jsonb_build_object('reference', n.reference, 'voucherNumber', n.voucher_number, 'revision', n.revision),
      n.content_sha256, n.posting_date, n.currency, n.amount, n.line_count, w.reason_code, n.reason_params,
      case when w.reason_code is not null then bilag_internal.tell(w.reason_code, n.reason_params) end,
      case when n.reason_code is not null then moment end, moment,
      n.looks_first, case when n.looks_first then moment end, case when n.looks_first then moment else 'infinity' end,
      -- In a life that this database forgot it may have been exported again at any time since it was exported first.
      case when n.looks_first then (
        select min(o.created_at) from bilag.export_items o
        where o.claim_id = n.claim_id and o.integration_id = n.integration_id and o.reverses is null) end,
      case when n.looks_first then n.credential_version end
    from (
      select f.*,
        f.item_count + row_number() over (partition by f.run_id order by f.approved_at, f.claim_number) as position,
        case when f.reason_code is null then
          greatest(f.voucher_number_last, f.numbers_from - 1)
            + row_number() over (partition by f.run_id, f.reason_code is null order by f.approved_at, f.claim_number)
        end as voucher_number,
        bilag_internal.reference(f.integration_id, f.claim_number, f.revision) as reference,
        -- What is exported again was perhaps so before, in a life that this database forgot: rare enough for a look.
        f.reason_code is null and f.revision > 1 and f.finds as looks_first
      from (
        select r.id as run_id, r.org_id, r.integration_type, r.item_count, r.books, r.numbers_from, r.voucher_number_last, r.finds, r.credential_version, v.*
        from bilag_internal.proposals(integrations, claims, periods) as v
        join these r on r.integration_id = v.integration_id
        -- A person who retries may know of a change on the vendor's side.
        where not v.unchanged or r.trigger = 'retry'
      ) as f
    ) as n
    cross join lateral (select coalesce(n.reason_code, case when n.looks_first then 'looked_up_first' end) as reason_code) as w
    order by n.claim_id
    on conflict do nothing;  -- another booking integration of the organisation was faster
  end if;

  if bilag_internal.wanted('claims.changed') then
    perform bilag_internal.claims_changed(array(
      select i.id from bilag.export_items i where i.run_id = any(run_ids) and i.state = 'rejected' and i.created_at = moment));
  end if;
  update bilag.export_lanes l set voucher_number_last = greatest(l.voucher_number_last, n.last)
  from (
    select i.integration_id, max(i.voucher_number) as last
    from bilag.export_items i where i.run_id = any(run_ids) group by i.integration_id
  ) as n
  where l.integration_id = n.integration_id and n.last is not null;

  update bilag.export_runs r
  set status = 'running', started_at = coalesce(r.started_at, moment), next_position = least(r.next_position, r.item_count + 1),
    item_count = coalesce((select max(i.position) from bilag.export_items i where i.run_id = r.id), 0),
    taken_at = coalesce(c.approved_at, r.taken_at), taken_claim = coalesce(c.claim_id, r.taken_claim),
    took_all = r.integration_id <> all(unfinished)
  from bilag.export_runs o
  left join (
    select distinct on (p.integration_id) p.integration_id, p.claim_id, p.approved_at
    from unnest(seen_by, seen, approvals) as p (integration_id, claim_id, approved_at)
    order by p.integration_id, p.approved_at desc, p.claim_id desc
  ) as c on c.integration_id = o.integration_id
  where o.id = any(run_ids) and r.id = o.id;
  if passed_over is not null then
    update bilag.export_runs r
    set took_all = false, taken_at = '-infinity', taken_claim = '00000000-0000-0000-0000-000000000000',
      due_at = case when exists (select from bilag.export_items i where i.run_id = r.id and i.state = 'pending') then r.due_at
        else moment + interval '2 seconds' end
    where r.id = any(passed_over);
  end if;
end $$;

comment on function bilag_internal.start_runs(uuid[]) is 'Takes the next piece of claims of runs whose lanes the caller holds, and freezes their vouchers.';

-- A claim or a setting that cannot be computed with must stop its own run, not every tenant's: when the whole does not go, each goes
-- alone, and the one that fails ends with that error.
create or replace function bilag_internal.start_runs_apart(run_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  one uuid;
  sentence text;
begin
  perform bilag_internal.start_runs(run_ids);
exception when data_exception or integrity_constraint_violation or program_limit_exceeded then
  foreach one in array run_ids loop
    begin
      perform bilag_internal.start_runs(array[one]);
    exception when data_exception or integrity_constraint_violation or program_limit_exceeded then
      get stacked diagnostics sentence = message_text;
      update bilag.export_runs r
      set error = jsonb_build_object('correlationId', gen_random_uuid(), 'errorClass', 'permanent', 'httpStatus', null,
        'adapterName', r.integration_type, 'attempt', 1, 'message', left('The vouchers could not be built: ' || sentence, 500),
        'isRetryable', false)
      where r.id = one;
      perform bilag_internal.finish_runs(array[one], forced => true);
    end;
  end loop;
end $$;

comment on function bilag_internal.start_runs_apart(uuid[]) is 'start_runs for all, or else for each: one that cannot be built fails alone.';
