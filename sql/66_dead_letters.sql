-- What was set aside, and the two things a person can do with it.

create or replace function bilag_internal.close_dead_letter_alerts() returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  select bilag_internal.resolve_alert('dead_letter', a.problem_key, 'its dead letters were redriven or discarded')
  from bilag.alerts a
  where a.kind = 'dead_letter' and a.resolved_at is null and not exists (
    select from bilag_internal.dead_letters() d
    where coalesce(d.letter ->> 'runId', d.letter ->> 'integrationId', d.letter ->> 'queue') = a.problem_key)
$$;

comment on function bilag_internal.close_dead_letter_alerts() is 'Resolves the alerts whose dead letters are all gone.';

create or replace function bilag.redrive(dead_letter_id bigint) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  letter jsonb := bilag_internal.take_dead_letter(dead_letter_id);
begin
  perform bilag_internal.close_dead_letter_alerts();
  if letter ->> 'runId' is not null then
    if not exists (select from bilag.export_runs r where r.id = (letter ->> 'runId')::uuid) then
      perform bilag_internal.complain('KB004', format('The run of dead letter %s does not exist any more, so there is nothing to do again.',
        dead_letter_id), 'discard it; its claims go with the next export.');
    end if;
    return 'run ' || bilag.retry_export((letter ->> 'runId')::uuid);
  end if;
  if letter ->> 'reasonCode' = 'webhook_undelivered' then
    perform bilag_internal.send_webhooks(array[letter -> 'message']);
    return 'webhook event ' || (letter -> 'message' ->> 'event_id');
  end if;
  if letter ->> 'integrationId' is not null then
    perform bilag_internal.wake_lanes(array[(letter ->> 'integrationId')::uuid]);
    return 'integration ' || (letter ->> 'integrationId');
  end if;
  perform bilag_internal.complain('KB004', format('Dead letter %s means nothing to Bilag, so there is nothing to do again.', dead_letter_id),
    'discard it.');
  return null;
end $$;

comment on function bilag.redrive(bigint) is 'Does again what a dead letter stood for: retries its run, wakes its lane, or sends its event again.';

create or replace function bilag.discard(dead_letter_id bigint, reason text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  letter jsonb := bilag_internal.take_dead_letter(dead_letter_id);
  org_id uuid := (select r.org_id from bilag.export_runs r where r.id = (letter ->> 'runId')::uuid);
begin
  perform bilag_internal.close_dead_letter_alerts();
  if org_id is not null then
    perform bilag_internal.audit(org_id, 'dead_letter.discarded', null, (letter ->> 'runId')::uuid, reason,
      jsonb_build_object('deadLetterId', dead_letter_id));
  end if;
end $$;

comment on function bilag.discard(bigint, text) is 'Archives a dead letter without doing anything about it.';
