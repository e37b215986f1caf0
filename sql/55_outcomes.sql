-- What an outcome means: reports as rows, when an item is looked at again, and the state that an outcome leads to. Pure: these
-- functions decide, 56_settle.sql writes.

create or replace function bilag_internal.look_wait(state text, looks integer) returns interval
language plpgsql immutable
as $$
begin
  -- A look costs a request, and vendors bill them: soon at first, then ever rarer.
  return case state
    when 'accepted' then (array['1 s', '5 s', '10 s', '20 s', '1 min', '5 min', '15 min', '1 h', '6 h']::interval[])[least(looks + 1, 9)]
    else (array['5 s', '20 s', '1 min', '5 min', '15 min', '1 h', '6 h', '1 day']::interval[])[least(looks + 1, 8)]
  end;
end $$;

comment on function bilag_internal.look_wait(text, integer) is 'How long until an accepted or doubtful item is looked at again.';

create or replace function bilag_internal.results(reports jsonb) returns setof bilag_internal.result
language sql stable
as $$
  select r.lane, r.kind, coalesce(l.lease_token = r.token, false), true, jsonb_array_length(r.results), x.id, x.attempt,
    -- What a look cannot know, and words that we do not know, are unknown: never a reason to send again.
    case when x.outcome in ('exported', 'accepted', 'absent', 'import_error', 'unknown')
      or (r.kind = 'post' and x.outcome in ('rejected', 'refused', 'unsent')) then x.outcome else 'unknown' end,
    x."externalId", x."reasonCode",
    case when jsonb_typeof(x."reasonParams") = 'object' then x."reasonParams" else '{}' end, left(x.message, 500), coalesce(x.revoked, false), coalesce(x.seen, false)
  from jsonb_to_recordset(reports) as r (lane uuid, token uuid, kind text, results jsonb)
  left join lateral (select l.lease_token from bilag.export_lanes l where l.integration_id = r.lane offset 0) as l on true
  cross join lateral jsonb_to_recordset(r.results) as x (
    id bigint, attempt integer, outcome text, "externalId" text, "reasonCode" text, "reasonParams" jsonb, message text, revoked boolean, seen boolean)
  -- A reconciliation moves no item: 77_standing.sql takes its answers.
  where r.kind is distinct from 'reconcile'
$$;

comment on function bilag_internal.results(jsonb) is 'The outcomes in reports, one row per item.';

-- The state that an outcome leads to. `ended`: its run is over, so nothing would send it. Absence is believed of a system that
-- answered the write, and else only of a look that revoked what was on its way, or that was handed out when nothing could be on its
-- way any more; and with the credential that the write had.
create or replace function bilag_internal.next_state(item bilag.export_items, result bilag_internal.result, ended boolean)
returns text
language plpgsql stable
as $$
begin
  return case
    when result.outcome in ('exported', 'accepted') then result.outcome
    -- Another attempt is known to have succeeded: whatever this one met, the voucher is there, and is looked for.
    when result.kind = 'post' and cardinality(array_remove(item.succeeded_attempts, item.attempt)) > 0 then
      case when result.outcome = 'unknown' then 'in_doubt' else 'accepted' end
    when result.outcome = 'import_error' then 'accepted'
    when result.outcome = 'unknown' then case when item.state = 'accepted' then 'accepted' else 'in_doubt' end
    when result.outcome = 'absent' and result.kind <> 'post' and not item.answered and item.state <> 'accepted'
      and ((not result.revoked and coalesce(item.looked_at < item.absent_from, true)) or (not result.same_credential and not item.last_look)) then 'in_doubt'
    when result.outcome = 'rejected' or (result.outcome = 'refused' and result.told = 1) then 'rejected'
    -- Absent, though the vendor had accepted it: its import error was cleared away by deleting it, or it vanished.
    when result.outcome = 'absent' and item.state = 'accepted' then
      case when item.reason_code = 'import_error' and result.same_credential then 'rejected' else 'in_doubt' end
    when result.outcome = 'absent' and item.reason_code = 'vanished' and not item.last_look then 'in_doubt'
    when ended or item.last_look then 'voided'
    else 'pending'
  end;
end $$;

comment on function bilag_internal.next_state(bilag.export_items, bilag_internal.result, boolean) is
  'Item and outcome to next state: the whole transition table in one expression.';
