-- What people change of an integration or a schedule decides where, when and from when on money is booked: each change is a link in
-- the chain, with what it was and what it is. Settings hold no secret; a credential's change is told by 16_credentials.sql. An
-- integration is never deleted, and its row says since when it is there. Triggers of the statement, so that whoever changes many takes
-- the heads of the chains last and in their order.

create or replace function bilag_internal.differences(was jsonb, is_now jsonb) returns jsonb
language sql immutable set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_object_agg(k.key, jsonb_build_object('from', was -> k.key, 'to', is_now -> k.key)), '{}')
  from (select jsonb_object_keys(was) as key union select jsonb_object_keys(is_now)) as k
  where was -> k.key is distinct from is_now -> k.key
$$;

comment on function bilag_internal.differences(jsonb, jsonb) is 'Each key that differs: {key: {from, to}}.';

create or replace function bilag_internal.integration_facts(c bilag.integration_config) returns jsonb
language sql stable
as $$
  select c.settings || jsonb_build_object('enabled', c.enabled, 'books', c.books, 'export_from', c.export_from,
    'books_closed_until', c.books_closed_until)
$$;

comment on function bilag_internal.integration_facts(bilag.integration_config) is 'What of an integration decides on its bookings.';

create or replace function bilag_internal.schedule_facts(s bilag.export_schedules) returns jsonb
language sql stable
as $$
  select jsonb_build_object('frequency', s.frequency, 'run_at', s.run_at, 'run_on_day', s.run_on_day, 'time_zone', s.time_zone,
    'missed_run_policy', s.missed_run_policy, 'enabled', s.enabled)
$$;

comment on function bilag_internal.schedule_facts(bilag.export_schedules) is 'What of a schedule people decide.';

create or replace function bilag_internal.integrations_changed() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
  perform bilag_internal.audit_many(array(
    select (n.org_id, 'integration.changed', n.integration_type, null, null, d.differences, null)::bilag_internal.audit_entry
    from new_rows n join old_rows o on o.id = n.id
    cross join lateral bilag_internal.differences(bilag_internal.integration_facts(o), bilag_internal.integration_facts(n)) as d (differences)
    where d.differences <> '{}' order by n.org_id, n.integration_type));
  return null;
end $$;

comment on function bilag_internal.integrations_changed() is 'Records what was changed of integrations; pauses and credentials have links of their own.';

create trigger integrations_changed after update on bilag.integration_config
  referencing old table as old_rows new table as new_rows for each statement execute function bilag_internal.integrations_changed();

create or replace function bilag_internal.schedules_made() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
  perform bilag_internal.audit_many(array(
    select (n.org_id, 'schedule.made', n.integration_type, null, null,
      bilag_internal.schedule_facts(n) || jsonb_build_object('scheduleId', n.id), null)::bilag_internal.audit_entry
    from new_rows n order by n.org_id, n.created_at, n.id));
  return null;
end $$;

comment on function bilag_internal.schedules_made() is 'Records new schedules.';

create trigger schedules_made after insert on bilag.export_schedules
  referencing new table as new_rows for each statement execute function bilag_internal.schedules_made();

create or replace function bilag_internal.schedules_changed() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
  perform bilag_internal.audit_many(array(
    select (n.org_id, 'schedule.changed', n.integration_type, null, null, d.differences || jsonb_build_object('scheduleId', n.id), null
      )::bilag_internal.audit_entry
    from new_rows n join old_rows o on o.id = n.id
    cross join lateral bilag_internal.differences(bilag_internal.schedule_facts(o), bilag_internal.schedule_facts(n)) as d (differences)
    -- The tick moves next_run_at of many at once.
    where (n.frequency, n.run_at, n.run_on_day, n.time_zone, n.missed_run_policy, n.enabled)
      is distinct from (o.frequency, o.run_at, o.run_on_day, o.time_zone, o.missed_run_policy, o.enabled)
    order by n.org_id, n.id));
  return null;
end $$;

comment on function bilag_internal.schedules_changed() is 'Records what people changed of schedules.';

create trigger schedules_changed after update on bilag.export_schedules
  referencing old table as old_rows new table as new_rows for each statement execute function bilag_internal.schedules_changed();

create or replace function bilag_internal.schedules_removed() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
  perform bilag_internal.audit_many(array(
    select (o.org_id, 'schedule.removed', o.integration_type, null, null,
      bilag_internal.schedule_facts(o) || jsonb_build_object('scheduleId', o.id), null)::bilag_internal.audit_entry
    from old_rows o order by o.org_id, o.id));
  return null;
end $$;

comment on function bilag_internal.schedules_removed() is 'Records schedules that were deleted.';

create trigger schedules_removed after delete on bilag.export_schedules
  referencing old table as old_rows for each statement execute function bilag_internal.schedules_removed();
