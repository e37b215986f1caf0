-- A database that was restored has forgotten what was sent since its backup. Each tick and each claim asks whether this is still the
-- server that the installation last ran on; where it is not, every unexported claim is looked up before it is sent.

create or replace function bilag_internal.after_migrate() returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$ select bilag_internal.recognise_server() $$;

comment on function bilag_internal.after_migrate() is 'Called by migrate: a dump of a database that no worker has met yet knows where it came from, too.';

create or replace function bilag_internal.server_identity(out system_identifier text, out timeline integer, out database_oid oid, out table_oid oid)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
  select (select c.system_identifier::text from pg_control_system() c),
    -- The timeline is in the name of the WAL file that is written; pg_control_checkpoint() learns of it only at a checkpoint.
    case when not pg_is_in_recovery() then ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer end,
    (select d.oid from pg_database d where d.datname = current_database()),
    -- pg_restore into the same database makes the tables anew, and the row says in which of them it lies.
    (select i.tableoid from bilag.installation i)
  into system_identifier, timeline, database_oid, table_oid;
end $$;

comment on function bilag_internal.server_identity() is 'Which server, which timeline, which database, which tables these are.';

create or replace function bilag_internal.server_is_known() returns boolean
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select (h.system_identifier, h.timeline, h.database_oid, h.table_oid)
      is not distinct from (s.system_identifier, s.timeline, s.database_oid, s.table_oid)
    from bilag.installation h cross join bilag_internal.server_identity() s);
end $$;

comment on function bilag_internal.server_is_known() is 'Whether this is the server that the installation last ran on: asked before anything is handed out.';

create or replace function bilag_internal.recognise_server() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  was bilag.installation;
  now_at record;
begin
  if bilag_internal.server_is_known() then
    return;
  end if;
  select i.* into was from bilag.installation i for update;
  select * into now_at from bilag_internal.server_identity();
  update bilag.installation i
  set system_identifier = now_at.system_identifier, timeline = now_at.timeline, database_oid = now_at.database_oid, table_oid = now_at.table_oid;
  if was.system_identifier is not null
    -- An installation that is older than the column has not written its tables down yet.
    and (was.system_identifier, was.timeline, was.database_oid, coalesce(was.table_oid, now_at.table_oid))
      is distinct from (now_at.system_identifier, now_at.timeline, now_at.database_oid, now_at.table_oid) then
    perform bilag_internal.look_before_sending(bilag_internal.now() - interval '7 days');
    perform bilag_internal.audit_everywhere('installation.recovered', null, jsonb_build_object(
      'since', bilag_internal.now() - interval '7 days', 'noticed', true));
    perform bilag_internal.raise_alert('server_changed', 'installation', null, null,
      case when (was.system_identifier, was.timeline, was.database_oid) is not distinct from (now_at.system_identifier, now_at.timeline, now_at.database_oid)
        then 'The tables were made anew, as a restore does: every unexported claim is looked up before it is sent.'
        else 'The database server is another one than before: every unexported claim is looked up before it is sent.' end,
      jsonb_build_object('was', to_jsonb(was) - 'paused_reason', 'is', to_jsonb(now_at)));
  end if;
end $$;

comment on function bilag_internal.recognise_server() is 'Notices a restore, a clone or a failover: the server, its timeline, the database or its tables are others.';

-- After a restore, what this database does not remember may be booked all the same. Claims approved before are looked up first:
-- those pending now, and those that later runs take.
create or replace function bilag_internal.look_before_sending(since timestamptz) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  update bilag.installation i
  set recover_before = bilag_internal.now() + interval '1 day', recover_since = least(i.recover_since, since);
  perform from bilag.export_lanes l order by l.integration_id for update;
  -- Their hints, too: a claim that noticed the new server has used them up, and a second one changes nothing. The numbers that were
  -- given out in the time that is forgotten are not given again.
  update bilag.export_lanes l
  set lease_token = null, lease_until = null, msg_id = null, voucher_number_last = l.voucher_number_last + 1000;
  perform bilag_internal.rescue_items(array(select l.integration_id from bilag.export_lanes l where l.in_flight));
  -- What was in doubt may have been settled, and sent again, in the time that is forgotten; and a worker that held a lease may use it
  -- to its end. In which vehicle it travels now is not known either.
  update bilag.export_items i set vehicle = null where i.state = 'accepted' and i.next_look_at is not null;
  update bilag.export_items i
  set answered = false, looked_at = null, look_first = true, vehicle = null,
    absent_from = coalesce(bilag_internal.now() + t.absence_after + make_interval(secs => l.lease_seconds), 'infinity')
  from bilag.export_lanes l, bilag.integration_types t
  where i.state = 'in_doubt' and i.next_look_at is not null and l.integration_id = i.integration_id
    and t.integration_type = i.integration_type;
  perform bilag_internal.doubt_recovered(null);
  perform bilag_internal.wake_lanes(array(select l.integration_id from bilag.export_lanes l));
end $$;

comment on function bilag_internal.look_before_sending(timestamptz) is 'For a day, every unexported claim is looked up before it is sent, as far back as this.';

create or replace function bilag_internal.recover(since timestamptz) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if since > bilag_internal.now() then
    perform bilag_internal.complain('KB001', format('%s is in the future.', since), 'Say since when this database may have forgotten what was sent.');
  end if;
  perform bilag_internal.look_before_sending(since);
  perform bilag_internal.audit_everywhere('installation.recovered', null, jsonb_build_object('since', since));
  perform pg_notify('bilag_wake', '');
  return (
    select count(*) from bilag.expense_claims x
    where x.status = 'approved' and not x.booked and x.approved_at < bilag_internal.now() and exists (
      select from bilag.integration_config c where c.org_id = x.org_id and c.books and c.enabled and x.approved_at >= c.export_from));
end $$;

comment on function bilag_internal.recover(timestamptz) is
  'After a restore that nobody noticed: every claim that is approved by now and not known as exported is looked up before it is sent. Returns how many. For the owner.';

create or replace function bilag_internal.doubt_recovered(run_ids uuid[]) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  update bilag.export_items i
  set state = 'in_doubt', look_first = true, sent_at = least(x.approved_at, x.created_at, h.recover_since), next_look_at = bilag_internal.now(), answered = false,
    -- In the life that this database forgot it may have been sent at any time since its approval, and last a moment ago.
    absent_from = coalesce(bilag_internal.now() + t.absence_after + make_interval(secs => l.lease_seconds), 'infinity'),
    looked_at = null, vehicle = null, credential_version = c.credential_version,
    reason_code = 'recovered', reason_params = '{}', message = bilag_internal.tell('recovered', '{}')
  from bilag.expense_claims x, bilag.installation h, bilag.integration_types t, bilag.integration_config c, bilag.export_lanes l
  where x.id = i.claim_id and c.id = i.integration_id and l.integration_id = i.integration_id and least(x.approved_at, x.created_at) < h.recover_before and t.integration_type = i.integration_type and t.finds
    and (i.state = 'pending' or (i.state = 'in_doubt' and i.look_first and i.looks = 0))
    -- A reversal whose original is being looked up is not about to be sent, and is looked up when it is.
    and not exists (select from bilag.export_items o where o.id = i.reverses and o.verifying is not null)
    and (run_ids is null or i.run_id = any(run_ids))
    -- A person has said of it already, since the restore, that it is not booked.
    and not exists (
      select from bilag.export_items o
      where o.claim_id = i.claim_id and o.integration_id = i.integration_id and o.reason_code = 'not_booked' and o.look_first
        and o.settled_at > h.recover_before - interval '1 day')
$$;

comment on function bilag_internal.doubt_recovered(uuid[]) is 'Puts pending items of a recovered database in doubt, to be found or proven absent.';
