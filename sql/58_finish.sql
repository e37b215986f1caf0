-- The end of runs, whatever the end. What is pending is released in this transaction; what is accepted or in doubt outlives the run
-- and holds no lane. A run whose last vouchers are only unconfirmed waits, off its lane, until they are or an hour has passed.

create or replace function bilag_internal.finish_runs(
  run_ids uuid[], patience boolean default true, forced boolean default false
) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  patient uuid[];
  ending uuid[];
  freed bigint[];
  finished bilag.export_runs[];
begin
  if coalesce(cardinality(run_ids), 0) = 0 then
    return;
  end if;
  with counted as (
    select r.id, finish_runs.forced or r.cancel_requested_at is not null as forced,
      count(*) filter (where i.state = 'accepted') as accepted,
      count(*) filter (where i.state in ('in_doubt', 'sending')) as doubtful,
      -- A run that has not taken all of its claims is not at its end either.
      count(*) filter (where i.state = 'pending') + case when r.took_all then 0 else 1 end as pending
    from bilag.export_runs r left join bilag.export_items i on i.run_id = r.id and i.run_id = any(run_ids)
    where r.id = any(run_ids) and r.finished_at is null
    group by r.id
  ), waiting as (
    update bilag.export_runs r
    set status = 'waiting', due_at = 'infinity',
      waiting_since = case when r.due_at = 'infinity' then r.waiting_since else bilag_internal.now() end,
      waiting_reason_code = case when c.accepted > 0 then 'awaiting_confirmation' else 'in_doubt' end
    from counted c
    where r.id = c.id and patience and not c.forced and c.pending = 0 and c.accepted + c.doubtful > 0
    returning r.id
  )
  select array(select w.id from waiting w),
    -- A run off its lane that has something to send again is not at its end.
    array(select c.id from counted c where not patience or c.forced or c.accepted + c.doubtful + c.pending = 0)
  into patient, ending;
  -- Whoever thought these at their end overlooked something pending: look from the beginning.
  update bilag.export_runs r set next_position = 1
  where r.id = any(run_ids) and r.finished_at is null and r.id <> all(patient) and r.id <> all(ending) and r.next_position > 1;

  with released as (
    update bilag.export_items i
    set state = 'voided', holds = false, suspect = false, reason_code = w.reason_code, reason_params = '{}',
      message = bilag_internal.tell(w.reason_code, '{}'), settled_at = bilag_internal.now()
    from (values (false, 'run_ended'), (true, 'reversal_not_sent')) as w (reverses, reason_code)
    where w.reverses = (i.reverses is not null) and i.run_id = any(ending) and i.state = 'pending'
    returning i.id
  )
  select array_agg(r.id) into freed from released r;
  perform bilag_internal.claims_changed(freed);

  with counted as (
    select r.id,
      count(*) filter (where i.state in ('exported', 'accepted')) as good,
      count(*) filter (where i.state in ('rejected', 'accepted', 'in_doubt', 'sending') or i.reason_code in ('run_ended', 'not_booked', 'reversal_not_sent')) as bad
    from bilag.export_runs r left join bilag.export_items i on i.run_id = r.id and i.run_id = any(ending)
    where r.id = any(ending)
    group by r.id
  ), ended as (
    update bilag.export_runs r
    set finished_at = bilag_internal.now(), waiting_since = null, waiting_reason_code = null,
      started_at = coalesce(r.started_at, bilag_internal.now()),
      -- What passed is no longer an error of the run.
      error = case when finish_runs.forced then r.error || jsonb_build_object('isRetryable', false) end,
      status = case
        when r.cancel_requested_at is not null then 'cancelled'
        when c.bad = 0 and not (finish_runs.forced and r.error is not null) then 'succeeded'
        when c.good > 0 then 'partially_succeeded'
        else 'failed'
      end
    from counted c
    where r.id = c.id
    returning r.*
  )
  select array_agg(e::bilag.export_runs) into finished from ended e;

  update bilag.export_lanes l set run_id = null, in_flight = false
  where l.run_id = any(ending) or l.run_id = any(patient);
  if finished is not null then
    perform bilag_internal.make_files(ending);
    perform bilag_internal.record_ends(finished);
  end if;
end $$;

comment on function bilag_internal.finish_runs(uuid[], boolean, boolean) is
  'Ends runs whose lanes the caller holds; with patience those with unconfirmed vouchers wait instead, unless the end is forced.';

create or replace function bilag_internal.run_counts(run_id uuid) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object(
    'total', count(*),
    'pending', count(*) filter (where i.state = 'pending'),
    'sending', count(*) filter (where i.state = 'sending'),
    'accepted', count(*) filter (where i.state = 'accepted'),
    'exported', count(*) filter (where i.state = 'exported'),
    'rejected', count(*) filter (where i.state = 'rejected'),
    'inDoubt', count(*) filter (where i.state = 'in_doubt'))
  from bilag.export_items i where i.run_id = run_counts.run_id
    and (i.state <> 'voided' or i.reason_code in ('released_for_reexport', 'run_ended', 'not_booked', 'reversal_not_sent'))
$$;

comment on function bilag_internal.run_counts(uuid) is 'The claims of a run by state, as export_status tells them.';

create or replace function bilag_internal.record_ends(runs bilag.export_runs[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  perform bilag_internal.audit_many(array(
    select (r.org_id, 'run.' || r.status, r.integration_type, r.id, r.note,
      jsonb_build_object('trigger', r.trigger, 'cutoffAt', r.cutoff_at, 'claims', jsonb_build_object(
          'total', coalesce(n.total, 0), 'exported', coalesce(n.exported, 0), 'accepted', coalesce(n.accepted, 0),
          'rejected', coalesce(n.rejected, 0), 'inDoubt', coalesce(n.doubtful, 0)),
        'sums', coalesce(n.sums, '{}')),
      n.vouchers_sha256)::bilag_internal.audit_entry
    from unnest(runs) as r
    left join (
      select c.run_id, sum(c.total) as total, sum(c.exported) as exported, sum(c.accepted) as accepted, sum(c.rejected) as rejected,
        sum(c.doubtful) as doubtful, jsonb_object_agg(c.currency, c.amount) filter (where c.amount is not null) as sums,
        sha256(string_agg(c.digests, ''::bytea order by c.currency)) as vouchers_sha256
      from (
        select i.run_id, i.currency, count(*) as total, count(*) filter (where i.state = 'exported') as exported,
          count(*) filter (where i.state = 'accepted') as accepted, count(*) filter (where i.state = 'rejected') as rejected,
          count(*) filter (where i.state in ('in_doubt', 'sending')) as doubtful,
          sum(i.amount) filter (where i.state in ('exported', 'accepted'))::text as amount,
          string_agg(sha256(convert_to(i.voucher::text, 'UTF8')), ''::bytea order by i.voucher_number)
            filter (where i.state in ('exported', 'accepted')) as digests
        from bilag.export_items i
        where i.run_id = any(array(select r.id from unnest(runs) as r))
        group by i.run_id, i.currency
      ) as c
      group by c.run_id
    ) as n on n.run_id = r.id
    order by r.org_id), patient => false);
  perform bilag_internal.raise_alert('run_failed', r.integration_id::text, r.org_id, r.integration_type,
    coalesce(r.error ->> 'message', (
      select case
        when bool_or(i.state in ('in_doubt', 'sending'))
          then 'The run booked nothing that is known of; vouchers of it are in doubt, and are looked up until it is known.'
        when bool_and(i.state = 'rejected') then 'Every claim of the run was rejected.'
        else 'The run booked nothing: bilag.claim_exports says why.'
      end
      from bilag.export_items i where i.run_id = r.id)), jsonb_build_object('runId', r.id))
  from unnest(runs) as r where r.status = 'failed' or (r.status = 'partially_succeeded' and r.error is not null);
  perform bilag_internal.runs_finished(array(select r.id from unnest(runs) as r));
  perform bilag_internal.resolve_alert('run_failed', a.problem_key, 'a later run ended well')
  from unnest(runs) as r
  join bilag.alerts a on a.kind = 'run_failed' and a.resolved_at is null and a.problem_key = r.integration_id::text
  where r.status = 'succeeded';
end $$;

comment on function bilag_internal.record_ends(bilag.export_runs[]) is 'Audit and alerts of ended runs.';
