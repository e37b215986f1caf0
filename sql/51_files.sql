-- Files: a system that takes files (integration_types.makes_file) is sent nothing. The worker renders each voucher and reports the
-- bytes with its outcome; they are kept in the transaction that calls the claim exported, and put together in the one that ends the run.
-- The report is the write: what was not reported has not happened, so a word that comes too late is no evidence and changes nothing.

create or replace function bilag_internal.begin_files(run_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  insert into bilag_internal.files_begun (run_id, settings)
  select r.id, c.settings
  from bilag.export_runs r
  join bilag.integration_types t on t.integration_type = r.integration_type and t.makes_file
  join bilag.integration_config c on c.id = r.integration_id
  where r.id = any(run_ids)
  on conflict do nothing;
end $$;

comment on function bilag_internal.begin_files(uuid[]) is 'Keeps the settings that the first batch of a run has: its file is written with them to the end.';

create or replace function bilag_internal.making_files(told bilag_internal.result[]) returns uuid[]
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select array_agg(l.integration_id)
    from bilag.export_lanes l
    join bilag.integration_types t on t.integration_type = l.integration_type and t.makes_file
    where l.integration_id = any(array(select distinct x.lane from unnest(told) x)));
end $$;

comment on function bilag_internal.making_files(bilag_internal.result[]) is 'The lanes among these that make files; null when none does.';

-- The most that a file may be: it is put together in one call, and a call has fifteen seconds.
create or replace function bilag_internal.largest_file() returns bigint
language sql immutable set search_path = pg_catalog, pg_temp
as $$ select 150000000::bigint $$;

comment on function bilag_internal.largest_file() is 'Bytes; about a million lines.';

create or replace function bilag_internal.filed(told bilag_internal.result[], filing uuid[], reports jsonb)
returns bilag_internal.result[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  with pieces as materialized (
    select y.id, sum(length(y.content)) over (partition by r.lane order by y.id) * 3 / 4 as bytes_until
    from jsonb_to_recordset(reports) as r (lane uuid, results jsonb)
    cross join lateral jsonb_to_recordset(r.results) as y (id bigint, content text)
    where r.lane = any(filing) and y.content is not null
  )
  select array_agg(case
      when x.lane <> all(filing) or x.outcome not in ('exported', 'accepted') then x
      when x.outcome = 'accepted' or not x.alive or f.run_id is null or p.id is null
        then jsonb_populate_record(x, '{"outcome": "unknown", "reason_code": null}')
      when f.bytes + p.bytes_until > bilag_internal.largest_file()
        then jsonb_populate_record(x, '{"outcome": "rejected", "reason_code": "file_full", "reason_params": {}, "message": null}')
      else x
    end)
  from unnest(told) x
  left join bilag.export_items i on i.id = x.id
  left join bilag_internal.files_begun f on f.run_id = i.run_id
  left join pieces p on p.id = x.id
$$;

comment on function bilag_internal.filed(bilag_internal.result[], uuid[], jsonb) is
  'A success counts for a file only with its piece, under a live lease, in a run that has not ended, and while there is room; else nothing has happened.';

create or replace function bilag_internal.keep_pieces(exported bigint[], reports jsonb) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  with kept as (
    insert into bilag_internal.file_pieces (item_id, content)
    select distinct on (i.id) i.id, decode(y.content, 'base64')
    from jsonb_to_recordset(reports) as r (results jsonb)
    cross join lateral jsonb_to_recordset(r.results) as y (id bigint, content text)
    join bilag.export_items i on i.id = y.id and i.id = any(exported)
    where y.content is not null
    returning item_id, length(content) as bytes
  )
  update bilag_internal.files_begun f
  set bytes = f.bytes + n.bytes, extension = coalesce(f.extension, n.file ->> 'extension'), media_type = coalesce(f.media_type, n.file ->> 'mediaType'),
    head = coalesce(f.head, decode(n.file ->> 'head', 'base64')), tail = coalesce(f.tail, decode(n.file ->> 'tail', 'base64'))
  from (
    select i.run_id, sum(k.bytes) as bytes, (array_agg(r.file))[1] as file
    from kept k
    join bilag.export_items i on i.id = k.item_id
    join jsonb_to_recordset(reports) as r (lane uuid, file jsonb) on r.lane = i.integration_id
    group by i.run_id
  ) as n
  where f.run_id = n.run_id
$$;

comment on function bilag_internal.keep_pieces(bigint[], jsonb) is
  'Keeps the rendered vouchers of items that have just become exported, and what stands around them.';

create or replace function bilag_internal.make_files(run_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  if not exists (select from bilag_internal.files_begun f where f.run_id = any(run_ids)) then
    return;
  end if;
  insert into bilag.export_files (run_id, org_id, name, media_type, content, sha256, created_at)
  select r.id, r.org_id,
    format('%s-%s-%s.%s', r.integration_type, to_char(r.enqueued_at at time zone o.time_zone, 'YYYY-MM-DD'), left(r.id::text, 8), f.extension),
    f.media_type, c.content, sha256(c.content), bilag_internal.now()
  from bilag_internal.files_begun f
  join bilag.export_runs r on r.id = f.run_id
  join bilag.organizations o on o.id = r.org_id
  cross join lateral (
    -- No piece, no file. In the order of their numbers, so that the same run is the same file.
    select f.head || string_agg(p.content, ''::bytea order by i.voucher_number, i.id) || f.tail as content
    from bilag.export_items i
    join bilag_internal.file_pieces p on p.item_id = i.id
    where i.run_id = f.run_id and i.state = 'exported'
    offset 0
  ) as c
  where f.run_id = any(run_ids) and c.content is not null;
  delete from bilag_internal.file_pieces p
  using bilag.export_items i
  where i.run_id = any(run_ids) and p.item_id = i.id;
  delete from bilag_internal.files_begun f where f.run_id = any(run_ids);
end $$;

comment on function bilag_internal.make_files(uuid[]) is 'Puts the files of ending runs together from their pieces. A run that exported nothing has no file.';

create or replace function bilag.export_file(run_id uuid) returns bilag."*/*"
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  run bilag.export_runs := bilag_internal.run_of(run_id);
  file bilag.export_files;
begin
  perform bilag_internal.require_finance(run.org_id);
  select f.* into file from bilag.export_files f where f.run_id = run.id;
  if not found then
    perform bilag_internal.complain('KB002', format('Run %s has no file.', run.id), case
      when not (select t.makes_file from bilag.integration_types t where t.integration_type = run.integration_type)
        then format('%s makes no files: export_report has every line.', run.integration_type)
      when run.finished_at is null then 'It has one when it has ended: poll export_status.'
      else 'It exported nothing: bilag.claim_exports says why.' end);
  end if;
  perform set_config('response.headers', jsonb_build_array(
    jsonb_build_object('Content-Type', file.media_type),
    jsonb_build_object('Content-Disposition', format('attachment; filename="%s"', file.name)),
    jsonb_build_object('Cache-Control', 'no-store'))::text, true);
  return file.content;
end $$;

comment on function bilag.export_file(uuid) is
  'The bytes of a run''s file, for who may move its organisation''s money; PostgREST sends them raw, with media type and file name.';
