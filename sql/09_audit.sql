-- The audit: one link per event, sequence and hash given under the lock of the organisation's head row, always the last lock
-- that a verb takes. UPDATE, DELETE and TRUNCATE are refused to everyone.

create or replace function bilag_internal.audit_many(entries bilag_internal.audit_entry[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  round integer := 0;
  moment timestamptz := bilag_internal.now();
  who uuid := bilag_internal.caller();
begin
  if coalesce(cardinality(entries), 0) = 0 then
    return;
  end if;
  insert into bilag_internal.audit_heads (org_id)
  select distinct e.org_id from unnest(entries) as e
  where not exists (select from bilag_internal.audit_heads h where h.org_id = e.org_id)
  order by e.org_id
  on conflict do nothing;
  perform from bilag_internal.audit_heads h
  where h.org_id in (select e.org_id from unnest(entries) as e) order by h.org_id for update;
  -- The n-th entry of every organisation in the n-th round: set-based across organisations, a chain within each.
  loop
    round := round + 1;
    with link as (
      select e.*, h.sequence + 1 as sequence, h.hash as previous_hash,
        bilag_internal.audit_hash(h.hash, e.org_id, h.sequence + 1, moment, e.action, e.integration_type, e.run_id,
          session_user::text, who, e.note, e.details, e.vouchers_sha256) as hash
      from (
        select u.*, row_number() over (partition by u.org_id order by u.n) as nth
        from unnest(entries) with ordinality as u (org_id, action, integration_type, run_id, note, details, vouchers_sha256, n)
      ) as e
      join bilag_internal.audit_heads h on h.org_id = e.org_id
      where e.nth = round
    ), added as (
      insert into bilag.bufdir_export_audit_log (
        org_id, sequence, occurred_at, action, integration_type, run_id, acted_as, user_id, note, details, vouchers_sha256,
        previous_hash, hash)
      select l.org_id, l.sequence, moment, l.action, l.integration_type, l.run_id, session_user, who, l.note, l.details, l.vouchers_sha256, l.previous_hash, l.hash
      from link l
    )
    update bilag_internal.audit_heads h set sequence = l.sequence, hash = l.hash from link l where h.org_id = l.org_id;
    exit when not found or round >= cardinality(entries);
  end loop;
end $$;

comment on function bilag_internal.audit_many(bilag_internal.audit_entry[]) is 'Appends links to the chains of many organisations.';

create or replace function bilag_internal.audit_hash(
  previous_hash bytea, org_id uuid, sequence bigint, occurred_at timestamptz, action text, integration_type text, run_id uuid,
  acted_as text, user_id uuid, note text, details jsonb, vouchers_sha256 bytea
) returns bytea
language sql stable
as $$
  select sha256(previous_hash || convert_to(jsonb_build_array(
    org_id, sequence, extract(epoch from occurred_at), action, integration_type, run_id, acted_as, user_id, note, details,
    encode(vouchers_sha256, 'hex'))::text, 'UTF8'))
$$;

comment on function bilag_internal.audit_hash(bytea, uuid, bigint, timestamptz, text, text, uuid, text, uuid, text, jsonb, bytea) is
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

create or replace function bilag.verify_audit(org_id uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  with links as (
    select a.*, lag(a.hash, 1, ''::bytea) over (order by a.sequence) as before, row_number() over (order by a.sequence) as n
    from bilag.bufdir_export_audit_log a where a.org_id = verify_audit.org_id
  ), broken as (
    select l.sequence, case
      when l.sequence <> l.n then format('Link %s is missing.', l.n)
      when l.previous_hash <> l.before then format('Link %s does not follow the one before it.', l.sequence)
      else format('Link %s was changed.', l.sequence) end as fault
    from links l
    where l.sequence <> l.n or l.previous_hash <> l.before or l.hash <> bilag_internal.audit_hash(
      l.previous_hash, l.org_id, l.sequence, l.occurred_at, l.action, l.integration_type, l.run_id, l.acted_as, l.user_id, l.note,
      l.details, l.vouchers_sha256)
    order by l.sequence limit 1
  )
  select coalesce((select b.fault from broken b), case
    when (select h.sequence from bilag_internal.audit_heads h where h.org_id = verify_audit.org_id)
      > coalesce((select max(l.sequence) from links l), 0) then 'The last links are missing.' end)
$$;

comment on function bilag.verify_audit(uuid) is 'Null when the organisation''s chain is whole, else a sentence on its first broken link.';
