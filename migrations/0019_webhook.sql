-- One signed webhook for the whole installation: where it goes, and what is on its way there. An event waits in the queue until a
-- worker takes it; from then on it is a row here, with its attempts, until the receiver has said that it has it.

create table bilag.webhook (
  singleton      boolean primary key default true,
  url            text not null,
  events         text[] not null,
  enabled        boolean not null default true,
  failures       integer not null default 0,
  delivered_at   timestamptz,
  failing_since  timestamptz,
  last_error     text,
  updated_at     timestamptz not null,
  constraint there_is_one_webhook check (singleton),
  constraint url_is_http check (url ~* '^https?://'),
  constraint events_are_known check (
    cardinality(events) > 0 and events <@ array['alert.opened', 'alert.resolved', 'run.finished', 'claims.changed'])
);

alter table bilag.webhook enable row level security;

comment on table bilag.webhook is 'At most one row: where events are sent. Written by bilag.set_webhook(); its secret is in Vault.';
comment on column bilag.webhook.enabled is 'False holds events back; they are sent when it is true again.';
comment on column bilag.webhook.failures is 'Deliveries in a row that failed; from five on, one event at a time is tried.';

create table bilag.webhook_deliveries (
  event_id     uuid primary key,
  message      jsonb not null,
  attempt      integer not null default 0,
  due_at       timestamptz not null,
  lease_until  timestamptz,
  last_error   text,
  taken_at     timestamptz not null
) with (fillfactor = 70);

create index webhook_deliveries_by_time on bilag.webhook_deliveries (due_at);

alter table bilag.webhook_deliveries enable row level security;

comment on table bilag.webhook_deliveries is 'Events that were tried, or are being tried, and have not arrived.';
comment on column bilag.webhook_deliveries.event_id is 'The webhook-id of every attempt: a receiver drops what it has seen.';
comment on column bilag.webhook_deliveries.message is 'What happened, by ids; the body is made of it anew for each attempt.';
comment on column bilag.webhook_deliveries.lease_until is 'A worker has it until then; if nothing is heard of it, it is tried again.';

select pgmq.create('bilag_webhooks');
