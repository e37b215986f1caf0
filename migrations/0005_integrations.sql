-- Which accounting systems exist (adapters announce themselves), which organisation uses which, and how its
-- expense categories become accounts there. An integration is named by (org_id, integration_type) everywhere;
-- its id appears in the name of its secret only, integration_{id}_api_key.

create table bilag.integration_types (
  integration_type     text primary key,
  display_name         text not null,
  settings_schema      jsonb not null default '{}',
  vouchers_per_batch   integer not null,
  lines_per_batch      integer not null,
  parallel_calls       integer not null default 1,
  finds                boolean not null default true,
  confirms_later       boolean not null default false,
  needs_credential     boolean not null default true,
  foreign_currency     boolean not null default false,
  own_currency_when    jsonb not null default '{}',
  makes_file           boolean not null default false,
  absence_after        interval,
  hosts                text[] not null default '{}',
  allowed_hosts        text[] not null default '{}',
  identity_settings    text[] not null default '{}',
  announced_at         timestamptz not null default now(),
  constraint key_is_lower_case check (integration_type ~ '^[a-z][a-z0-9_]{0,39}$'),
  constraint a_batch_holds_something check (vouchers_per_batch > 0 and lines_per_batch > 1)
);

alter table bilag.integration_types enable row level security;

comment on table bilag.integration_types is 'Accounting systems that Bilag can book in, as their adapters announced them.';
comment on column bilag.integration_types.settings_schema is 'JSON schema of integration_config.settings; checked at INSERT and UPDATE.';
comment on column bilag.integration_types.own_currency_when is 'Settings with which only the ledger''s own currency is booked, although foreign_currency is true.';
comment on column bilag.integration_types.absence_after is 'How long after an unanswered write a look-up that finds nothing may be believed; null: never.';
comment on column bilag.integration_types.hosts is 'The vendor''s own hosts.';
comment on column bilag.integration_types.allowed_hosts is 'Other hosts that allow_host() has permitted.';
comment on column bilag.integration_types.identity_settings is 'Settings that decide which ledger is reached; frozen while anything is unsettled.';

create table bilag.integration_config (
  id                     uuid primary key default gen_random_uuid(),
  org_id                 uuid not null references bilag.organizations on delete restrict,
  integration_type       text not null references bilag.integration_types on delete restrict,
  display_name           text,
  settings               jsonb not null default '{}',
  enabled                boolean not null default true,
  health_mode            text not null default 'active',
  passive_until          timestamptz,
  books                  boolean not null default true,
  export_from            timestamptz not null default now(),
  books_closed_until     date,
  paused_at              timestamptz,
  paused_until           timestamptz,
  paused_reason_code     text,
  paused_reason          text,
  credential_version     integer not null default 0,
  credential_expires_at  timestamptz,
  created_at             timestamptz not null default now(),
  updated_at             timestamptz not null default now(),
  constraint one_integration_of_a_type_per_organisation unique (org_id, integration_type),
  constraint settings_are_an_object check (jsonb_typeof(settings) = 'object'),
  constraint health_mode_is_known check (health_mode in ('active', 'passive')),
  constraint books_closed_until_is_a_plausible_day check (books_closed_until between '1900-01-01' and '2200-01-01')
);

create index integration_config_by_type on bilag.integration_config (integration_type);
create index credentials_that_expire on bilag.integration_config (credential_expires_at) where credential_expires_at is not null;
create index passive_for_a_day on bilag.integration_config (passive_until) where passive_until is not null;

alter table bilag.integration_config enable row level security;

comment on table bilag.integration_config is 'An organisation''s connection to one accounting system. Disabled, never deleted.';
comment on column bilag.integration_config.settings is 'Configuration without secrets, checked against integration_types.settings_schema.';
comment on column bilag.integration_config.health_mode is 'active: checked each 15 minutes; passive: its health follows real exports.';
comment on column bilag.integration_config.passive_until is
  'Set when a check was answered with a rate limit: passive until then. Null while passive: a person chose it, and a person ends it.';
comment on column bilag.integration_config.books is 'False: an explicit copy. A claim is held by at most one booking integration.';
comment on column bilag.integration_config.export_from is 'Claims approved earlier are not ours: no history is booked twice.';
comment on column bilag.integration_config.books_closed_until is 'Last day of the closed period; posting dates in it move or are rejected (setting closed_period).';
comment on column bilag.integration_config.credential_version is 'Counts every change of the credential; a pause for a bad one ends when it changes.';

create table bilag.account_mappings (
  org_id            uuid not null references bilag.organizations on delete restrict,
  integration_type  text not null references bilag.integration_types on delete restrict,
  category          text not null,
  account_code      text not null,
  vat_code          text,
  dimensions        jsonb not null default '{}',
  valid_from        date not null default '-infinity',
  created_at        timestamptz not null default now(),
  primary key (org_id, integration_type, category, valid_from),
  constraint account_code_is_not_empty check (account_code <> ''),
  constraint category_has_at_most_two_hundred_characters check (length(category) <= 200),
  constraint dimensions_are_an_object check (jsonb_typeof(dimensions) = 'object'),
  constraint dimensions_are_flat check (not jsonb_path_exists(dimensions, '$.* ? (@.type() == "object" || @.type() == "array")'))
);

create index account_mappings_by_type on bilag.account_mappings (integration_type);

alter table bilag.account_mappings enable row level security;

comment on table bilag.account_mappings is 'Expense category to account: on each date the row with the latest valid_from applies.';
