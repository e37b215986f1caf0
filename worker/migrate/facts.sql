-- What the rooms were applied to: the extensions that they may ask for, and the nouns. When it changes, they are applied again.
select concat_ws(' ',
  (select string_agg(e.extname, ' ' order by e.extname collate "C")
   from pg_extension e
   where e.extname in ('pgmq', 'supabase_vault')
     or e.extname = 'pg_cron' and (select has_schema_privilege(n.oid, 'usage') from pg_namespace n where n.nspname = 'cron')),
  (select max(m.version) from bilag_internal.migrations m))
