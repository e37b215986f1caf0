-- Alerts are opened once per problem, counted while it lasts, and resolved by evidence. Who raises one waits for nobody: a row that
-- somebody holds in an open transaction, or is just opening, is left alone; the word waits in alerts_waiting for the next tick.

create or replace function bilag_internal.raise_alert(
  kind text, problem_key text, org_id uuid, integration_type text, message text, details jsonb default '{}'
) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  update bilag.alerts a
  set count = a.count + 1, last_seen_at = bilag_internal.now(), message = raise_alert.message, details = coalesce(raise_alert.details, '{}')
  where a.id = (
    select o.id from bilag.alerts o
    where o.kind = raise_alert.kind and o.problem_key = raise_alert.problem_key and o.resolved_at is null for update skip locked);
  if found then
    return;
  end if;
  -- Whoever is opening one of the same problem right now has this lock; the others' words wait. 256 of them, so that no storm
  -- takes all the locks that the server has.
  if pg_try_advisory_xact_lock(hashtext('bilag.alerts'), hashtext(kind || '/' || problem_key) & 255) and not exists (
    select from bilag.alerts o
    where o.kind = raise_alert.kind and o.problem_key = raise_alert.problem_key and o.resolved_at is null
  ) then
    insert into bilag.alerts (kind, problem_key, org_id, integration_type, message, details, opened_at, last_seen_at)
    values (raise_alert.kind, raise_alert.problem_key, raise_alert.org_id, raise_alert.integration_type, raise_alert.message,
      coalesce(raise_alert.details, '{}'), bilag_internal.now(), bilag_internal.now())
    on conflict do nothing;
    return;
  end if;
  perform bilag_internal.leave_word(kind, problem_key, org_id, integration_type, message, details, false);
end $$;

comment on function bilag_internal.raise_alert(text, text, uuid, text, text, jsonb) is
  'Opens an alert, or counts the open one of the same problem.';

create or replace function bilag_internal.resolve_alert(kind text, problem_key text, resolution text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  update bilag.alerts a set resolved_at = bilag_internal.now(), resolution = resolve_alert.resolution
  where a.id = (
    select o.id from bilag.alerts o
    where o.kind = resolve_alert.kind and o.problem_key = resolve_alert.problem_key and o.resolved_at is null for update skip locked);
  if found or not exists (
    select from bilag.alerts o
    where o.kind = resolve_alert.kind and o.problem_key = resolve_alert.problem_key and o.resolved_at is null
    union all
    select from bilag_internal.alerts_waiting w
    where w.kind = resolve_alert.kind and w.problem_key = resolve_alert.problem_key
  ) then
    return;
  end if;
  perform bilag_internal.leave_word(kind, problem_key, null, null, resolution, '{}', true);
end $$;

comment on function bilag_internal.resolve_alert(text, text, text) is 'Closes the open alert of a problem, naming the evidence.';

create or replace function bilag_internal.leave_word(
  kind text, problem_key text, org_id uuid, integration_type text, message text, details jsonb, over boolean
) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  -- The same word again is one row, however long somebody holds the alert.
  update bilag_internal.alerts_waiting w
  set at = bilag_internal.now(), message = leave_word.message, details = coalesce(leave_word.details, '{}')
  where w.id = (
    select x.id from bilag_internal.alerts_waiting x
    where x.kind = leave_word.kind and x.problem_key = leave_word.problem_key and x.over = leave_word.over
      and not exists (
        select from bilag_internal.alerts_waiting later
        where later.kind = x.kind and later.problem_key = x.problem_key and later.id > x.id)
    for update skip locked);
  if not found then
    insert into bilag_internal.alerts_waiting (at, kind, problem_key, org_id, integration_type, message, details, over)
    values (bilag_internal.now(), leave_word.kind, leave_word.problem_key, leave_word.org_id, leave_word.integration_type,
      leave_word.message, coalesce(leave_word.details, '{}'), leave_word.over);
  end if;
end $$;

comment on function bilag_internal.leave_word(text, text, uuid, text, text, jsonb, boolean) is 'Keeps what is to be said of a problem until its alert is free.';

create or replace function bilag_internal.place_words() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  word record;
begin
  for word in
    with taken as (
      delete from bilag_internal.alerts_waiting w
      where w.id in (select x.id from bilag_internal.alerts_waiting x order by x.id limit 1000 for update skip locked)
      returning w.*
    )
    select t.*, coalesce(bool_or(t.over) over later, false) as was_over from taken t
    window later as (partition by t.kind, t.problem_key order by t.id rows between 1 following and unbounded following)
    order by t.id
  loop
    if not word.over then
      -- What was over since, by a later word or by a person's, opens nothing.
      if not word.was_over and not exists (
        select from bilag.alerts a where a.kind = word.kind and a.problem_key = word.problem_key and a.resolved_at > word.at
      ) then
        perform bilag_internal.raise_alert(word.kind, word.problem_key, word.org_id, word.integration_type, word.message, word.details);
      end if;
    -- What was seen again since is not.
    elsif not exists (
      select from bilag.alerts a
      where a.kind = word.kind and a.problem_key = word.problem_key and a.resolved_at is null and a.last_seen_at > word.at
    ) then
      perform bilag_internal.resolve_alert(word.kind, word.problem_key, word.message);
    end if;
  end loop;
end $$;

comment on function bilag_internal.place_words() is 'Takes the words that waited to their alerts; what is still held waits on.';

create or replace function bilag.resolve_alert(alert_id bigint, note text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  alert bilag.alerts;
begin
  select a.* into alert from bilag.alerts a where a.id = resolve_alert.alert_id;
  if not found or (alert.org_id is not null and not bilag_internal.concerns_caller(alert.org_id)) then
    perform bilag_internal.complain('KB002', format('There is no alert %s.', coalesce(alert_id::text, 'null')), 'select * from bilag.open_alerts;');
  end if;
  if alert.org_id is not null then
    perform bilag_internal.require_finance(alert.org_id);
  elsif not bilag_internal.is_service() then
    perform bilag_internal.complain('KB003', 'The alert is one of the whole installation.', 'Leave it to who operates it.');
  end if;
  if coalesce(btrim(note), '') = '' then
    perform bilag_internal.complain('KB001', 'The note is empty.', 'Say what was found and done: the note stays with the alert.');
  end if;
  select a.* into alert from bilag.alerts a where a.id = alert.id for update;
  if alert.resolved_at is not null then
    perform bilag_internal.complain('KB004', format('Alert %s was resolved at %s: %s.', alert.id, alert.resolved_at, alert.resolution),
      'select * from bilag.open_alerts;');
  end if;
  update bilag.alerts a set resolved_at = bilag_internal.now(), resolution = note where a.id = alert.id;
  if alert.org_id is not null then
    perform bilag_internal.audit(alert.org_id, 'alert.resolved', alert.integration_type, null, note,
      jsonb_build_object('alertId', alert.id, 'kind', alert.kind, 'details', alert.details));
  end if;
end $$;

comment on function bilag.resolve_alert(bigint, text) is
  'A person says that a problem is over. For finance; an alert of the whole installation is for service_role and the owner. It opens again if it is seen again.';
