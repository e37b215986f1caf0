-- The health of connections: when each is next checked, and that history keeps the last 96 checks, whoever writes it. How a check is
-- handed out and settled is the next room's.

create or replace function bilag_internal.health_wait(failures integer) returns interval
language sql immutable
as $$
  -- 15 minutes, also after the first failure; then twice as long each time: 30 minutes, 1 hour, 2 hours.
  select least(interval '15 minutes' * power(2, greatest(least(failures, 10) - 1, 0)), interval '2 hours')
$$;

comment on function bilag_internal.health_wait(integer) is 'How long until the next check after so many failures in a row.';

create or replace function bilag_internal.health_phase(org_id uuid) returns interval
language sql immutable
as $$
  select make_interval(secs => 60 + mod(hashtextextended(org_id::text, 0) & 2147483647, 840)::double precision)
$$;

comment on function bilag_internal.health_phase(uuid) is
  'How long after it was made an organisation''s first check comes: one to fifteen minutes, so that many do not come at once.';

create or replace function bilag_internal.health_due(org_id uuid) returns timestamptz
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select least(
    (select min(coalesce(s.next_check_at, c.created_at + bilag_internal.health_phase(c.org_id)))
     from bilag.integration_config c
     left join bilag.integration_health_status s on s.org_id = c.org_id and s.integration_type = c.integration_type
     where c.org_id = health_due.org_id and c.enabled and c.health_mode = 'active'),
    (select min(r.requested_at) from bilag_internal.health_requests r
     where r.org_id = health_due.org_id and r.finished_at is null))
$$;

comment on function bilag_internal.health_due(uuid) is
  'When the organisation''s connections want a round: the first of its checks, or a person''s request; null when never.';

create or replace function bilag_internal.plan_round() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
  insert into bilag_internal.health_rounds as r (org_id, due_at)
  values (new.org_id, bilag_internal.health_due(new.org_id))
  on conflict (org_id) do update set due_at = excluded.due_at where r.due_at is distinct from excluded.due_at;
  return null;
end $$;

comment on function bilag_internal.plan_round() is 'An integration that is made, enabled, disabled or changes its health_mode changes when its organisation has a round.';

create trigger plan_round after insert or update of enabled, health_mode on bilag.integration_config
  for each row execute function bilag_internal.plan_round();

create or replace function bilag_internal.choose_health_mode() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if new.passive_until is not distinct from old.passive_until then
    new.passive_until := null;  -- a person chose; only the machinery sets both
  end if;
  return new;
end $$;

comment on function bilag_internal.choose_health_mode() is 'What a person chooses has no end that a clock decides.';

create trigger choose_health_mode before update of health_mode on bilag.integration_config
  for each row when (old.health_mode is distinct from new.health_mode) execute function bilag_internal.choose_health_mode();

create or replace function bilag_internal.keep_newer_status() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
  return null;
end $$;

comment on function bilag_internal.keep_newer_status() is 'An older check never overwrites a newer one, whoever writes it: the UPDATE passes the row over.';

create trigger keep_newer_status before update on bilag.integration_health_status
  for each row when (new.checked_at < old.checked_at) execute function bilag_internal.keep_newer_status();

-- Pruning. Exactly 96 must be left of each history, at once and after every commit, however many write at the same time and in
-- whatever order; a writer must wait for nobody's open transaction, and no two may wait for each other. So it is done twice. The
-- statement prunes what it sees, passes over rows that another is removing, and holds no lock. The commit prunes again, one after the
-- other per history, by locks that are taken in one order and last no longer than the commit itself: by then the others' rows are
-- there to be seen, or are yet to come and then prune in their turn. Both look at no more than what was inserted and 97 rows.

create or replace function bilag_internal.prune_history(org_ids uuid[], integration_types text[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $$
declare
  key record;
  surplus bigint;
begin
  for key in
    select distinct k.org_id, k.integration_type from unnest(org_ids, integration_types) as k (org_id, integration_type)
    order by k.org_id, k.integration_type
  loop
    select count(*) - 96 into surplus from bilag.health_check_history h
    where h.org_id = key.org_id and h.integration_type = key.integration_type;
    if surplus > 0 then
      delete from bilag.health_check_history h where h.id = any(array(
        select o.id from bilag.health_check_history o
        where o.org_id = key.org_id and o.integration_type = key.integration_type
        order by o.checked_at, o.id limit surplus for update skip locked));
    end if;
  end loop;
end $$;

comment on function bilag_internal.prune_history(uuid[], text[]) is
  'Leaves the latest 96 of each history that it sees. A row that another transaction is removing is passed over for the next oldest.';

create or replace function bilag_internal.prune_what_was_inserted() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
  org_ids uuid[];
  integration_types text[];
begin
  select array_agg(k.org_id), array_agg(k.integration_type) into org_ids, integration_types
  from (select distinct i.org_id, i.integration_type from inserted i) as k;
  if org_ids is null then
    return null;
  end if;
  perform bilag_internal.prune_history(org_ids, integration_types);
  insert into bilag_internal.health_pruning (transaction_id, org_ids, integration_types)
  values (pg_current_xact_id(), org_ids, integration_types);
  return null;
end $$;

comment on function bilag_internal.prune_what_was_inserted() is 'Keeps the last 96 checks of each integration, and notes what the commit is to look at again.';

create trigger prune_what_was_inserted after insert on bilag.health_check_history
  referencing new table as inserted for each statement execute function bilag_internal.prune_what_was_inserted();

create or replace function bilag_internal.prune_at_commit() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
  org_ids uuid[];
  integration_types text[];
begin
  with noted as (
    delete from bilag_internal.health_pruning p where p.transaction_id = pg_current_xact_id()
    returning p.org_ids, p.integration_types
  )
  select array_agg(k.org_id), array_agg(k.integration_type) into org_ids, integration_types
  from noted n cross join lateral unnest(n.org_ids, n.integration_types) as k (org_id, integration_type);
  if org_ids is null then
    return null;  -- an earlier statement's note has done it all
  end if;
  -- 64 locks stand for all histories: as many as there are would not fit into the server's table of locks.
  perform pg_advisory_xact_lock(l.lock) from (
    select distinct hashtextextended('bilag.health.' || mod(hashtextextended(k.org_id || k.integration_type, 0) & 63, 64), 0) as lock
    from unnest(org_ids, integration_types) as k (org_id, integration_type)
    order by lock
    offset 0) as l;
  perform bilag_internal.prune_history(org_ids, integration_types);
  return null;
end $$;

comment on function bilag_internal.prune_at_commit() is 'Prunes once more, when nobody else can be doing so.';

create constraint trigger prune_at_commit after insert on bilag_internal.health_pruning
  deferrable initially deferred for each row execute function bilag_internal.prune_at_commit();
