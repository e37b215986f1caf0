-- The queue, in one file: only this room names `pgmq`, and only what its versions 1.4.4, 1.5.1 and 1.13 share.
-- A message is {"integration_id": …}: a hint that the lane has work. Losing, doubling or inventing one changes nothing that matters.

create or replace function bilag_internal.send_hints(integration_ids uuid[]) returns bigint[]
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  -- send_batch with an empty array raises on 1.13.
  if coalesce(cardinality(integration_ids), 0) = 0 then
    return array[]::bigint[];
  end if;
  return array(
    select s from pgmq.send_batch('bilag_exports',
      array(select jsonb_build_object('integration_id', i.id) from unnest(integration_ids) with ordinality as i (id, n) order by i.n)) as s
    order by s);
end $$;

comment on function bilag_internal.send_hints(uuid[]) is
  'One message for each lane; returns their numbers in the same order. The caller holds the lanes and writes the numbers down.';

create or replace function bilag_internal.read_hints(quantity integer)
returns table (msg_id bigint, read_ct integer, message jsonb)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  -- Locked, and neither hidden nor counted as pgmq.read() does: this transaction deletes them or puts them off, and a row that is
  -- about to be deleted need not be written first.
  return query
    select q.msg_id, q.read_ct + 1, q.message from pgmq.q_bilag_exports q
    where q.vt <= clock_timestamp() order by q.msg_id limit quantity for update skip locked;
end $$;

comment on function bilag_internal.read_hints(integer) is 'Takes messages for this transaction, which deletes each or puts it off.';

create or replace function bilag_internal.drop_hints(msg_ids bigint[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if coalesce(cardinality(msg_ids), 0) > 0 then
    delete from pgmq.q_bilag_exports q where q.msg_id = any(msg_ids);
  end if;
end $$;

comment on function bilag_internal.drop_hints(bigint[]) is 'Deletes messages that were understood.';

create or replace function bilag_internal.put_off_hints(msg_ids bigint[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  perform pgmq.set_vt('bilag_exports', m, 5) from unnest(msg_ids) as m;
end $$;

comment on function bilag_internal.put_off_hints(bigint[]) is 'Shows messages again in five seconds.';

create or replace function bilag_internal.lost_hints() returns setof uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select l.integration_id from bilag.export_lanes l
  where l.msg_id is not null and l.due_at <= (select bilag_internal.now())
    and not exists (select from pgmq.q_bilag_exports q where q.msg_id = l.msg_id)
$$;

comment on function bilag_internal.lost_hints() is 'Lanes whose message is gone: purged, or dropped with its queue.';

-- Health checks: a message is {"org_id": …}, a hint that the organisation's round is due.

create or replace function bilag_internal.send_health_hints(org_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  sent bigint[];
begin
  if coalesce(cardinality(org_ids), 0) = 0 then
    return;
  end if;
  select array_agg(s order by s) into sent
  from pgmq.send_batch('bilag_health_checks',
    array(select jsonb_build_object('org_id', o.id) from unnest(org_ids) with ordinality as o (id, n) order by o.n)) as s;
  update bilag_internal.health_rounds r set msg_id = h.msg_id
  from unnest(org_ids, sent) as h (org_id, msg_id)
  where r.org_id = h.org_id;
end $$;

comment on function bilag_internal.send_health_hints(uuid[]) is 'One message for each organisation; the caller holds their rounds.';

create or replace function bilag_internal.read_health_hints(quantity integer)
returns table (msg_id bigint, read_ct integer, message jsonb)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if not exists (select from pgmq.q_bilag_health_checks q where q.vt <= clock_timestamp()) then
    return;
  end if;
  return query select r.msg_id, r.read_ct, r.message from pgmq.read('bilag_health_checks', 1, quantity) r;
end $$;

comment on function bilag_internal.read_health_hints(integer) is 'Takes messages; those that are not deleted in this transaction come back in a second.';

create or replace function bilag_internal.drop_health_hints(msg_ids bigint[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if coalesce(cardinality(msg_ids), 0) > 0 then
    perform pgmq.delete('bilag_health_checks', msg_ids);
  end if;
end $$;

comment on function bilag_internal.drop_health_hints(bigint[]) is 'Deletes messages that were understood, or buried.';

create or replace function bilag_internal.lost_health_hints() returns setof uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select r.org_id from bilag_internal.health_rounds r
  where r.msg_id is not null and r.due_at <= (select bilag_internal.now())
    and not exists (select from pgmq.q_bilag_health_checks q where q.msg_id = r.msg_id)
$$;

comment on function bilag_internal.lost_health_hints() is 'Organisations whose message is gone.';

create or replace function bilag_internal.send_webhooks(messages jsonb[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if coalesce(cardinality(messages), 0) = 0 or to_regclass('pgmq.q_bilag_webhooks') is null then
    return;
  end if;
  perform pgmq.send_batch('bilag_webhooks', messages);
exception when insufficient_privilege or undefined_table or undefined_function or undefined_column or raise_exception or data_exception
  or integrity_constraint_violation then
  -- What is told must never stop what it tells of.
  raise warning 'Webhook events were not queued: %', sqlerrm;
end $$;

comment on function bilag_internal.send_webhooks(jsonb[]) is 'Queues events; that they cannot be queued is a warning, and stops nothing.';

create or replace function bilag_internal.read_webhooks(quantity integer) returns table (msg_id bigint, read_ct integer, message jsonb)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if to_regclass('pgmq.q_bilag_webhooks') is null or not exists (select from pgmq.q_bilag_webhooks q where q.vt <= clock_timestamp()) then
    return;
  end if;
  return query select r.msg_id, r.read_ct, r.message from pgmq.read('bilag_webhooks', 1, quantity) r;
end $$;

comment on function bilag_internal.read_webhooks(integer) is 'Takes events; those that are not deleted in this transaction come back in a second.';

create or replace function bilag_internal.drop_webhooks(msg_ids bigint[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if coalesce(cardinality(msg_ids), 0) > 0 then
    perform pgmq.delete('bilag_webhooks', msg_ids);
  end if;
end $$;

comment on function bilag_internal.drop_webhooks(bigint[]) is 'Deletes events that are in the table now.';

create or replace function bilag_internal.webhooks_queued() returns bigint
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
  return case when to_regclass('pgmq.q_bilag_webhooks') is null then 0 else (select count(*) from pgmq.q_bilag_webhooks) end;
end $$;

comment on function bilag_internal.webhooks_queued() is 'How many events no worker has taken yet.';

create or replace function bilag_internal.purge_webhooks() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if to_regclass('pgmq.q_bilag_webhooks') is not null then
    delete from pgmq.q_bilag_webhooks;
  end if;
end $$;

comment on function bilag_internal.purge_webhooks() is 'Forgets the events that no worker has taken.';

create or replace function bilag_internal.bury(letter jsonb) returns bigint
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  select s from pgmq.send('bilag_dead_letters', letter || jsonb_build_object('diedAt', bilag_internal.now())) as s
$$;

comment on function bilag_internal.bury(jsonb) is 'Sets a message or a run aside: {queue, message, reasonCode, reasonParams, readCount, integrationId, runId}.';

create or replace function bilag_internal.dead_letters()
returns table (id bigint, died_at timestamptz, letter jsonb)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select q.msg_id, (q.message ->> 'diedAt')::timestamptz, q.message from pgmq.q_bilag_dead_letters q
$$;

comment on function bilag_internal.dead_letters() is 'What was set aside and neither redriven nor discarded.';

create or replace function bilag_internal.take_dead_letter(dead_letter_id bigint) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  letter jsonb;
begin
  select q.message into letter from pgmq.q_bilag_dead_letters q where q.msg_id = dead_letter_id for update;
  if not found then
    perform bilag_internal.complain('KB002', format('There is no dead letter %s.', coalesce(dead_letter_id::text, 'null')), 'select * from bilag.dead_letters;');
  end if;
  perform pgmq.archive('bilag_dead_letters', dead_letter_id);
  return letter;
end $$;

comment on function bilag_internal.take_dead_letter(bigint) is 'Archives a dead letter and returns it.';

create or replace function bilag_internal.sweep_dead_letters(before timestamptz, batch integer) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  swept bigint;
begin
  delete from pgmq.q_bilag_dead_letters q where q.msg_id = any(array(
    select x.msg_id from pgmq.q_bilag_dead_letters x
    where coalesce((x.message ->> 'diedAt')::timestamptz, x.enqueued_at) < before order by x.msg_id limit batch for update skip locked));
  get diagnostics swept = row_count;
  return swept;
end $$;

comment on function bilag_internal.sweep_dead_letters(timestamptz, integer) is 'Deletes dead letters that nobody decided about for so long.';

create or replace function bilag_internal.sweep_dead_letter_archive(before timestamptz, batch integer) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  swept bigint;
begin
  delete from pgmq.a_bilag_dead_letters q where q.msg_id = any(array(
    select x.msg_id from pgmq.a_bilag_dead_letters x
    where coalesce((x.message ->> 'diedAt')::timestamptz, x.archived_at) < before order by x.msg_id limit batch for update skip locked));
  get diagnostics swept = row_count;
  return swept;
end $$;

comment on function bilag_internal.sweep_dead_letter_archive(timestamptz, integer) is
  'Deletes archived dead letters: pgmq never does. Nothing else is ever archived; hints are deleted.';

create or replace function bilag_internal.sweep_webhooks(before timestamptz, batch integer) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  swept bigint;
begin
  delete from pgmq.q_bilag_webhooks q where q.msg_id = any(array(
    select x.msg_id from pgmq.q_bilag_webhooks x
    where coalesce((x.message ->> 'at')::timestamptz, x.enqueued_at) < before order by x.msg_id limit batch for update skip locked));
  get diagnostics swept = row_count;
  return swept;
end $$;

comment on function bilag_internal.sweep_webhooks(timestamptz, integer) is 'Deletes events that no worker took for so long: the webhook is switched off, or its receiver fails.';

create or replace function bilag_internal.queue_lengths()
returns table (queue text, messages bigint, visible bigint, oldest timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select 'bilag_exports', count(*), count(*) filter (where q.vt <= clock_timestamp()), min(q.enqueued_at) from pgmq.q_bilag_exports q
  union all
  select 'bilag_health_checks', count(*), count(*) filter (where q.vt <= clock_timestamp()), min(q.enqueued_at) from pgmq.q_bilag_health_checks q
  union all
  select 'bilag_dead_letters', count(*), count(*) filter (where q.vt <= clock_timestamp()), min(q.enqueued_at) from pgmq.q_bilag_dead_letters q
  union all
  select 'bilag_webhooks', count(*), count(*) filter (where q.vt <= clock_timestamp()), min(q.enqueued_at) from pgmq.q_bilag_webhooks q
$$;

comment on function bilag_internal.queue_lengths() is 'How many messages wait in each queue.';

create or replace function bilag_internal.drop_queues() returns setof text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  queue text;
begin
  for queue in
    select q.queue_name from pgmq.list_queues() q
    where q.queue_name in ('bilag_exports', 'bilag_health_checks', 'bilag_dead_letters', 'bilag_webhooks') order by q.queue_name
  loop
    perform pgmq.drop_queue(queue);
    return next queue;
  end loop;
end $$;

comment on function bilag_internal.drop_queues() is 'Drops Bilag''s queues and returns their names: bilag uninstall.';
