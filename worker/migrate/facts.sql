-- What rooms may have asked the server about. When it changes, they are applied again.
select coalesce(string_agg(e.extname, ' ' order by e.extname collate "C"), '')
from pg_extension e
where e.extname in ('pgmq', 'supabase_vault')
  or e.extname = 'pg_cron' and (select has_schema_privilege(n.oid, 'usage') from pg_namespace n where n.nspname = 'cron')
