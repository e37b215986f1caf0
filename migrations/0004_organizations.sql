-- The tenants and who belongs to them. An application with its own members table leaves organization_members
-- empty and replaces the body of bilag_hooks.memberships() instead.

create table bilag.organizations (
  id           uuid primary key default gen_random_uuid(),
  external_id  text,
  name         text not null,
  org_number   text,
  time_zone    text not null default 'Europe/Oslo',
  created_at   timestamptz not null default now(),
  constraint external_id_is_unique unique (external_id),
  constraint org_number_is_unique unique (org_number),
  constraint time_zone_is_known check (('2000-01-01 00:00+00'::timestamptz at time zone time_zone) is not null)
);

alter table bilag.organizations enable row level security;

comment on table bilag.organizations is 'A tenant: one volunteer organisation.';
comment on column bilag.organizations.external_id is 'The application''s own key for the organisation.';
comment on column bilag.organizations.org_number is 'The organisation number in Brønnøysundregistrene, nine digits.';
comment on column bilag.organizations.time_zone is 'Decides which day a claim was approved and when a period ends.';

create table bilag.organization_members (
  org_id      uuid not null references bilag.organizations on delete cascade,
  user_id     uuid not null,
  role        text not null default 'member',
  created_at  timestamptz not null default now(),
  primary key (org_id, user_id),
  constraint role_is_known check (role in ('member', 'finance_admin'))
);

create index organization_members_by_user on bilag.organization_members (user_id);

alter table bilag.organization_members enable row level security;

comment on table bilag.organization_members is 'Who belongs to an organisation, read by the default bilag_hooks.memberships().';
comment on column bilag.organization_members.role is 'member: sees status. finance_admin: moves money.';
