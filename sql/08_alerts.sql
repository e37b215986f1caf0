-- Alerts are opened once per problem, counted while it lasts, and resolved by evidence.

create or replace function bilag_internal.raise_alert(
  kind text, problem_key text, org_id uuid, integration_type text, message text, details jsonb default '{}'
) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  insert into bilag.alerts as a (kind, problem_key, org_id, integration_type, message, details, opened_at, last_seen_at)
  values (kind, problem_key, org_id, integration_type, message, coalesce(details, '{}'), bilag_internal.now(), bilag_internal.now())
  on conflict (kind, problem_key) where resolved_at is null do update
    set count = a.count + 1, last_seen_at = excluded.last_seen_at, message = excluded.message, details = excluded.details
$$;

comment on function bilag_internal.raise_alert(text, text, uuid, text, text, jsonb) is
  'Opens an alert, or counts the open one of the same problem.';

create or replace function bilag_internal.resolve_alert(kind text, problem_key text, resolution text) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  update bilag.alerts a
  set resolved_at = bilag_internal.now(), resolution = resolve_alert.resolution
  where a.kind = resolve_alert.kind and a.problem_key = resolve_alert.problem_key and a.resolved_at is null
$$;

comment on function bilag_internal.resolve_alert(text, text, text) is 'Closes the open alert of a problem, naming the evidence.';
