-- A lane is one integration's single track. Here is when it has work, how it is told to workers, and how it is given back.
-- Lock order of every verb that moves a run: lane, run, items, organisation. Several lanes are locked in order of their id;
-- only claim() and tick() skip those that somebody holds.

-- Scalar subqueries, so that each is one look into an index whatever the planner believes of the tables; no SET, so that it is inlined.
create or replace function bilag_internal.lanes_due(integration_ids uuid[])
returns table (integration_id uuid, due_at timestamptz, has_hint boolean, lease_until timestamptz)
language sql stable
as $$
  select l.integration_id, case when w.work < 'infinity' then (
      -- greatest() passes nulls over: what is not open, quiet or paused holds nothing back.
      select case when c.enabled and (c.paused_at is null or c.paused_until is not null)
        then greatest(w.work, l.circuit_open_until, l.quiet_until, case when c.paused_at is not null then c.paused_until end) end
      from bilag.integration_config c
      where c.id = l.integration_id) end,
    l.msg_id is not null, l.lease_until
  from bilag.export_lanes l
  cross join lateral (
    select least(
      case when l.run_id is not null
        then (select r.due_at from bilag.export_runs r where r.id = l.run_id)
        else (select r.due_at from bilag.export_runs r
          where r.integration_id = l.integration_id and r.finished_at is null order by r.due_at, r.id limit 1)
      end,
      (select i.next_look_at from bilag.export_items i
        where i.integration_id = l.integration_id and i.next_look_at is not null order by i.next_look_at limit 1),
      (select r.due_at from bilag.reconciliations r
        where r.integration_id = l.integration_id and r.finished_at is null order by r.due_at limit 1)) as work
    offset 0  -- else it would be asked twice
  ) as w
  where l.integration_id = any(integration_ids)
$$;

comment on function bilag_internal.lanes_due(uuid[]) is
  'When each lane has something to do: its run, else the next queued one, an item to look up, or a reconciliation; null when never.';

create or replace function bilag_internal.wake_lanes(integration_ids uuid[], patient boolean default true) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set jit = off set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
  moment timestamptz := bilag_internal.now();
  times timestamptz[];
  ready integer;
  sent bigint[];
begin
  if patient then
    perform from bilag.export_lanes l where l.integration_id = any(integration_ids) order by l.integration_id for update;
  else
    integration_ids := array(
      select l.integration_id from bilag.export_lanes l where l.integration_id = any(integration_ids) order by l.integration_id
      for update skip locked);
  end if;
  -- Those that get a hint come first. Then each lane is written once: a row that is written twice has its foreign key checked again.
  select array_agg(x.integration_id order by x.is_ready desc, x.due_at, x.integration_id),
    array_agg(x.due_at order by x.is_ready desc, x.due_at, x.integration_id), count(*) filter (where x.is_ready)
  into integration_ids, times, ready
  from (
    select d.integration_id, d.due_at,
      coalesce(d.due_at <= moment and not d.has_hint and coalesce(d.lease_until <= moment, true), false) as is_ready
    from bilag_internal.lanes_due(integration_ids) as d
  ) as x;
  sent := bilag_internal.send_hints(integration_ids[:ready]);
  update bilag.export_lanes l set due_at = d.due_at, msg_id = coalesce(d.msg_id, l.msg_id)
  from unnest(integration_ids, times, sent) as d (integration_id, due_at, msg_id)
  where l.integration_id = d.integration_id and (l.due_at is distinct from d.due_at or d.msg_id is not null);
  return ready;
end $$;

comment on function bilag_internal.wake_lanes(uuid[], boolean) is
  'Finds out when lanes have work and sends a hint for each that has it now and no worker. Without patience it leaves lanes that somebody holds to the next tick.';

create or replace function bilag_internal.release_lanes(integration_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  moment timestamptz := bilag_internal.now();
  times timestamptz[];
  ready integer;
  sent bigint[];
begin
  if coalesce(cardinality(integration_ids), 0) = 0 then
    return;
  end if;
  select array_agg(x.integration_id order by x.is_ready desc, x.due_at, x.integration_id),
    array_agg(x.due_at order by x.is_ready desc, x.due_at, x.integration_id), count(*) filter (where x.is_ready)
  into integration_ids, times, ready
  from (
    select d.integration_id, d.due_at, coalesce(d.due_at <= moment, false) as is_ready
    from bilag_internal.lanes_due(integration_ids) as d
  ) as x;
  sent := bilag_internal.send_hints(integration_ids[:ready]);
  update bilag.export_lanes l
  set lease_token = null, lease_until = null, leased_at = null, leased_by = null, deliver_until = null, deliveries = 0,
    due_at = d.due_at, msg_id = d.msg_id  -- the hint that led to the lease is used up
  from unnest(integration_ids, times, sent) as d (integration_id, due_at, msg_id)
  where l.integration_id = d.integration_id;
end $$;

comment on function bilag_internal.release_lanes(uuid[]) is 'Gives leases back and sends the hint for what is next.';
