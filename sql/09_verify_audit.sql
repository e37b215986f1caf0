-- Does the audit still say what it said? Who owns the database can switch triggers off. What that leaves to be noticed: a link that
-- was changed, taken out, added or moved, by its hash; a tail that was cut off, by the head; head and tail together, by runs whose
-- end no link tells of; a chain that was written anew as a whole, by whoever noted one of its hashes elsewhere.

create or replace function bilag_internal.chain_fault(org_id uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  with links as (
    select a.*, lag(a.hash, 1, ''::bytea) over (order by a.sequence) as before, row_number() over (order by a.sequence) as n
    from bilag.bufdir_export_audit_log a where a.org_id = chain_fault.org_id
  )
  select case
    when l.sequence <> l.n then format('Link %s is missing.', l.n)
    when l.previous_hash <> l.before then format('Link %s does not follow the one before it.', l.sequence)
    else format('Link %s was changed.', l.sequence) end
  from links l
  where l.sequence <> l.n or l.previous_hash <> l.before or l.hash <> bilag_internal.audit_hash(
    l.previous_hash, l.id, l.org_id, l.sequence, l.occurred_at, l.action, l.integration_type, l.run_id, l.acted_as, l.user_id, l.note,
    l.details, l.vouchers_sha256)
  order by l.sequence limit 1
$$;

comment on function bilag_internal.chain_fault(uuid) is 'One sentence on the first link that does not fit, or null.';

create or replace function bilag_internal.tail_fault(org_id uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select case
    when h.org_id is null and l.sequence is not null then 'The head of the chain is missing: whether links are missing after it cannot be told.'
    when h.sequence > coalesce(l.sequence, 0) then format('Link %s is missing, and every one after it.', coalesce(l.sequence, 0) + 1)
    when h.sequence < l.sequence then format('Link %s was added.', h.sequence + 1)
    when h.hash <> coalesce(l.hash, '') then format('Link %s is not the one that was written last.', l.sequence)
  end
  from (select tail_fault.org_id) as o
  left join bilag_internal.audit_heads h on h.org_id = o.org_id
  left join lateral (
    select a.sequence, a.hash from bilag.bufdir_export_audit_log a where a.org_id = o.org_id order by a.sequence desc limit 1
  ) as l on true
$$;

comment on function bilag_internal.tail_fault(uuid) is 'One sentence on how the chain''s end differs from its head, or null.';

create or replace function bilag_internal.unrecorded_run(org_id uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select format('Run %s ended at %s, and no link says so.', r.id, to_char(r.finished_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'))
  from bilag.export_runs r
  where r.org_id = unrecorded_run.org_id and r.finished_at is not null
    and not exists (select from bilag.bufdir_export_audit_log a where a.run_id = r.id and a.org_id = r.org_id and a.action = 'run.' || r.status)
    and not exists (select from bilag_internal.audit_waiting w where w.org_id = r.org_id and (w.entry).run_id = r.id)
  order by r.finished_at, r.id limit 1
$$;

comment on function bilag_internal.unrecorded_run(uuid) is
  'One sentence on the first run whose end the chain does not tell of: the trace of a tail that was cut off together with its head.';

create or replace function bilag.verify_audit(org_id uuid, known_hash text default null) returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
  known bytea;
begin
  if not exists (select from bilag.organizations o where o.id = verify_audit.org_id) then
    perform bilag_internal.complain('KB002', format('There is no organisation %s.', coalesce(verify_audit.org_id::text, 'null')),
      'select id, name from bilag.organizations;');
  end if;
  if known_hash !~ '^([0-9a-fA-F]{2}){32}$' then
    perform bilag_internal.complain('KB001', 'The known hash is not a sha256 in hexadecimal.',
      'Note one by: select sequence, encode(hash, ''hex'') from bilag.bufdir_export_audit_log where org_id = … order by sequence desc limit 1;');
  end if;
  known := decode(known_hash, 'hex');
  return coalesce(bilag_internal.chain_fault(verify_audit.org_id), bilag_internal.tail_fault(verify_audit.org_id),
    bilag_internal.unrecorded_run(verify_audit.org_id),
    case when known is not null and not exists (
        select from bilag.bufdir_export_audit_log a where a.org_id = verify_audit.org_id and a.hash = known)
      then 'No link has the known hash: the chain was written anew.' end);
end $$;

comment on function bilag.verify_audit(uuid, text) is
  'Null when the organisation''s chain is whole, else a sentence on its first broken link. A hash that was noted elsewhere must still be in it.';
