-- The workers, as their heartbeats show them.

create table bilag.worker_heartbeats (
  worker_id     uuid primary key,
  host          text not null,
  pid           integer not null,
  version       text not null,
  contract      integer not null,
  environment   text not null,
  started_at    timestamptz not null,
  last_seen_at  timestamptz not null,
  running       integer not null default 0
) with (fillfactor = 50);

create index worker_heartbeats_by_time on bilag.worker_heartbeats (last_seen_at);

alter table bilag.worker_heartbeats enable row level security;

comment on table bilag.worker_heartbeats is 'Each worker process: where, which version, when last seen, how many jobs it holds.';
