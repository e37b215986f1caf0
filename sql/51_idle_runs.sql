-- Most scheduled runs find nothing. Such a run ends in the claim that takes its lane, with nobody else to tell: what a run with
-- claims needs (a lease, a job, its marks) is never written.

create or replace function bilag_internal.end_idle_runs(integration_ids uuid[]) returns uuid[]
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  moment timestamptz := bilag_internal.now();
  lanes uuid[];
  runs uuid[];
  cutoffs timestamptz[];
  taken_ats timestamptz[];
  taken_claims uuid[];
  taking uuid[];
  ended bilag.export_runs[];
begin
  -- The run that each lane would take, where it is a new one and nothing is to be looked at first.
  select array_agg(l.integration_id), array_agg(r.id), array_agg(r.cutoff_at), array_agg(r.taken_at), array_agg(r.taken_claim)
  into lanes, runs, cutoffs, taken_ats, taken_claims
  from bilag.export_lanes l
  cross join lateral (
    select r.* from bilag.export_runs r
    where r.integration_id = l.integration_id and r.finished_at is null and r.due_at <= moment
    order by r.due_at, r.id limit 1
  ) as r
  -- Not where the last delivery died: its deliveries are counted until there is progress, and this is none.
  where l.integration_id = any(integration_ids) and l.run_id is null and l.deliveries = 0
    and r.status = 'queued' and not r.took_all and r.cancel_requested_at is null
    -- What a look proves absent goes with the run that comes next, which must not be over by then.
    and not exists (select from bilag.export_items i where i.integration_id = l.integration_id and i.next_look_at <= moment);
  if lanes is null then
    return array[]::uuid[];
  end if;
  taking := array(select c.integration_id from bilag_internal.candidates(lanes, cutoffs, taken_ats, taken_claims, 1) as c);
  if cardinality(taking) = cardinality(lanes) then
    return array[]::uuid[];
  end if;
  with idle as (
    update bilag.export_runs r
    set status = 'succeeded', took_all = true, started_at = moment, finished_at = moment
    where r.id = any(runs) and r.integration_id <> all(taking)
    returning r.*
  )
  select array_agg(i::bilag.export_runs), array_agg(i.integration_id) into ended, lanes from idle i;
  if ended is null then
    return array[]::uuid[];
  end if;
  perform bilag_internal.record_ends(ended);
  perform bilag_internal.release_lanes(lanes);
  return lanes;
end $$;

comment on function bilag_internal.end_idle_runs(uuid[]) is
  'Ends the runs that find no claim, and gives back their lanes, which it returns. The caller holds the lanes.';
