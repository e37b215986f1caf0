-- Who belongs where, as every policy asks it. Made once and never touched again by migrate: an application with its own
-- members table replaces this body, keeping the signature.

create function bilag_hooks.memberships() returns table (org_id uuid, role text)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select m.org_id, m.role from bilag.organization_members m where m.user_id = auth.uid() $$;

comment on function bilag_hooks.memberships() is
  'The organisations of the current caller, with role member or finance_admin. Replace the body to read your own members table.';

revoke all on function bilag_hooks.memberships() from public;
grant usage on schema bilag_hooks to authenticated, service_role;
grant execute on function bilag_hooks.memberships() to authenticated, service_role;
