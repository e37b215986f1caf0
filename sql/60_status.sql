-- What a client is told: the status of a run, what an export would do, and what one booked.

create or replace function bilag.export_status(run_id uuid) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
  run bilag.export_runs;
  reconciliation bilag.reconciliations := bilag_internal.reconciliation_of(run_id);
  integration bilag.integration_config;
  here bilag.installation;
  lane bilag.export_lanes;
  claims jsonb;
  reason text;
  since timestamptz;
  until timestamptz;
begin
  if reconciliation.id is not null then
    perform bilag_internal.require_member(reconciliation.org_id);
    return bilag_internal.reconciliation_as_run(reconciliation);
  end if;
  run := bilag_internal.run_of(run_id);
  perform bilag_internal.require_member(run.org_id);
  select c.* into integration from bilag.integration_config c where c.id = run.integration_id;
  select l.* into lane from bilag.export_lanes l where l.integration_id = run.integration_id;
  select i.* into here from bilag.installation i;
  claims := bilag_internal.run_counts(run.id);
  if run.finished_at is null then
    if here.paused_at is not null then
      reason := 'everything_paused'; since := here.paused_at;
    elsif not integration.enabled then
      reason := 'integration_disabled'; since := run.enqueued_at;
    elsif integration.paused_at is not null and coalesce(integration.paused_until, 'infinity') > bilag_internal.now() then
      reason := integration.paused_reason_code; since := integration.paused_at; until := integration.paused_until;
    elsif run.status = 'waiting' then
      reason := run.waiting_reason_code; since := run.waiting_since;
      until := case when run.due_at < 'infinity' then run.due_at else (
        select min(i.next_look_at) from bilag.export_items i where i.run_id = run.id and i.next_look_at is not null) end;
      until := case when until is not null then greatest(until, lane.circuit_open_until, lane.quiet_until) end;
    elsif greatest(lane.circuit_open_until, lane.quiet_until) > bilag_internal.now() then
      reason := case when lane.circuit_open_until > bilag_internal.now() then 'circuit_open' else 'rate_limited' end;
      since := run.enqueued_at; until := greatest(lane.circuit_open_until, lane.quiet_until);
    end if;
  end if;
  return jsonb_build_object(
    'runId', run.id, 'status', run.status, 'trigger', run.trigger, 'retryOf', run.retry_of,
    'periodStart', run.period_start, 'periodEnd', run.period_end, 'scheduledFor', run.scheduled_for,
    'startedAt', run.started_at, 'finishedAt', run.finished_at,
    'nextAttemptAt', case when reason is not null then until end,
    'waitingFor', case when reason is not null then jsonb_build_object('reasonCode', reason, 'since', since, 'until', until) end,
    'progress', case
      when run.finished_at is not null then 1
      when (claims ->> 'total')::integer = 0 then 0
      else round(((claims ->> 'exported')::numeric + (claims ->> 'rejected')::numeric) / (claims ->> 'total')::numeric, 3)
    end,
    'claims', claims, 'error', run.error,
    'file', (
      select jsonb_build_object('name', f.name, 'mediaType', f.media_type, 'bytes', length(f.content), 'sha256', encode(f.sha256, 'hex'))
      from bilag.export_files f where f.run_id = run.id));
end $$;

comment on function bilag.export_status(uuid) is 
  'How a run stands, for polling until finishedAt is set. status is queued, running, waiting, succeeded, partially_succeeded, failed or cancelled; progress is 0 to 1; claims counts them by state; waitingFor says for what and until when, error why the last delivery failed, file what there is to fetch.';

create or replace function bilag.preview_export(
  org_id uuid, integration_type text, period_end date default null, row_limit integer default 100
) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
  integration bilag.integration_config;
  zone text;
  answer jsonb;
begin
  perform bilag_internal.require_finance(org_id);
  integration := bilag_internal.integration_of(org_id, integration_type);
  perform bilag_internal.require_period_end(period_end);
  select o.time_zone into zone from bilag.organizations o where o.id = preview_export.org_id;
  with claims as (
    select c.claim_id from bilag_internal.candidates(array[integration.id], array[
        coalesce((preview_export.period_end + 1)::timestamp at time zone zone, bilag_internal.now() + interval '1 microsecond')],
      array['-infinity'::timestamptz], array['00000000-0000-0000-0000-000000000000'::uuid], null) as c
  ), vouchers as materialized (
    select v.claim_id, v.claim_number, v.approved_at, v.currency, v.content,
      case when v.unchanged then v.last_reason_code else v.reason_code end as reason_code,
      case when v.unchanged then v.last_reason_params else v.reason_params end as reason_params,
      case when v.unchanged then v.last_message else bilag_internal.tell(v.reason_code, v.reason_params) end as reason
    from bilag_internal.proposals(
      array(select integration.id from claims), array(select c.claim_id from claims c),
      array(select preview_export.period_end from claims)) as v
  ), booked as (
    select v.*, row_number() over (order by v.approved_at, v.claim_number) as n from vouchers v where v.reason_code is null
  ), refused as (
    select v.*, row_number() over (order by v.approved_at, v.claim_number) as n from vouchers v where v.reason_code is not null
  )
  select jsonb_build_object(
    'wouldBook', (select count(*) from booked),
    'wouldReject', (select count(*) from refused),
    'sums', coalesce((
      select jsonb_agg(jsonb_build_object('account', s.account, 'currency', s.currency, 'amount', s.amount) order by s.account, s.currency)
      from (
        select l ->> 'account' as account, b.currency, sum((l ->> 'amount')::numeric)::text as amount
        from booked b cross join lateral jsonb_array_elements(b.content -> 'lines') as l group by 1, 2
      ) as s), '[]'),
    'vouchers', coalesce((select jsonb_agg(b.content order by b.n) from booked b where b.n <= coalesce(row_limit, 100)), '[]'),
    'rejected', coalesce((
      select jsonb_agg(jsonb_build_object('claimId', r.claim_id, 'claimNumber', r.claim_number, 'reasonCode', r.reason_code,
        'reasonParams', r.reason_params, 'reason', r.reason) order by r.n)
      from refused r where r.n <= coalesce(row_limit, 100)), '[]'))
  into answer;
  return answer;
end $$;

comment on function bilag.preview_export(uuid, text, date, integer) is
  'What an export would book and reject now, by the statement that an export uses; writes nothing. {wouldBook, wouldReject, sums: [{account, currency, amount}], vouchers: [{claimNumber, postingDate, lines, …}], rejected: [{claimNumber, reasonCode, reasonParams, reason}]}: counts and sums are of all, and of the vouchers and the rejected the first row_limit are shown, in the order of approval.';

create or replace function bilag.export_report(run_id uuid)
returns table (
  voucher_number bigint, posting_date date, account_code text, amount numeric, currency text, vat_code text, description text,
  claim_number text, reference text, dimensions jsonb, line_no integer, external_id text, booked_at timestamptz, state text)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  run bilag.export_runs := bilag_internal.run_of(run_id);
begin
  perform bilag_internal.require_finance(run.org_id);
  return query
    select i.voucher_number, i.posting_date, l.account_code, l.amount, l.currency, l.vat_code, l.description,
      c.claim_number, i.reference, l.dimensions, l.line_no, i.external_id, i.booked_at,
      case
        when i.reverses is not null then 'reverses voucher ' || o.voucher_number
        when v.voucher_number is not null then format('reversed by voucher %s on %s', v.voucher_number, v.posting_date)
        when i.state = 'voided' then 'deleted at the vendor'
        else 'booked'
      end
    from bilag.export_items i
    join bilag.export_lines l on l.item_id = i.id
    join bilag.expense_claims c on c.id = i.claim_id
    left join bilag.export_items o on o.id = i.reverses
    left join bilag.export_items v on v.reverses = i.id and v.holds and v.state = 'exported'
    where i.run_id = run.id
    order by i.voucher_number, l.line_no;
end $$;

comment on function bilag.export_report(uuid) is 'Every line of a run as it was booked.';
