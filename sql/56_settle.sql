-- What workers report is settled here, many lanes in one call. The lease fences what the lane does next; an outcome itself is
-- evidence, and counts for the attempt that made it even when the lease is lost. A report told twice changes nothing.

create or replace function bilag_internal.settle_items(reports jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  moment timestamptz := bilag_internal.now();
  told bilag_internal.result[] := array(select r::bilag_internal.result from bilag_internal.results(reports) r);
  ids bigint[];
  exported bigint[];
  doubles integer;
  changed bigint[];
  other_ledger uuid[];
  pausing uuid[];
  filing uuid[];
begin
  select array_agg(i.id) into ids
  from (
    select i.id from bilag.export_items i
    where i.id = any(array(select x.id from unnest(told) x)) order by i.id for update
  ) as i;
  if ids is null then
    return;
  end if;

  -- A look whose lease is lost may have been overtaken: that it found nothing, or nothing certain, counts for nothing.
  told := array(select x from unnest(told) x where x.kind = 'post' or x.alive or x.outcome in ('exported', 'accepted'));

  -- A credential that was changed since may reach another ledger: finding nothing there proves nothing. A person's word is needed.
  told := array(
    select (x.lane, x.kind, x.alive, s.same_credential, x.told, x.id, x.attempt, x.outcome,
      x.external_id, case when x.outcome = 'absent' and not s.same_credential
        then 'credential_changed' else x.reason_code end, x.reason_params, x.message, x.revoked, x.seen)::bilag_internal.result
    from unnest(told) x
    join bilag.export_items i on i.id = x.id and i.id = any(ids)
    join bilag.export_lanes l on l.integration_id = i.integration_id
    join bilag.integration_config c on c.id = i.integration_id
    cross join lateral (
      -- The one that the look was handed out with, and none has come since that it may have fetched instead.
      select (i.credential_version, c.credential_version) is not distinct from (l.credential_version, l.credential_version) as same_credential
    ) as s);

  filing := bilag_internal.making_files(told);
  if filing is not null then
    told := bilag_internal.filed(told, filing, reports);
  end if;

  -- What the vendor had confirmed is not there under the new one: it reaches another ledger, and nothing more is sent to that.
  other_ledger := array(
    select i.integration_id from unnest(told) x join bilag.export_items i on i.id = x.id and i.id = any(ids)
    where x.outcome = 'absent' and not x.same_credential and i.state = 'accepted' and i.reason_code is distinct from 'import_error');
  if cardinality(other_ledger) > 0 then
    pausing := array(select c.id from bilag.integration_config c where c.id = any(other_ledger) for no key update skip locked);
    perform bilag_internal.pause(pausing, 'credential_other_ledger', bilag_internal.tell('credential_other_ledger', '{}'));
    perform bilag_internal.raise_alert('credential', c.id::text, c.org_id, c.integration_type, bilag_internal.tell('credential_other_ledger', '{}'))
    from bilag.integration_config c where c.id = any(pausing);
    -- Where somebody is changing the integration right now, this look has said nothing: the next one pauses it.
    told := array(
      select case when x.outcome = 'absent' and x.lane = any(other_ledger) and x.lane <> all(pausing)
        then jsonb_populate_record(x, '{"outcome": "unknown"}') else x end
      from unnest(told) x);
  end if;

  if exists (select from unnest(told) x where x.kind = 'confirm') then
    perform bilag_internal.settle_verified(told);
  end if;

  -- Success of an attempt that is no longer the item's: a lost lease, an answer that came late.
  perform bilag_internal.settle_late(i, x) from unnest(told) x
  join bilag.export_items i on i.id = x.id and i.id = any(ids)
  where x.outcome in ('exported', 'accepted')
    and not (i.state in ('accepted', 'exported') and (x.kind <> 'post' or x.attempt = any(i.succeeded_attempts)))
    and not (i.attempt = x.attempt and i.state in ('sending', 'in_doubt', 'accepted'));

  with settled as (
    update bilag.export_items i set
      state = n.state,
      holds = n.state not in ('rejected', 'voided'),
      suspect = n.state = 'pending' and x.outcome = 'refused',
      -- Only the write's own answer; what a look says is no answer to it.
      answered = i.answered or (x.kind = 'post' and x.outcome not in ('unknown', 'unsent')),
      -- A look sees a voucher, not the attempt that made it: only the write's own answer counts for its attempt.
      succeeded_attempts = case when x.kind = 'post' and not x.seen and x.outcome in ('exported', 'accepted') and x.attempt <> all(i.succeeded_attempts)
        then i.succeeded_attempts || x.attempt else i.succeeded_attempts end,
      external_id = coalesce(x.external_id, i.external_id),
      booked_at = case when n.state = 'exported' then coalesce(i.booked_at, moment) end,
      settled_at = case when n.state in ('exported', 'rejected', 'voided') then moment end,
      -- The write may have begun at any moment until this report.
      absent_from = case when n.state = 'in_doubt' and x.kind = 'post' then coalesce(moment + t.absence_after, 'infinity')
        else i.absent_from end,
      looks = case when n.state in ('accepted', 'in_doubt') and x.kind <> 'post' then i.looks + 1 else 0 end,
      last_look = i.last_look and n.state = 'in_doubt',
      next_look_at = case when n.state in ('accepted', 'in_doubt') then greatest(
        moment + bilag_internal.look_wait(n.state, case when x.kind = 'post' then 0 else i.looks + 1 end),
        -- Looked at soon, since finding it is proof at once; a look that found nothing is repeated when that will prove something.
        case when n.state = 'in_doubt' and x.outcome <> 'unknown' and not i.answered and i.absent_from < 'infinity' then i.absent_from end) end,
      reason_code = w.reason_code, reason_params = p.reason_params,
      message = case
        when w.reason_code is null then null
        when x.message is null and w.reason_code = i.reason_code then i.message
        else coalesce(x.message, bilag_internal.tell(w.reason_code, p.reason_params)) end
    from unnest(told) x
    join bilag.export_items o on o.id = x.id
    join bilag.integration_types t on t.integration_type = o.integration_type
    left join lateral (select x.id, x.finished_at from bilag.export_runs x where x.id = o.run_id offset 0) as r on true
    cross join lateral (
      select bilag_internal.next_state(o, x, r.id is null or r.finished_at is not null) as state
    ) as n
    cross join lateral (
      select case
        when n.state = 'exported' then case when x.kind = 'post' then x.reason_code end  -- a remark on what was booked
        when n.state = 'rejected' then coalesce(x.reason_code, case when o.state = 'accepted' then 'import_error' else 'refused_by_vendor' end)
        when n.state = 'voided' then case when o.reverses is not null then 'reversal_not_sent' when o.last_look then 'not_booked' else 'run_ended' end
        when x.outcome = 'import_error' then 'import_error'
        -- A look that could not be made says nothing; one that found something else says what.
        when n.state = 'accepted' then case when x.outcome = 'unknown' then
          coalesce(o.reason_code, case when x.kind <> 'post' and x.message is not null then 'accepted_unclear' end) end
        when n.state = 'in_doubt' then case
          when (x.outcome = 'absent' and o.state = 'accepted') or o.reason_code = 'vanished' then 'vanished'
          when x.kind = 'post' then coalesce(x.reason_code, 'unanswered')
          else coalesce(x.reason_code, o.reason_code, 'unanswered') end
      end as reason_code
    ) as w
    cross join lateral (
      select case
        when w.reason_code is null then '{}'
        when x.reason_code = w.reason_code and x.reason_params <> '{}' then x.reason_params
        when w.reason_code = o.reason_code and x.message is null then o.reason_params
        else jsonb_strip_nulls(jsonb_build_object('message', x.message))
      end as reason_params
    ) as p
    where i.id = x.id and i.id = any(ids) and o.id = any(ids) and x.attempt = i.attempt and i.state in ('sending', 'in_doubt', 'accepted')
      -- By its attempt: what is reported late, a look too, says nothing about an attempt that was made since.
      and (x.kind <> 'post' or i.state <> 'accepted')
      and (x.kind <> 'post' or x.outcome <> 'unknown' or i.state = 'sending')
    returning i.id, i.state, i.claim_id, i.books, i.run_id, i.position, i.integration_id, cardinality(i.succeeded_attempts) > 1 as twice, i.state <> o.state as changed, i.reference, i.org_id, i.integration_type
  ), doubled as (
    select bilag_internal.raise_alert('doubled', s.reference, s.org_id, s.integration_type,
      format('Voucher %s was reported booked by two attempts.', s.reference), jsonb_build_object('itemId', s.id))
    from settled s where s.twice
  ), returned as (
    select s.run_id, min(s.position) as position from settled s where s.state = 'pending' group by s.run_id
  ), reopened as (
    -- A run that waited for nothing but answers has something to send again.
    update bilag.export_runs r
    set next_position = least(r.next_position, b.position),
      due_at = case when r.due_at = 'infinity' then moment else r.due_at end
    from returned b where r.id = b.run_id and r.finished_at is null
  )
  select array_agg(s.id) filter (where s.state = 'exported'), (select count(*) from doubled), array_agg(s.id) filter (where s.changed)
  into exported, doubles, changed from settled s;

  perform bilag_internal.book(exported);
  if filing is not null then
    perform bilag_internal.keep_pieces(exported, reports);
  end if;
  perform bilag_internal.raise_look_alerts(ids);
  perform bilag_internal.claims_changed(changed);
end $$;

comment on function bilag_internal.settle_items(jsonb) is 'Applies outcomes to their items: guarded by attempt and state, in order of id.';

create or replace function bilag_internal.book(item_ids bigint[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  insert into bilag.export_lines (item_id, line_no, org_id, account_code, amount, currency, vat_code, description, dimensions, subledger)
  select i.id, x."lineNo", i.org_id, x.account, x.amount, i.currency, x."vatCode", x.description, coalesce(x.dimensions, '{}'), x.subledger
  from bilag.export_items i
  cross join lateral jsonb_to_recordset(i.voucher -> 'lines') as x (
    "lineNo" integer, account text, amount numeric, "vatCode" text, description text, dimensions jsonb, subledger text)
  where i.id = any(item_ids)
  on conflict do nothing;
  -- The flag keeps history out of an index; that the claim is held is what keeps it from being taken. So nobody waits for it.
  update bilag.expense_claims c set booked = true
  where c.id = any(array(
    select x.id from bilag.expense_claims x
    where not x.booked and x.id = any(array(
      select i.claim_id from bilag.export_items i where i.id = any(item_ids) and i.books and i.reverses is null))
    order by x.id for no key update skip locked));
end $$;

comment on function bilag_internal.book(bigint[]) is 'Writes the lines of exported items as they were booked, and marks their claims.';
