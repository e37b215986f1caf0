-- What was set aside, and the two things a person can do with it.

create or replace function bilag.redrive(dead_letter_id bigint) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  letter jsonb := bilag_internal.take_dead_letter(dead_letter_id);
begin
  if letter ->> 'runId' is not null then
    return 'run ' || bilag.retry_export((letter ->> 'runId')::uuid);
  end if;
  if letter ->> 'integrationId' is not null then
    perform bilag_internal.wake_lanes(array[(letter ->> 'integrationId')::uuid]);
    return 'integration ' || (letter ->> 'integrationId');
  end if;
  perform bilag_internal.complain('KB004', format('Dead letter %s means nothing to Bilag, so there is nothing to do again.', dead_letter_id),
    'discard it.');
  return null;
end $$;

comment on function bilag.redrive(bigint) is 'Does again what a dead letter stood for: retries its run, or wakes its lane.';

create or replace function bilag.discard(dead_letter_id bigint, reason text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  letter jsonb := bilag_internal.take_dead_letter(dead_letter_id);
  org_id uuid := (select r.org_id from bilag.export_runs r where r.id = (letter ->> 'runId')::uuid);
begin
  if org_id is not null then
    perform bilag_internal.audit(org_id, 'dead_letter.discarded', null, (letter ->> 'runId')::uuid, reason,
      jsonb_build_object('deadLetterId', dead_letter_id));
  end if;
end $$;

comment on function bilag.discard(bigint, text) is 'Archives a dead letter without doing anything about it.';
