-- What is told to the outside: alerts that open and resolve, runs that end, claims that change. What happens here sends ids and nothing
-- else, into a queue, and only while somebody wants to hear it; if even that does not go, the work goes on. The body is made when it is
-- sent, of what is true then: ids, codes and counts, no name, no text that a person or a vendor wrote, no amount.

create or replace function bilag_internal.wanted(event text) returns boolean
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
  return exists (select from bilag.webhook w where w.enabled and event = any(w.events));
end $$;

comment on function bilag_internal.wanted(text) is 'Whether a webhook is to hear of such events.';

create or replace function bilag_internal.alert_event_id(alert_id bigint, event text) returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select md5(format('%s/%s/%s/%s', h.system_identifier, h.created_at, event, alert_id))::uuid from bilag.installation h
$$;

comment on function bilag_internal.alert_event_id(bigint, text) is 'The id of an alert''s event, the same by whichever way it is sent.';

create or replace function bilag_internal.tell_of_alerts(alert_ids bigint[], event text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if bilag_internal.wanted(event) then
    -- That the webhook fails is nothing to tell by webhook.
    perform bilag_internal.send_webhooks(array(
      select jsonb_build_object('event_id', bilag_internal.alert_event_id(a.id, event), 'event', event, 'at', bilag_internal.now(), 'alert_id', a.id)
      from bilag.alerts a where a.id = any(alert_ids) and a.kind <> 'webhook_failing' order by a.id));
  end if;
end $$;

comment on function bilag_internal.tell_of_alerts(bigint[], text) is 'Queues one event for each alert.';

create or replace function bilag_internal.alerts_opened() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
  perform bilag_internal.tell_of_alerts(array(select n.id from new_alerts n), 'alert.opened');
  return null;
end $$;

comment on function bilag_internal.alerts_opened() is 'Tells of opened alerts, whoever opened them.';

create trigger alerts_opened after insert on bilag.alerts
  referencing new table as new_alerts for each statement execute function bilag_internal.alerts_opened();

create or replace function bilag_internal.alerts_resolved() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
  perform bilag_internal.tell_of_alerts(array(
    select n.id from new_alerts n join old_alerts o on o.id = n.id where n.resolved_at is not null and o.resolved_at is null), 'alert.resolved');
  return null;
end $$;

comment on function bilag_internal.alerts_resolved() is 'Tells of resolved alerts, whoever resolved them.';

create trigger alerts_resolved after update on bilag.alerts
  referencing old table as old_alerts new table as new_alerts for each statement execute function bilag_internal.alerts_resolved();

create or replace function bilag_internal.runs_finished(run_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if bilag_internal.wanted('run.finished') then
    perform bilag_internal.send_webhooks(array(
      select jsonb_build_object('event_id', md5('run.finished/' || r)::uuid, 'event', 'run.finished', 'at', bilag_internal.now(), 'run_id', r)
      from unnest(run_ids) as r));
  end if;
end $$;

comment on function bilag_internal.runs_finished(uuid[]) is 'Queues an event for each ended run.';

create or replace function bilag_internal.claims_changed(item_ids bigint[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if coalesce(cardinality(item_ids), 0) > 0 and bilag_internal.wanted('claims.changed') then
    perform bilag_internal.send_webhooks(array(
      select jsonb_build_object('event_id', gen_random_uuid(), 'event', 'claims.changed', 'at', bilag_internal.now(),
        'integration_id', x.integration_id, 'item_ids', jsonb_agg(x.id order by x.id))
      from (
        select i.id, i.integration_id, (row_number() over (partition by i.integration_id order by i.id) - 1) / 500 as piece
        from bilag.export_items i where i.id = any(item_ids)
      ) as x
      group by x.integration_id, x.piece));
  end if;
end $$;

comment on function bilag_internal.claims_changed(bigint[]) is 'Queues an event for each integration and 500 of its items whose state has changed.';

create or replace function bilag_internal.is_event(message jsonb) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp
as $$
  select jsonb_typeof(message) = 'object'
    and coalesce(message ->> 'event_id' ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$', false)
    and coalesce(case message ->> 'event'
      when 'webhook.test' then true
      when 'run.finished' then message ->> 'run_id' ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'
      when 'claims.changed' then message @? '$.item_ids[*]' and not message @? '$.item_ids[*] ? (@.type() != "number")'
        and message ->> 'integration_id' ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'
      else message ->> 'event' in ('alert.opened', 'alert.resolved') and jsonb_typeof(message -> 'alert_id') = 'number'
    end, false)
$$;

comment on function bilag_internal.is_event(jsonb) is 'Whether a message of the queue is one that Bilag sends.';

create or replace function bilag_internal.event_data(message jsonb) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select case event_data.message ->> 'event'
    when 'webhook.test' then '{}'::jsonb
    when 'run.finished' then (
      select jsonb_build_object('runId', r.id, 'orgId', r.org_id, 'integrationType', r.integration_type, 'status', r.status, 'trigger', r.trigger,
        'retryOf', r.retry_of, 'periodEnd', r.period_end, 'scheduledFor', r.scheduled_for, 'startedAt', r.started_at, 'finishedAt', r.finished_at,
        'claims', bilag_internal.run_counts(r.id), 'error', r.error - 'message')
      from bilag.export_runs r where r.id = (event_data.message ->> 'run_id')::uuid)
    when 'claims.changed' then (
      select jsonb_build_object('orgId', min(i.org_id::text), 'integrationType', min(i.integration_type), 'claims', jsonb_agg(jsonb_build_object(
        'claimId', i.claim_id, 'claimNumber', c.claim_number, 'state', i.state, 'reference', i.reference, 'reasonCode', i.reason_code,
        'voucherNumber', i.voucher_number, 'isReversal', i.reverses is not null, 'runId', i.run_id) order by i.id))
      from bilag.export_items i join bilag.expense_claims c on c.id = i.claim_id
      where i.id in (select e::bigint from jsonb_array_elements(event_data.message -> 'item_ids') as e)
        and i.integration_id = (event_data.message ->> 'integration_id')::uuid
      having count(*) > 0)
    else (
      select jsonb_build_object('alertId', a.id, 'kind', a.kind, 'severity', k.severity, 'meaning', k.meaning, 'whatToDo', k.runbook,
        'orgId', a.org_id, 'integrationType', a.integration_type, 'count', a.count, 'openedAt', a.opened_at, 'lastSeenAt', a.last_seen_at,
        'resolvedAt', a.resolved_at, 'runId', a.details -> 'runId', 'scheduledFor', a.details -> 'scheduledFor',
        'startedAt', a.details -> 'startedAt', 'vouchers', a.details -> 'vouchers')
      from bilag.alerts a join bilag.alert_kinds k on k.kind = a.kind where a.id = (event_data.message ->> 'alert_id')::bigint)
  end
$$;

comment on function bilag_internal.event_data(jsonb) is 'What an event tells, as it is now; null when what it was about is gone.';

create or replace function bilag_internal.event_body(message jsonb) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object('id', message ->> 'event_id', 'type', message ->> 'event', 'timestamp', message ->> 'at',
    'environment', h.environment, 'data', d.data)
  from bilag.installation h cross join lateral (select bilag_internal.event_data(message) as data) as d
  where d.data is not null
$$;

comment on function bilag_internal.event_body(jsonb) is 'The body of an event: {id, type, timestamp, environment, data}.';
