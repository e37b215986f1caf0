-- A worker says hello, beats while it works, and asks what is left when it is to end.

create or replace function bilag_internal.hello(
  worker_id uuid, host text, pid integer, version text, contract integer, environment text
) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  here bilag.installation;
begin
  select i.* into here from bilag.installation i;
  if contract <> bilag_internal.contract() then
    perform bilag_internal.complain('KB010',
      format('This worker keeps contract %s, the database keeps contract %s.', contract, bilag_internal.contract()),
      'Run bilag migrate with the newer of the two, or start the worker that fits.');
  end if;
  if environment <> here.environment then
    perform bilag_internal.complain('KB011',
      format('This worker serves environment %L, the database is %L.', environment, here.environment),
      'Set BILAG_ENVIRONMENT, or update bilag.installation if the database really changed its purpose.');
  end if;
  insert into bilag.worker_heartbeats as w (worker_id, host, pid, version, contract, environment, started_at, last_seen_at)
  values (hello.worker_id, hello.host, hello.pid, hello.version, hello.contract, hello.environment, bilag_internal.now(), bilag_internal.now())
  on conflict on constraint worker_heartbeats_pkey do update set last_seen_at = bilag_internal.now();
  perform bilag_internal.recognise_server();
  return jsonb_build_object('environment', here.environment, 'contract', bilag_internal.contract(),
    'vault', bilag_internal.vault_answers(),
    'tickAge', extract(epoch from bilag_internal.now() - here.ticked_at),
    'openAlerts', (
      select jsonb_object_agg(s.severity, (
        select count(*) from bilag.alerts a join bilag.alert_kinds k on k.kind = a.kind where a.resolved_at is null and k.severity = s.severity))
      from (values ('critical'), ('warning'), ('info')) as s (severity)));
end $$;

comment on function bilag_internal.hello(uuid, text, integer, text, integer, text) is
  'A worker introduces itself; KB010 when it keeps another contract, KB011 when it serves another environment.';

create or replace function bilag_internal.require_worker(worker_id uuid) returns void
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
  worker bilag.worker_heartbeats;
  here bilag.installation;
begin
  select w.* into worker from bilag.worker_heartbeats w where w.worker_id = require_worker.worker_id;
  if not found then
    perform bilag_internal.complain('KB012', 'This worker has not said hello.', 'Call hello first.');
  end if;
  select i.* into here from bilag.installation i;
  if worker.contract <> bilag_internal.contract() then
    perform bilag_internal.complain('KB010',
      format('This worker keeps contract %s, the database keeps contract %s.', worker.contract, bilag_internal.contract()),
      'Start the worker that fits; what this one holds it may still settle.');
  end if;
  if worker.environment <> here.environment then
    perform bilag_internal.complain('KB011',
      format('This worker serves environment %L, the database is %L.', worker.environment, here.environment),
      'Set BILAG_ENVIRONMENT, or update bilag.installation if the database really changed its purpose.');
  end if;
end $$;

comment on function bilag_internal.require_worker(uuid) is
  'Asked before anything is handed out: KB012 when the worker has not said hello, KB010 and KB011 when it is not ours.';

create or replace function bilag_internal.beat(worker_id uuid, tokens uuid[], lease_seconds integer, running integer)
returns setof uuid
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  update bilag.worker_heartbeats w set last_seen_at = bilag_internal.now(), running = beat.running
  where w.worker_id = beat.worker_id;
  return query
    with mine as (
      -- A lane that is being settled right now needs no heartbeat; whoever is not renewed is told so.
      select l.integration_id from bilag.export_lanes l
      where l.lease_token = any(tokens) order by l.integration_id for update skip locked
    )
    update bilag.export_lanes l
    set lease_until = greatest(l.lease_until, least(bilag_internal.now() + make_interval(secs => beat.lease_seconds), l.deliver_until))
    from mine m
    where l.integration_id = m.integration_id and l.lease_until > bilag_internal.now()
    returning l.lease_token;
end $$;

comment on function bilag_internal.beat(uuid, uuid[], integer, integer) is
  'Prolongs leases and returns those that it prolonged. Never past deliver_until: a job without progress loses its lane.';

create or replace function bilag_internal.exports_left(out due bigint, out in_flight bigint, out next_due_at timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set jit = off set enable_seqscan = off
as $$
declare
  moment timestamptz := bilag_internal.now();
begin
  -- Each from an index of its own: a draining worker asks several times, and a hundred thousand lanes may wait for tomorrow.
  due := (select count(*) from bilag.export_lanes l where l.due_at <= moment and l.lease_until is null);
  in_flight := (select count(*) from bilag.export_lanes l where l.leased_by is not null and l.lease_until is not null) + (
    -- Accepted or doubtful, and asked again soon; under a frozen clock, soon never comes.
    select count(*) from bilag.export_items i
    where i.next_look_at between moment and moment + interval '90 seconds'
      and not exists (select from bilag_internal.clock));
  next_due_at := (select l.due_at from bilag.export_lanes l where l.due_at > moment order by l.due_at limit 1);
end $$;

comment on function bilag_internal.exports_left() is 'Lanes due, lanes leased, and when the next becomes due.';

create or replace function bilag_internal.work_left(queues text[] default array['exports']) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object('due', coalesce(sum(q.due), 0), 'inFlight', coalesce(sum(q.in_flight), 0), 'nextDueAt', min(q.next_due_at))
  from (
    select e.* from bilag_internal.exports_left() e where 'exports' = any(queues)
    union all
    select h.* from bilag_internal.health_checks_left() h where 'health_checks' = any(queues)
    union all
    select w.* from bilag_internal.webhooks_left() w where 'webhooks' = any(queues)
  ) as q
$$;

comment on function bilag_internal.work_left(text[]) is 'What a draining worker waits for, of the queues it serves: {due, inFlight, nextDueAt}.';
