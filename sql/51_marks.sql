-- Write-ahead: what is about to be sent, and no more, is marked `sending` and committed before anything leaves.

-- Marks the next batch of each run `sending`, with everything that recovery will need, before anything is sent. While there are
-- suspects, two fifths of them go: if they pass, the culprit is among the others, which are then divided without being sent. Two
-- fifths and not half, since a refusal costs two calls, the second to prove absence, and a pass costs one.
create or replace function bilag_internal.mark_batches(run_ids uuid[]) returns bigint[]
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  moment timestamptz := bilag_internal.now();
  batch bigint[];
  marked bigint[];
begin
  select coalesce(array_agg(p.id), '{}') into batch
  from bilag.export_runs r
  join bilag.integration_types t on t.integration_type = r.integration_type
  cross join lateral (
    select exists (select from bilag.export_items i where i.run_id = r.id and i.suspect and i.state = 'pending') as suspecting
    offset 0
  ) as q
  cross join lateral (
    select w.id
    from (
      select i.id, count(*) over () as candidates,
        row_number() over (order by i.position) as n, sum(i.line_count) over (order by i.position) as lines
      from (
        select i.id, i.position, i.line_count from bilag.export_items i
        where i.run_id = r.id and i.position >= r.next_position and i.state = 'pending' and i.suspect = q.suspecting
        order by i.position
        limit t.vouchers_per_batch
      ) as i
    ) as w
    where w.n = 1 or (w.lines <= t.lines_per_batch and (not q.suspecting or w.n <= greatest(1, w.candidates * 2 / 5)))
  ) as p
  where r.id = any(run_ids);
  perform bilag_internal.begin_files(run_ids);
  -- Where the next batch starts looking: behind what is about to be marked, unless something before it is pending.
  update bilag.export_runs r
  set status = 'running', started_at = coalesce(r.started_at, moment), waiting_since = null, waiting_reason_code = null,
    correlation_id = gen_random_uuid(),
    next_position = coalesce((
      select i.position from bilag.export_items i
      where i.run_id = r.id and i.position >= r.next_position and i.state = 'pending' and i.id <> all(batch)
      order by i.position limit 1), r.item_count + 1)
  where r.id = any(run_ids);

  with sent as (
    update bilag.export_items i
    set state = 'sending', attempt = i.attempt + 1, sent_at = coalesce(i.sent_at, moment), answered = false, absent_from = 'infinity',
      look_first = false,
      correlation_id = b.correlation_id, vehicle = b.vehicle, ledger_key = b.ledger_key, looks = 0,
      credential_version = b.credential_version
    from (
      select r.id as run_id, r.correlation_id, l.credential_version,
        translate(substr(encode(sha256(convert_to(l.lease_token::text, 'UTF8')), 'hex'), 1, 10),
          '0123456789abcdef', 'GHJKLMNPQRSTVWXZ') as vehicle,
        (select string_agg(coalesce(c.settings ->> k, ''), '|' order by k) from unnest(t.identity_settings) as k) as ledger_key
      from bilag.export_runs r
      join bilag.export_lanes l on l.integration_id = r.integration_id
      join bilag.integration_config c on c.id = r.integration_id
      join bilag.integration_types t on t.integration_type = c.integration_type
      where r.id = any(run_ids)
    ) as b
    where i.id = any(batch) and i.run_id = b.run_id and i.state = 'pending'
    returning i.id
  )
  select array_agg(s.id) into marked from sent s;

  -- The mark must survive a crash whatever the role's setting says; a SET on the function would be undone before the commit.
  perform set_config('synchronous_commit', 'on', true);
  return marked;
end $$;

comment on function bilag_internal.mark_batches(uuid[]) is 'Write-ahead: marks what is about to be sent, and no more.';
