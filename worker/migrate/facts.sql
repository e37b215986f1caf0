-- What rooms may have asked the server about. When it changes, they are applied again.
select coalesce(string_agg(e.extname, ' ' order by e.extname collate "C"), '')
from pg_extension e where e.extname in ('pg_cron', 'pgmq', 'supabase_vault')
