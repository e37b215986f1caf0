-- What the rooms were applied to: the extensions that they may ask for, the nouns, and what the roles that Bilag knows may do with
-- those. When it changes, they are applied again.
select concat_ws(' ',
  (select string_agg(e.extname, ' ' order by e.extname collate "C")
   from pg_extension e
   where e.extname in ('pgmq', 'supabase_vault')
     or e.extname = 'pg_cron' and (select has_schema_privilege(n.oid, 'usage') from pg_namespace n where n.nspname = 'cron')),
  (select max(m.version) from bilag_internal.migrations m),
  (select md5(string_agg(concat_ws(' ', x.object, coalesce(r.rolname, 'public'), a.privilege_type), ',' order by x.object collate "C",
     r.rolname collate "C", a.privilege_type collate "C"))
   from (
     select n.nspname::text as object, n.nspacl as acl from pg_namespace n where n.nspname in ('bilag', 'bilag_internal')
     union all
     select c.oid::regclass::text, c.relacl
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('bilag', 'bilag_internal') and c.relkind in ('r', 'p', 'S')
     union all
     select concat_ws('.', c.oid::regclass, t.attname), t.attacl
     from pg_attribute t join pg_class c on c.oid = t.attrelid join pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('bilag', 'bilag_internal') and c.relkind in ('r', 'p') and t.attnum > 0 and not t.attisdropped
   ) x
   cross join lateral aclexplode(x.acl) a
   left join pg_roles r on r.oid = a.grantee
   where a.grantee = 0 or r.rolname in ('anon', 'authenticated', 'service_role', 'bilag_worker', 'bilag_observer')))
