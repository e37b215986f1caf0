-- Who may do what with ours. Room 99 takes everything from the roles that Bilag knows and gives to each by name what it needs. What
-- other roles were granted is their owner's affair: it outlives a view or function that has to be made anew.

create function bilag_migrate.take_back() returns void
language plpgsql volatile as $bilag$
declare
  ours text;
begin
  for ours in
    select 'schema bilag, bilag_internal'
    union all
    select 'routine ' || string_agg(o.objid::regprocedure::text, ', ')
    from bilag_migrate.ours o where o.classid = 'pg_proc'::regclass having count(*) > 0
    union all
    select 'table ' || string_agg(c.oid::regclass::text, ', ')
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('bilag', 'bilag_internal') and (c.relkind in ('r', 'p', 'S')
      or exists (select from bilag_migrate.ours o where (o.classid, o.objid) = ('pg_class'::regclass, c.oid)))
    having count(*) > 0
  loop
    execute format('revoke all on %s from public, anon, authenticated, service_role, bilag_worker, bilag_observer', ours);
  end loop;
end $bilag$;

create table bilag_migrate.before as
  select o.classid, o.objid from bilag_migrate.ours o;

create table bilag_migrate.granted as
  select o.classid, o.objid, x.nspname, x.name, r.rolname, a.privilege_type, a.is_grantable
  from bilag_migrate.ours o
  join (
    select 'pg_proc'::regclass::oid as classid, p.oid as objid, n.nspname, p.proname as name, p.proacl as acl, p.proowner as owner
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    union all
    select 'pg_class'::regclass, c.oid, n.nspname, c.relname, c.relacl, c.relowner
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
  ) x using (classid, objid)
  cross join lateral aclexplode(x.acl) a
  join pg_roles r on r.oid = a.grantee
  where a.grantee <> x.owner and r.rolname not in ('anon', 'authenticated', 'service_role', 'bilag_worker', 'bilag_observer');

create function bilag_migrate.grant_again() returns void
language plpgsql volatile as $bilag$
declare
  statement text;
begin
  for statement in
    select distinct format('grant %s on %s to %I%s', g.privilege_type, x.object, g.rolname,
      case when g.is_grantable then ' with grant option' else '' end)
    from bilag_migrate.granted g
    join (
      select o.classid, o.objid, n.nspname, p.proname as name, 'routine ' || p.oid::regprocedure as object
      from bilag_migrate.ours o join pg_proc p on p.oid = o.objid join pg_namespace n on n.oid = p.pronamespace
      where o.classid = 'pg_proc'::regclass
      union all
      select o.classid, o.objid, n.nspname, c.relname, 'table ' || c.oid::regclass
      from bilag_migrate.ours o join pg_class c on c.oid = o.objid join pg_namespace n on n.oid = c.relnamespace
      where o.classid = 'pg_class'::regclass
    ) x using (classid, nspname, name)
    where not exists (select from bilag_migrate.ours o where (o.classid, o.objid) = (g.classid, g.objid))
      and not exists (select from bilag_migrate.before b where (b.classid, b.objid) = (x.classid, x.objid))
  loop
    execute statement;
  end loop;
end $bilag$;
