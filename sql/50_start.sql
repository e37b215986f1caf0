-- The start of a run: every claim that it may take becomes an item with its frozen voucher, or a rejection that names its
-- reason. Set-based over many runs at once. The claims are locked FOR SHARE first, so that one cannot be reopened between being
-- read and being held; a claim that somebody is changing right now is left for the next run.

create or replace function bilag_internal.start_runs(run_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  integrations uuid[];
  claims uuid[];
  periods date[];
begin
  select array_agg(k.integration_id), array_agg(k.claim_id), array_agg(k.period_end)
  into integrations, claims, periods
  from (
    select r.integration_id, x.id as claim_id, r.period_end
    from bilag.export_runs r
    cross join lateral bilag_internal.candidates(array[r.integration_id], array[r.cutoff_at]) as c
    join bilag.expense_claims x on x.id = c.claim_id
    where r.id = any(run_ids) and x.status = 'approved'
    order by x.id
    for share of x skip locked
  ) as k;

  if claims is not null then
    insert into bilag.export_items (
      run_id, org_id, integration_id, integration_type, claim_id, position, revision, state, holds, books, reference,
      voucher_number, voucher, content_sha256, posting_date, currency, amount, line_count, reason_code, reason_params,
      message, settled_at, created_at)
    select n.run_id, n.org_id, n.integration_id, n.integration_type, n.claim_id, n.position, n.revision,
      case when n.reason_code is null then 'pending' else 'rejected' end, n.reason_code is null, n.books, n.reference,
      n.voucher_number,
      n.content || jsonb_build_object('reference', n.reference, 'voucherNumber', n.voucher_number, 'revision', n.revision),
      n.content_sha256, n.posting_date, n.currency, n.amount, n.line_count, n.reason_code, n.reason_params,
      bilag_internal.tell(n.reason_code, n.reason_params),
      case when n.reason_code is not null then bilag_internal.now() end, bilag_internal.now()
    from (
      select f.*,
        row_number() over (partition by f.run_id order by f.approved_at, f.claim_number) as position,
        case when f.reason_code is null then
          greatest(l.voucher_number_last, f.numbers_from - 1)
            + row_number() over (partition by f.run_id, f.reason_code is null order by f.approved_at, f.claim_number)
        end as voucher_number,
        bilag_internal.reference(f.integration_id, f.claim_id, f.revision) as reference
      from (
        select r.id as run_id, r.org_id, r.integration_type, c.books,
          coalesce((c.settings ->> 'voucher_number_from')::bigint, 1) as numbers_from,
          v.*, sha256(convert_to(v.content::text, 'UTF8')) as content_sha256,
          coalesce(last.revision + case when last.reason_code = 'released_for_reexport' then 1 else 0 end, 1) as revision,
          last.state as last_state, last.reason_code as last_reason, last.reason_params as last_params,
          last.content_sha256 as last_content, r.trigger = 'retry' as again
        from bilag_internal.vouchers(integrations, claims, periods) as v
        join bilag.export_runs r on r.integration_id = v.integration_id and r.id = any(run_ids)
        join bilag.integration_config c on c.id = v.integration_id
        left join lateral (
          select i.state, i.revision, i.reason_code, i.reason_params, i.content_sha256
          from bilag.export_items i
          where i.claim_id = v.claim_id and i.integration_id = v.integration_id and i.reverses is null
          order by i.id desc limit 1
        ) as last on true
      ) as f
      join bilag.export_lanes l on l.integration_id = f.integration_id
      -- A rejected claim is tried again when the claim, a mapping or a setting changed, which all show in what it would become;
      -- and when a person retries the run, since the change may be on the vendor's side.
      where not (
        f.last_state is not distinct from 'rejected' and not f.again and case
          when f.reason_code is not null
            then (f.last_reason, f.last_params) is not distinct from (f.reason_code, f.reason_params)
          else f.last_content is not distinct from f.content_sha256
        end)
    ) as n
    order by n.claim_id
    on conflict do nothing;  -- another booking integration of the organisation was faster
  end if;

  update bilag.export_lanes l set voucher_number_last = greatest(l.voucher_number_last, n.last)
  from (
    select i.integration_id, max(i.voucher_number) as last
    from bilag.export_items i where i.run_id = any(run_ids) group by i.integration_id
  ) as n
  where l.integration_id = n.integration_id and n.last is not null;

  update bilag.export_runs r
  set status = 'running', started_at = bilag_internal.now(), next_position = 1,
    item_count = (select count(*) from bilag.export_items i where i.run_id = r.id)
  where r.id = any(run_ids);
end $$;

comment on function bilag_internal.start_runs(uuid[]) is 'Takes the claims of runs whose lanes the caller holds, and freezes their vouchers.';
