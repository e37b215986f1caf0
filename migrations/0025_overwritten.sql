-- A database that is overwritten by an older dump of itself is on the same server, on the same timeline, under the same name. But its
-- tables are new: pg_restore made them, and gave them other numbers.
alter table bilag.installation add column table_oid oid;

comment on column bilag.installation.table_oid is
  'The oid of this table when it was last seen: another one means that the tables were made anew, by a restore into the same database.';

-- Hot tables that had no settings of their own: nearly always small, and rewritten all day long.
alter table bilag.webhook_deliveries set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
alter table bilag.alerts set (autovacuum_vacuum_scale_factor = 0.05);
alter table bilag.reconciliations set (autovacuum_vacuum_scale_factor = 0.05);
alter table bilag.installation set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
alter table bilag.webhook set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
alter table bilag_internal.alerts_waiting set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
alter table bilag_internal.health_rounds set (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 200);
alter table bilag_internal.health_requests set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
alter table bilag_internal.health_pruning set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
alter table bilag_internal.file_pieces set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
