-- What a Prometheus exporter reads: numbers of the whole installation, no tenant in a label. The names follow Prometheus: a prefix, the
-- unit at the end, seconds for times. Everything here is a gauge; what counts up is on each worker's own /metrics.

create or replace function bilag_internal.measure() returns table (name text, labels jsonb, value double precision)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  with moment as materialized (select bilag_internal.now() as at)
  select 'bilag_queue_messages', jsonb_build_object('queue', q.queue), q.messages::double precision from bilag_internal.queue_lengths() q
  union all
  select 'bilag_queue_oldest_age_seconds', jsonb_build_object('queue', q.queue), coalesce(extract(epoch from clock_timestamp() - q.oldest), 0)
  from bilag_internal.queue_lengths() q
  union all
  select 'bilag_lanes', jsonb_build_object('state', s.state), (
    select count(*) from bilag.export_lanes l, moment m
    where case s.state when 'leased' then l.lease_until > m.at else l.due_at <= m.at and coalesce(l.lease_until <= m.at, true) end)
  from (values ('due'), ('leased')) as s (state)
  union all
  select 'bilag_runs_unfinished', jsonb_build_object('status', s.status), count(r.id)
  from (values ('queued'), ('running'), ('waiting')) as s (status)
  left join bilag.export_runs r on r.status = s.status and r.finished_at is null
  group by s.status
  union all
  select 'bilag_vouchers_unsettled', jsonb_build_object('integration_type', i.integration_type, 'state', i.state), count(*)
  from (
    select x.integration_type, x.state from bilag.export_items x where x.next_look_at is not null
    union all
    select x.integration_type, x.state from bilag.export_runs r join bilag.export_items x on x.run_id = r.id and x.state in ('pending', 'sending')
    where r.finished_at is null
  ) as i
  group by i.integration_type, i.state
  union all
  select 'bilag_schedule_delay_seconds', '{}', coalesce(max(extract(epoch from m.at - r.scheduled_for)), 0)
  from moment m left join bilag.export_runs r on r.finished_at is null and r.started_at is null and r.scheduled_for <= m.at
  union all
  select 'bilag_integrations', jsonb_build_object('integration_type', c.integration_type, 'state', s.state), count(*)
  from bilag.integration_config c, moment m
  cross join lateral (
    select case when not c.enabled then 'disabled' when c.paused_at is not null and coalesce(c.paused_until, 'infinity') > m.at then 'paused' else 'enabled' end as state
  ) as s
  group by c.integration_type, s.state
  union all
  select 'bilag_connections', jsonb_build_object('integration_type', h.integration_type, 'status', h.status), count(*)
  from bilag.integration_health_status h group by h.integration_type, h.status
  union all
  select 'bilag_alerts_open', jsonb_build_object('kind', k.kind, 'severity', k.severity), count(a.id)
  from bilag.alert_kinds k left join bilag.alerts a on a.kind = k.kind and a.resolved_at is null
  group by k.kind, k.severity
  union all
  select 'bilag_workers_alive', '{}', count(*) from bilag.worker_heartbeats w, moment m where w.last_seen_at > m.at - interval '2 minutes'
  union all
  select 'bilag_tick_age_seconds', jsonb_build_object('by', t.by), extract(epoch from m.at - t.at)
  from bilag.installation h, moment m
  cross join lateral (values ('anybody', h.ticked_at), ('pg_cron', h.cron_ticked_at)) as t (by, at)
  where t.at is not null
  union all
  select 'bilag_paused', '{}', count(h.paused_at) from bilag.installation h
  union all
  select 'bilag_webhook_waiting', '{}', bilag_internal.webhooks_queued() + (select count(*) from bilag.webhook_deliveries)
  union all
  select 'bilag_webhook_failures_in_a_row', '{}', w.failures from bilag.webhook w
$$;

comment on function bilag_internal.measure() is 'The numbers of the installation.';

create or replace view bilag.metrics with (security_invoker = true) as
select m.name, m.labels, m.value from bilag_internal.measure() m order by m.name, m.labels;

comment on view bilag.metrics is 'Gauges for a Postgres exporter, named as Prometheus does; labels name no tenant.';
