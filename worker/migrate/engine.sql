-- What applies the rooms of sql/. It lives in a schema of its own that the transaction makes and drops, so nobody ever sees it,
-- and it is SQL so that the file which `bilag migrate --to` writes does exactly what `bilag migrate` does.
--
-- The rule: afterwards the database is what a fresh installation of the rooms would be, and what did not change was not touched.
-- Functions are always replaced, which nobody waits for. A view, a policy or a trigger is replaced only if it differs, because
-- that locks out whoever reads. Where `or replace` cannot do it (another return type, other columns) the old one is dropped with
-- those of ours that lean on it, which the later rooms make again; if anything else leans on it, the whole transaction stops
-- with a sentence that names both. What is ours is written down in bilag_internal.verb_objects and in no other way guessed.

create schema bilag_migrate;

create function bilag_migrate.objects() returns table (classid oid, objid oid, kind text, identity text, state text)
language sql stable as $bilag$
{objects}
$bilag$;

-- Ours from before, and each of them as a room defines it (again): then it is `seen`. `intact` is what nobody changed by hand.
create table bilag_migrate.ours as
  select o.classid, o.objid, o.kind, o.identity, v.source, v.state = o.state as intact, false as seen
  from bilag_internal.verb_objects v join bilag_migrate.objects() o using (kind, identity);

create unique index on bilag_migrate.ours (classid, objid);

{grants}

create function bilag_migrate.saw(class regclass, id oid, hash text) returns void
language sql volatile as $bilag$
  insert into bilag_migrate.ours (classid, objid, kind, identity, source, intact, seen)
  select class, id, i.type, case when class = 'pg_proc'::regclass then id::regprocedure::text else i.identity end, hash, true, true
  from pg_identify_object(class, id, 0) i
  on conflict (classid, objid) do update set source = excluded.source, intact = true, seen = true
$bilag$;

-- What would fall with an object and is not ours to drop, nor to be made again by a room still to come.
create function bilag_migrate.leaning_on(class regclass, id oid) returns text
language sql stable as $bilag$
  with recursive fall (classid, objid, part) as (
    select class::oid, id, true
    union
    select d.classid, d.objid,
      exists (select from bilag_migrate.ours o where o.classid = d.classid and o.objid = d.objid and not o.seen)
      or exists (select from pg_depend w where w.classid = d.classid and w.objid = d.objid and w.deptype = 'i')
    from fall f
    cross join lateral (
      select l.classid, l.objid from pg_depend l
      where l.refclassid = f.classid and l.refobjid = f.objid and l.deptype in ('n', 'a', 'i')
      union
      -- A view's rule or row type is a part of it: with the part goes the whole.
      select w.refclassid, w.refobjid from pg_depend w
      where w.classid = f.classid and w.objid = f.objid and w.deptype = 'i'
    ) d
    where f.part
  )
  select string_agg(distinct pg_describe_object(f.classid, f.objid, 0), ', ')
  from fall f where not f.part and (f.classid, f.objid) <> (class::oid, id)
$bilag$;

create function bilag_migrate.clear(class regclass, id oid) returns void
language plpgsql volatile as $bilag$
declare
  leaning text := bilag_migrate.leaning_on(class, id);
  what text := pg_describe_object(class, id, 0);
begin
  if what is null then  -- it fell with another one
    return;
  end if;
  if leaning is not null then
    raise exception '% has to go, but % leans on it', what, leaning
      using errcode = 'dependent_objects_still_exist';
  end if;
  case class::text
    when 'pg_proc' then execute format('drop routine %s cascade', id::regprocedure);
    when 'pg_class' then execute format('drop view %s cascade', id::regclass);
    when 'pg_trigger' then
      execute (select format('drop trigger %I on %s', t.tgname, t.tgrelid::regclass) from pg_trigger t where t.oid = id);
    when 'pg_policy' then
      execute (select format('drop policy %I on %s', p.polname, p.polrelid::regclass) from pg_policy p where p.oid = id);
  end case;
  delete from bilag_migrate.ours o
  where not exists (select from pg_proc x where o.classid = 'pg_proc'::regclass and x.oid = o.objid)
    and not exists (select from pg_class x where o.classid = 'pg_class'::regclass and x.oid = o.objid)
    and not exists (select from pg_trigger x where o.classid = 'pg_trigger'::regclass and x.oid = o.objid)
    and not exists (select from pg_policy x where o.classid = 'pg_policy'::regclass and x.oid = o.objid);
end $bilag$;

create function bilag_migrate.require_ours(class regclass, id oid) returns void
language plpgsql stable as $bilag$
begin
  if not exists (select from bilag_migrate.ours o where o.classid = class and o.objid = id) then
    raise exception '% is there already and was not made by bilag migrate: give it another name',
      pg_describe_object(class, id, 0) using errcode = 'duplicate_object';
  end if;
end $bilag$;

-- `alone` says that no other function of this name is defined: then an older one with other arguments goes at once, before a
-- call to the new one could be ambiguous between the two.
create function bilag_migrate.define_function(in_schema text, called text, alone boolean, hash text, statement text) returns void
language plpgsql volatile as $bilag$
declare
  named oid[] := array(select p.oid from pg_proc p join pg_namespace n on n.oid = p.pronamespace
                       where n.nspname = in_schema and p.proname = called);
  before text[] := array(select concat(p.oid, p.ctid) from pg_proc p where p.oid = any (named));
  touched oid;
begin
  if in_schema = 'bilag_hooks' and named <> '{}' then
    return;
  end if;
  begin
    execute statement;
  exception when invalid_function_definition or wrong_object_type then
    perform bilag_migrate.clear(o.classid, o.objid) from bilag_migrate.ours o where o.objid = any (named) and not o.seen;
    execute statement;
  end;
  select p.oid into strict touched
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where n.nspname = in_schema and p.proname = called and concat(p.oid, p.ctid) <> all (before);
  if has_function_privilege('public', touched, 'execute') then
    execute format('revoke execute on routine %s from public', touched::regprocedure);
  end if;
  if in_schema = 'bilag_hooks' then
    return;
  end if;
  if touched = any (named) then
    perform bilag_migrate.require_ours('pg_proc', touched);
  end if;
  perform bilag_migrate.saw('pg_proc', touched, hash);
  if alone then
    perform bilag_migrate.clear(o.classid, o.objid) from bilag_migrate.ours o where o.objid = any (named) and not o.seen;
  end if;
end $bilag$;

-- The view is made as a shadow first and compared, for the same words may mean more columns once a view below it has changed.
create function bilag_migrate.define_view(in_schema text, called text, hash text, definition text) returns void
language plpgsql volatile as $bilag$
declare
  present oid := (select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
                  where n.nspname = in_schema and c.relname = called);
  statement text := format('create or replace view %I.%I %s', in_schema, called, definition);
  differs boolean := true;
begin
  if present is not null then
    perform bilag_migrate.require_ours('pg_class', present);
    execute format('create view bilag_migrate.shadow %s', definition);
    select pg_get_viewdef(s.oid) <> pg_get_viewdef(c.oid) or s.reloptions is distinct from c.reloptions into differs
    from pg_class s, pg_class c where s.oid = 'bilag_migrate.shadow'::regclass and c.oid = present;
    drop view bilag_migrate.shadow;
  end if;
  if differs then
    begin
      execute statement;
    exception when invalid_table_definition then
      perform bilag_migrate.clear('pg_class', present);
      execute statement;
    end;
  end if;
  perform bilag_migrate.saw('pg_class', format('%I.%I', in_schema, called)::regclass, hash);
end $bilag$;

create function bilag_migrate.define_policy(on_table text, called text, hash text, statement text) returns void
language plpgsql volatile as $bilag$
declare
  present oid := (select p.oid from pg_policy p where p.polrelid = on_table::regclass and p.polname = called);
begin
  if present is not null then
    perform bilag_migrate.require_ours('pg_policy', present);
    if not exists (select from bilag_migrate.ours o
                   where o.classid = 'pg_policy'::regclass and o.objid = present and o.intact and o.source = hash) then
      perform bilag_migrate.clear('pg_policy', present);
      present := null;
    end if;
  end if;
  if present is null then
    execute statement;
    select p.oid into strict present from pg_policy p where p.polrelid = on_table::regclass and p.polname = called;
  end if;
  perform bilag_migrate.saw('pg_policy', present, hash);
end $bilag$;

create function bilag_migrate.define_trigger(on_table text, called text, hash text, statement text) returns void
language plpgsql volatile as $bilag$
declare
  present oid := (select t.oid from pg_trigger t where t.tgrelid = on_table::regclass and t.tgname = called);
begin
  if present is not null then
    perform bilag_migrate.require_ours('pg_trigger', present);
    if exists (select from bilag_migrate.ours o
               where o.classid = 'pg_trigger'::regclass and o.objid = present and o.intact and o.source = hash) then
      perform bilag_migrate.saw('pg_trigger', present, hash);
      return;
    end if;
    -- The one kind that `or replace` cannot change; for all others it spares the readers a lock.
    if (select t.tgconstraint <> 0 from pg_trigger t where t.oid = present) then
      perform bilag_migrate.clear('pg_trigger', present);
    end if;
  end if;
  execute statement;
  perform bilag_migrate.saw('pg_trigger', t.oid, hash)
  from pg_trigger t where t.tgrelid = on_table::regclass and t.tgname = called;
end $bilag$;

-- Bodies are checked last, by what checks them when a function is made: until then they may name what a later room defines.
create function bilag_migrate.check_body(id oid) returns void
language plpgsql volatile set check_function_bodies = on as $bilag$
begin
  perform case l.lanname when 'sql' then fmgr_sql_validator(id)::text when 'plpgsql' then plpgsql_validator(id)::text end
  from pg_proc p join pg_language l on l.oid = p.prolang where p.oid = id and p.oid <> 0;
end $bilag$;

-- Drops what no room defines any more, writes down what there is now, and returns what there was and is not.
create function bilag_migrate.finish() returns setof text
language plpgsql volatile as $bilag$
begin
  perform bilag_migrate.clear(o.classid, o.objid) from bilag_migrate.ours o where not o.seen;
  perform bilag_migrate.grant_again();

  return query
    select was.kind || ' ' || was.identity
    from bilag_internal.verb_objects was
    where not exists (select from bilag_migrate.ours o where (o.kind, o.identity) = (was.kind, was.identity))
    order by 1;

  delete from bilag_internal.verb_objects;
  insert into bilag_internal.verb_objects (kind, identity, source, state)
  select o.kind, o.identity, o.source, n.state
  from bilag_migrate.ours o join bilag_migrate.objects() n using (classid, objid);
end $bilag$;

create function bilag_migrate.remember(hash text) returns void
language sql volatile as $bilag$
  insert into bilag_internal.verbs (sha256, facts) values (hash, (
{facts}
  ))
$bilag$;
