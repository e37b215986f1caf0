-- What is not Bilag's and would fall with its schemas: things of others outside that lean on something inside, and things of others
-- inside. %(nouns)s names the tables and types that migrations make; what rooms made is in bilag_internal.verb_objects.
with recursive schemas as (
  select n.oid, n.nspname from pg_namespace n where n.nspname in ('bilag', 'bilag_internal', 'bilag_hooks')
), fall (classid, objid) as (
  select d.classid, d.objid from pg_depend d
  where d.refclassid = 'pg_namespace'::regclass and d.refobjid in (select s.oid from schemas s) and d.deptype in ('n', 'a')
  union
  select d.classid, d.objid
  from fall f
  cross join lateral (
    select l.classid, l.objid from pg_depend l
    where l.refclassid = f.classid and l.refobjid = f.objid and l.deptype in ('n', 'a', 'i', 'P', 'S')
    union
    -- A view's rule is a part of it: with the part goes the whole.
    select w.refclassid, w.refobjid from pg_depend w where w.classid = f.classid and w.objid = f.objid and w.deptype = 'i'
  ) d
), placed as (
  select f.classid, f.objid, case f.classid
      when 'pg_class'::regclass then (select c.relnamespace from pg_class c where c.oid = f.objid)
      when 'pg_proc'::regclass then (select p.pronamespace from pg_proc p where p.oid = f.objid)
      when 'pg_type'::regclass then (select t.typnamespace from pg_type t where t.oid = f.objid)
      when 'pg_constraint'::regclass then (select k.connamespace from pg_constraint k where k.oid = f.objid)
      when 'pg_trigger'::regclass then (select c.relnamespace from pg_trigger t join pg_class c on c.oid = t.tgrelid where t.oid = f.objid)
      when 'pg_policy'::regclass then (select c.relnamespace from pg_policy p join pg_class c on c.oid = p.polrelid where p.oid = f.objid)
      when 'pg_rewrite'::regclass then (select c.relnamespace from pg_rewrite r join pg_class c on c.oid = r.ev_class where r.oid = f.objid)
      when 'pg_attrdef'::regclass then (select c.relnamespace from pg_attrdef a join pg_class c on c.oid = a.adrelid where a.oid = f.objid)
    end as place
  from fall f
  where f.classid <> 'pg_default_acl'::regclass
), others as (
  select p.classid, p.objid from placed p
  where p.place is null or not exists (select from schemas s where s.oid = p.place) and p.place <> 'pg_toast'::regnamespace
  union
  select o.classid, o.objid from ({objects}) o
  where not exists (select from bilag_internal.verb_objects v where (v.kind, v.identity) = (o.kind, o.identity))
  union
  select 'pg_proc'::regclass, p.oid from pg_proc p
  where p.pronamespace = to_regnamespace('bilag_hooks') and p.proname <> 'memberships'
  union
  select 'pg_class'::regclass, c.oid from pg_class c join schemas s on s.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'm', 'f', 'S') and s.nspname || '.' || c.relname <> all (%(nouns)s)
    and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i')
      and d.refclassid = 'pg_class'::regclass)
  union
  select 'pg_type'::regclass, t.oid from pg_type t join schemas s on s.oid = t.typnamespace
  left join pg_class c on c.oid = t.typrelid
  where (t.typtype in ('d', 'e', 'r') or c.relkind = 'c') and s.nspname || '.' || t.typname <> all (%(nouns)s)
)
select distinct pg_describe_object(o.classid, o.objid, 0)
from others o
-- A view's rule and row type are parts of the view, a constraint's triggers are parts of the constraint: the whole is named.
where not exists (select from pg_depend d where d.classid = o.classid and d.objid = o.objid and d.deptype = 'i')
  and o.classid not in ('pg_rewrite'::regclass, 'pg_attrdef'::regclass)
order by 1
