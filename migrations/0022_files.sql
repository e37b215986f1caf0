-- The file of a run whose system takes files. It grows with the run: each voucher's piece is kept in the transaction that calls the
-- claim exported, and the end of the run puts the pieces together, in the transaction that ends it. So no worker ever holds a whole
-- file, and there is no moment at which a claim is exported and its voucher is nowhere.

create table bilag_internal.files_begun (
  run_id      uuid primary key references bilag.export_runs on delete restrict,
  settings    jsonb not null,
  extension   text,
  media_type  text,
  head        bytea,
  tail        bytea,
  bytes       bigint not null default 0
);

comment on table bilag_internal.files_begun is 'Files of runs that have not ended: what stands around their vouchers.';
comment on column bilag_internal.files_begun.settings is 'The settings that its first batch had: a file is written in one format, whatever somebody changes meanwhile.';
comment on column bilag_internal.files_begun.bytes is 'How much its pieces are together.';

create table bilag_internal.file_pieces (
  item_id  bigint primary key references bilag.export_items on delete restrict,
  content  bytea not null
);

comment on table bilag_internal.file_pieces is 'Vouchers as they stand in the file of their run, until the run ends.';

-- A file is written once and read as a whole: not worth the time to compress it in the call that ends the run.
alter table bilag.export_files alter column content set storage external;

-- PostgREST answers a scalar of a domain of this name as raw bytes, of the type that response.headers say.
create domain bilag."*/*" as bytea;

comment on domain bilag."*/*" is 'Bytes of any media type, as PostgREST answers them.';
