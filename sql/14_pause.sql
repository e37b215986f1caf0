-- Holding an integration back, and letting it go on. What is paused keeps its runs; nothing is lost by waiting.

create or replace function bilag_internal.pause(
  integration_ids uuid[], reason_code text, reason text, until timestamptz default null
) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  update bilag.integration_config c
  set paused_at = bilag_internal.now(), paused_until = pause.until,
    paused_reason_code = pause.reason_code, paused_reason = pause.reason
  where c.id = any(integration_ids)
$$;

comment on function bilag_internal.pause(uuid[], text, text, timestamptz) is 'Pauses integrations, saying why.';

create or replace function bilag_internal.resume(integration_ids uuid[]) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  update bilag.integration_config c
  set paused_at = null, paused_until = null, paused_reason_code = null, paused_reason = null
  where c.id = any(integration_ids) and c.paused_at is not null
$$;

comment on function bilag_internal.resume(uuid[]) is 'Ends the pause of integrations.';

create or replace function bilag.pause_integration(
  org_id uuid, integration_type text, reason text, until timestamptz default null
) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  integration bilag.integration_config;
begin
  perform bilag_internal.require_finance(org_id);
  integration := bilag_internal.lock_lane(org_id, integration_type);
  -- It would be over as it begins, and whoever asked for it would believe that nothing is sent.
  if until <= bilag_internal.now() then
    perform bilag_internal.complain('KB001', format('A pause until %s is over already.', until), 'Give a time that is to come, or null: until resume_integration.');
  end if;
  perform bilag_internal.pause(array[integration.id], 'paused_by_person', reason, until);
  perform bilag_internal.audit(org_id, 'integration.paused', integration_type, null, reason,
    jsonb_build_object('until', until));
end $$;

comment on function bilag.pause_integration(uuid, text, text, timestamptz) is
  'Holds an integration back, until a time or until resume_integration. Its runs wait.';

create or replace function bilag.resume_integration(org_id uuid, integration_type text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  integration bilag.integration_config;
begin
  perform bilag_internal.require_finance(org_id);
  integration := bilag_internal.lock_lane(org_id, integration_type);
  perform bilag_internal.resume(array[integration.id]);
  perform bilag_internal.resolve_alert('credential', integration.id::text, 'resumed by a person');
  perform bilag_internal.audit(org_id, 'integration.resumed', integration_type);
end $$;

comment on function bilag.resume_integration(uuid, text) is 'Ends a pause, whatever its reason.';

create or replace function bilag_internal.audit_everywhere(action text, note text default null, details jsonb default '{}') returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  select bilag_internal.audit_many(array(
    select (c.org_id, action, null, null, note, coalesce(details, '{}'), null)::bilag_internal.audit_entry
    from (select distinct x.org_id from bilag.integration_config x) as c order by c.org_id), patient => false)
$$;

comment on function bilag_internal.audit_everywhere(text, text, jsonb) is
  'What happens to the whole installation is a link in the chain of every organisation that has an integration.';

create or replace function bilag.pause_everything(reason text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  update bilag.installation i set paused_at = bilag_internal.now(), paused_reason = pause_everything.reason;
  perform bilag_internal.audit_everywhere('installation.paused', pause_everything.reason);
end $$;

comment on function bilag.pause_everything(text) is 'Stops every export of the installation before its next batch. For service_role and the owner.';

create or replace function bilag.resume_everything() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  update bilag.installation i set paused_at = null, paused_reason = null;
  perform bilag_internal.audit_everywhere('installation.resumed');
  perform pg_notify('bilag_wake', '');
end $$;

comment on function bilag.resume_everything() is 'Lets exports go on after pause_everything.';

create or replace function bilag_internal.everything_paused(out since timestamptz, out why text)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  -- The reason is the operator's word, and may name another organisation.
  select i.paused_at, 'All exports are paused' || coalesce(': ' || case when bilag_internal.is_service() then i.paused_reason end, '.')
  from bilag.installation i where i.paused_at is not null
$$;

comment on function bilag_internal.everything_paused() is 'Since when and why all exports are paused; nulls when they are not. For views.';
