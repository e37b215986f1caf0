-- What every other room stands on: the clock, the contract number, how a caller's mistake is told, and who the caller is.
--
-- Private SQLSTATEs. Each carries one sentence and a hint; a client matches the code, a person reads the sentence.
--   KB001 wrong argument          KB002 no such row             KB003 not allowed          KB004 not in this state
--   KB005 key used differently    KB006 immutable               KB007 settings invalid     KB008 claim is held
--   KB010 contract unknown        KB011 other environment       KB012 worker unknown       KB020 no live lease
--   KB021 Vault cannot be read
--
-- Every verb asks bilag_internal.now() for the time, so that tests own the clock.

create or replace function bilag_internal.now() returns timestamptz
language plpgsql stable
as $$
begin
  -- plpgsql keeps this plan for the session; as a SQL function it would cost fifty microseconds a call.
  return coalesce((select c.at from bilag_internal.clock c), pg_catalog.now());
end $$;

comment on function bilag_internal.now() is 'The time: the transaction''s, or the frozen one that a test has set.';

create or replace function bilag_internal.clock_now() returns timestamptz
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select bilag_internal.now() $$;

comment on function bilag_internal.clock_now() is 'The same for views, whose readers may not read the clock''s table.';

create or replace function bilag_internal.set_clock(at timestamptz) returns timestamptz
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
  delete from bilag_internal.clock;
  if set_clock.at is not null then
    insert into bilag_internal.clock (at) values (set_clock.at);
  end if;
  return bilag_internal.now();
end $$;

comment on function bilag_internal.set_clock(timestamptz) is 'Freezes the clock for a test; null lets it run again. For the owner alone.';

create or replace function bilag_internal.advance_clock(by interval) returns timestamptz
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$ select bilag_internal.set_clock(bilag_internal.now() + by) $$;

comment on function bilag_internal.advance_clock(interval) is 'Moves the frozen clock forward, freezing it first if it runs.';

create or replace function bilag_internal.contract() returns integer
language sql immutable set search_path = pg_catalog, pg_temp
as $$ select 1 $$;

comment on function bilag_internal.contract() is 'The contract that these functions keep; a worker that knows another one does not claim.';

create or replace function bilag_internal.complain(code text, sentence text, mend text default null) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception using errcode = code, message = sentence, hint = coalesce(mend, '');
end $$;

comment on function bilag_internal.complain(text, text, text) is 'Raises a caller''s mistake: a private SQLSTATE, a sentence, a hint.';

create or replace function bilag_internal.caller() returns uuid
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
begin
  return auth.uid();
exception when data_exception then
  return null;  -- a `sub` that is no uuid, as other issuers than Supabase give: nobody whom we know by an id
end $$;

comment on function bilag_internal.caller() is 'auth.uid() of the person behind the request, or null for a service, a DBA or somebody without such an id.';

update bilag.installation set contract = bilag_internal.contract() where contract <> bilag_internal.contract();
