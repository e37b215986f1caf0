-- What a migration itself needs before the first noun.

do $$
begin
  if to_regnamespace('bilag_internal') is null then
    create schema bilag_internal;
  end if;
end $$;

create table if not exists bilag_internal.migrations (
  version     integer primary key,
  name        text not null,
  sha256      text not null,
  applied_at  timestamptz not null default now()
);

create table if not exists bilag_internal.verbs (
  id          bigint generated always as identity primary key,
  sha256      text not null,
  facts       text not null,
  applied_at  timestamptz not null default now()
);

create table if not exists bilag_internal.verb_objects (
  kind      text not null,
  identity  text not null,
  source    text not null,
  state     text not null,
  primary key (kind, identity)
);

comment on table bilag_internal.migrations is 'Which nouns this database has. Kept by bilag migrate.';
comment on column bilag_internal.migrations.sha256 is 'Of the file as it was applied: a frozen file that was edited is refused.';
comment on table bilag_internal.verbs is 'When the rooms of sql/ were applied; the last row is what this database runs.';
comment on column bilag_internal.verbs.sha256 is 'Of all rooms and of what the adapters announce.';
comment on column bilag_internal.verbs.facts is 'What the rooms stood on, nouns and extensions: a new table or a newly installed pg_cron applies them again.';
comment on table bilag_internal.verb_objects is 'What the rooms of sql/ made. Only this is ever replaced or dropped; all else is somebody''s own.';
comment on column bilag_internal.verb_objects.source is 'sha256 of the statement that made it.';
comment on column bilag_internal.verb_objects.state is 'md5 of what the catalogue said afterwards: another value means that somebody changed it by hand.';
