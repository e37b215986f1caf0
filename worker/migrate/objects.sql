-- What of the kinds that rooms define is in Bilag's two schemas, and a fingerprint of each as the catalogue holds it, with what
-- the roles that Bilag knows may do with it. Privileges of other roles are their owner's affair and no drift.
select o.classid, o.objid, i.type as kind,
  case when o.classid = 'pg_proc'::regclass then o.objid::regprocedure::text else i.identity end as identity,
  md5(o.state) as state
from (
  select 'pg_proc'::regclass::oid as classid, p.oid as objid, pg_get_functiondef(p.oid) || coalesce((
    select string_agg(concat_ws('=', r.rolname, a.privilege_type), ' ' order by r.rolname collate "C", a.privilege_type collate "C")
    from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a left join pg_roles r on r.oid = a.grantee
    where a.grantee = 0 or r.rolname in ('anon', 'authenticated', 'service_role', 'bilag_worker', 'bilag_observer')), '') as state
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where n.nspname in ('bilag', 'bilag_internal') and p.prokind in ('f', 'p')
  union all
  select 'pg_class'::regclass, c.oid, concat_ws(' ', pg_get_viewdef(c.oid), c.reloptions::text, (
    select string_agg(concat_ws('=', r.rolname, a.privilege_type), ' ' order by r.rolname collate "C", a.privilege_type collate "C")
    from aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a left join pg_roles r on r.oid = a.grantee
    where a.grantee = 0 or r.rolname in ('anon', 'authenticated', 'service_role', 'bilag_worker', 'bilag_observer')))
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname in ('bilag', 'bilag_internal') and c.relkind = 'v'
  union all
  select 'pg_trigger'::regclass, t.oid, concat_ws(' ', pg_get_triggerdef(t.oid), t.tgenabled)
  from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
  where n.nspname in ('bilag', 'bilag_internal') and not t.tgisinternal and t.tgparentid = 0
  union all
  select 'pg_policy'::regclass, y.oid, concat_ws(' ', y.polcmd, y.polpermissive,
    (select string_agg(coalesce(r.rolname, 'public'), ' ' order by r.rolname collate "C")
     from unnest(y.polroles) m (id) left join pg_roles r on r.oid = m.id),
    'using', pg_get_expr(y.polqual, y.polrelid), 'check', pg_get_expr(y.polwithcheck, y.polrelid))
  from pg_policy y join pg_class c on c.oid = y.polrelid join pg_namespace n on n.oid = c.relnamespace
  where n.nspname in ('bilag', 'bilag_internal')
) o
cross join lateral pg_identify_object(o.classid, o.objid, 0) i
