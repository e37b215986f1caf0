-- The audit: one link per event, sequence and hash given under the lock of the organisation's head row, always the last lock that a
-- verb takes, and one for which the machinery never waits: a person's open transaction must not stop every tenant. UPDATE, DELETE
-- and TRUNCATE are refused to everyone.

create or replace function bilag_internal.audit_many(entries bilag_internal.audit_entry[], patient boolean default true) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  moment timestamptz := bilag_internal.now();
  orgs uuid[];
  held uuid[];
  times timestamptz[];
  actors text[];
  people uuid[];
  round integer := 0;
  rounds integer;
begin
  orgs := array(select distinct e.org_id from unnest(entries) as e union select w.org_id from bilag_internal.audit_waiting w where not patient order by 1);
  if cardinality(orgs) = 0 then
    return;
  end if;
  times := array_fill(moment, array[cardinality(entries)]);
  actors := array_fill(session_user::text, array[cardinality(entries)]);
  people := array_fill(bilag_internal.caller(), array[cardinality(entries)]);
  if patient then
    insert into bilag_internal.audit_heads (org_id)
    select o from unnest(orgs) as o where not exists (select from bilag_internal.audit_heads h where h.org_id = o) order by o
    on conflict do nothing;
    held := array(select h.org_id from bilag_internal.audit_heads h where h.org_id = any(orgs) order by h.org_id for update);
  else
    held := array(select h.org_id from bilag_internal.audit_heads h where h.org_id = any(orgs) order by h.org_id for update skip locked);
    if cardinality(held) < cardinality(orgs) then
      insert into bilag_internal.audit_waiting (org_id, occurred_at, acted_as, user_id, entry)
      select (e.entry).org_id, moment, session_user, bilag_internal.caller(), e.entry
      from (select e::bilag_internal.audit_entry as entry, row_number() over () as n from unnest(entries) as e) as e
      where (e.entry).org_id <> all(held) order by e.n;
    end if;
  end if;

  -- What waited comes first.
  if exists (select from bilag_internal.audit_waiting w where w.org_id = any(held)) then
    with placed as (
      delete from bilag_internal.audit_waiting w where w.org_id = any(held) returning w.*
    )
    select array_agg(p.entry order by p.id) || entries, array_agg(p.occurred_at order by p.id) || times,
      array_agg(p.acted_as order by p.id) || actors, array_agg(p.user_id order by p.id) || people
    into entries, times, actors, people
    from placed p;
  end if;
  select max(c.times) into rounds
  from (select count(*) as times from unnest(entries) as e group by e.org_id) as c;

  -- The n-th entry of every organisation in the n-th round: set-based across organisations, a chain within each.
  while round < rounds loop
    round := round + 1;
    with link as (
      select l.*, h.sequence + 1 as sequence, h.hash as previous_hash,
        bilag_internal.audit_hash(h.hash, l.id, l.org_id, h.sequence + 1, l.occurred_at, l.action, l.integration_type, l.run_id, l.acted_as,
          l.user_id, l.note, l.details, l.vouchers_sha256) as hash
      from (
        select v.*, nextval('bilag.bufdir_export_audit_log_id_seq') as id
        from (
          select e.*, row_number() over (partition by e.org_id order by e.n) as nth
          from rows from (unnest(entries), unnest(times), unnest(actors), unnest(people))
            with ordinality as e (org_id, action, integration_type, run_id, note, details, vouchers_sha256, occurred_at, acted_as, user_id, n)
        ) as v
        where v.nth = round
      ) as l
      join bilag_internal.audit_heads h on h.org_id = l.org_id and h.org_id = any(held)
    ), added as (
      insert into bilag.bufdir_export_audit_log (
        id, org_id, sequence, occurred_at, action, integration_type, run_id, acted_as, user_id, note, details, vouchers_sha256,
        previous_hash, hash)
      overriding system value
      select l.id, l.org_id, l.sequence, l.occurred_at, l.action, l.integration_type, l.run_id, l.acted_as, l.user_id, l.note, l.details,
        l.vouchers_sha256, l.previous_hash, l.hash
      from link l
    )
    update bilag_internal.audit_heads h set sequence = l.sequence, hash = l.hash from link l where h.org_id = l.org_id;
  end loop;
end $$;

comment on function bilag_internal.audit_many(bilag_internal.audit_entry[], boolean) is
  'Appends links to the chains of many organisations. Without patience, what cannot be placed at once waits for its place.';

create or replace function bilag_internal.make_head() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
  insert into bilag_internal.audit_heads (org_id) values (new.id);
  return null;
end $$;

comment on function bilag_internal.make_head() is 'Gives a new organisation the head of its chain, so that nobody has to make it later.';

create trigger make_head after insert on bilag.organizations
  for each row execute function bilag_internal.make_head();

create or replace function bilag_internal.audit_hash(
  previous_hash bytea, id bigint, org_id uuid, sequence bigint, occurred_at timestamptz, action text, integration_type text, run_id uuid,
  acted_as text, user_id uuid, note text, details jsonb, vouchers_sha256 bytea
) returns bytea
language sql stable
as $$
  select sha256(previous_hash || convert_to(jsonb_build_array(
    id, org_id, sequence, extract(epoch from occurred_at), action, integration_type, run_id, acted_as, user_id, note, details,
    encode(vouchers_sha256, 'hex'))::text, 'UTF8'))
$$;

comment on function bilag_internal.audit_hash(bytea, bigint, uuid, bigint, timestamptz, text, text, uuid, text, uuid, text, jsonb, bytea) is
  'The hash of one link; whoever keeps the last one elsewhere can tell if history was rewritten.';

create or replace function bilag_internal.audit(
  org_id uuid, action text, integration_type text default null, run_id uuid default null, note text default null,
  details jsonb default '{}'
) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  select bilag_internal.audit_many(array[
    (org_id, action, integration_type, run_id, note, coalesce(details, '{}'), null)::bilag_internal.audit_entry])
$$;

comment on function bilag_internal.audit(uuid, text, text, uuid, text, jsonb) is 'Appends one link.';

create or replace function bilag_internal.refuse_change() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
  perform bilag_internal.complain('KB006', 'The audit log is append-only.', 'Append a note about it instead.');
  return null;
end $$;

comment on function bilag_internal.refuse_change() is 'Nobody changes the audit log.';

create trigger audit_is_append_only before update or delete on bilag.bufdir_export_audit_log
  for each row execute function bilag_internal.refuse_change();
create trigger audit_is_not_truncated before truncate on bilag.bufdir_export_audit_log
  for each statement execute function bilag_internal.refuse_change();

-- Always: session_replication_role = replica, which hosts let their owners set, switches off every trigger that does not say so.
do $$
begin
  if exists (select from pg_trigger t where t.tgrelid = 'bilag.bufdir_export_audit_log'::regclass and not t.tgisinternal and t.tgenabled <> 'A') then
    alter table bilag.bufdir_export_audit_log enable always trigger audit_is_append_only;
    alter table bilag.bufdir_export_audit_log enable always trigger audit_is_not_truncated;
  end if;
end $$;
