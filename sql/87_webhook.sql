-- The webhook: where events go, how they are signed, and how one is delivered at least once. The database signs, so the secret never
-- leaves it: a worker gets a body with its headers, and says what became of it.

create or replace function bilag_internal.hmac_sha256(key bytea, message bytea) returns bytea
language plpgsql immutable set search_path = pg_catalog, pg_temp
as $$
declare
  block bytea := case when length(key) > 64 then sha256(key) else key end;
  inward bytea;
  outward bytea;
begin
  block := block || decode(repeat('00', 64 - length(block)), 'hex');
  inward := block;
  outward := block;
  for i in 0 .. 63 loop
    inward := set_byte(inward, i, get_byte(block, i) # 54);
    outward := set_byte(outward, i, get_byte(block, i) # 92);
  end loop;
  return sha256(outward || sha256(inward || message));
end $$;

comment on function bilag_internal.hmac_sha256(bytea, bytea) is 'HMAC-SHA256 (RFC 2104), without an extension.';

create or replace function bilag_internal.signed_headers(event_id text, body text, secret text) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object('Content-Type', 'application/json', 'webhook-id', event_id, 'webhook-timestamp', s.at,
    'webhook-signature', 'v1,' || encode(bilag_internal.hmac_sha256(
      case when secret like 'whsec\_%' then decode(substr(secret, 7), 'base64') else convert_to(secret, 'UTF8') end,
      convert_to(event_id || '.' || s.at || '.' || body, 'UTF8')), 'base64'))
  from (select trunc(extract(epoch from bilag_internal.now()))::bigint::text as at) as s
$$;

comment on function bilag_internal.signed_headers(text, text, text) is
  'The headers of one attempt, as standardwebhooks.com has them: HMAC-SHA256 over id, timestamp and body.';

create or replace function bilag.set_webhook(url text, secret text default null, events text[] default null) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  all_events constant text[] := array['alert.opened', 'alert.resolved', 'run.finished', 'claims.changed'];
begin
  if url is null then
    delete from bilag.webhook;
    delete from bilag.webhook_deliveries;
    perform bilag_internal.purge_webhooks();
    perform bilag_internal.resolve_alert('webhook_failing', 'webhook', 'the webhook was removed');
    return;
  end if;
  if bilag_internal.url_parts(url) is null then
    perform bilag_internal.complain('KB001', 'The webhook''s url is not an http(s) URL that names a host and no user.',
      'https://hooks.example.com/bilag; plain http only to hosts in the workers'' BILAG_ALLOWED_HTTP_HOSTS.');
  end if;
  if not coalesce(events, all_events) <@ all_events or cardinality(events) = 0 or array_position(events, null) is not null then
    perform bilag_internal.complain('KB001', 'There is an unknown event, or none.', 'The events are ' || array_to_string(all_events, ', ') || '.');
  end if;
  if secret is null and bilag_internal.webhook_secret() is null then
    perform bilag_internal.complain('KB001', 'The webhook has no secret yet.', 'Give one that the receiver knows too: ''whsec_'' and 24 random bytes or more in base64.');
  end if;
  if secret is not null then
    if secret like 'whsec\_%' and substr(secret, 7) !~ '^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$' then
      perform bilag_internal.complain('KB001', 'What follows whsec_ in the secret is not base64.', 'Give it as it was issued, or without the prefix as plain text.');
    end if;
    if length(secret) < 24 then
      perform bilag_internal.complain('KB001', 'The secret is shorter than 24 characters.', 'openssl rand -base64 32 makes a good one.');
    end if;
    perform bilag_internal.keep_webhook_secret(secret);
  end if;
  insert into bilag.webhook as w (url, events, updated_at)
  values (set_webhook.url, coalesce(set_webhook.events, all_events), bilag_internal.now())
  on conflict on constraint webhook_pkey do update
  set url = excluded.url, events = coalesce(set_webhook.events, w.events), enabled = true, failures = 0, failing_since = null, last_error = null,
    updated_at = excluded.updated_at;
end $$;

comment on function bilag.set_webhook(text, text, text[]) is
  'Sends events to this URL, signed with this secret; null keeps the present secret or events. A null url ends it and drops what waits. For service_role and the owner.';

create or replace function bilag.test_webhook() returns uuid
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  event_id uuid := gen_random_uuid();
begin
  if not exists (select from bilag.webhook w where w.enabled) then
    perform bilag_internal.complain('KB004', 'There is no webhook, or it is not enabled.', 'select bilag.set_webhook(url, secret);');
  end if;
  perform bilag_internal.send_webhooks(array[
    jsonb_build_object('event_id', event_id, 'event', 'webhook.test', 'at', bilag_internal.now())]);
  return event_id;
end $$;

comment on function bilag.test_webhook() is 'Sends the event webhook.test, and returns its id; bilag.webhook says what became of it.';

-- A worker is what is missing, so the one alert that says so also goes by pg_net, where the server has it: straight from the database,
-- under the same id. pg_net tells nobody whether it arrived, so it is sent again, ever more rarely.
create or replace function bilag_internal.call_for_help(kind text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  hook bilag.webhook;
  alert bilag.alerts;
  message jsonb;
  secret text;
begin
  select a.* into alert from bilag.alerts a where a.kind = call_for_help.kind and a.resolved_at is null order by a.id desc limit 1;
  if alert.id is null or alert.count <> all(array[1, 5, 15, 60, 240, 1440]) or not bilag_internal.wanted('alert.opened')
    or to_regprocedure('net.http_post(text, jsonb, jsonb, jsonb, integer)') is null then
    return;
  end if;
  select w.* into hook from bilag.webhook w;
  secret := bilag_internal.webhook_secret();
  -- Nobody can look at the address here, so only names over https.
  if secret is null or (bilag_internal.url_parts(hook.url))[1] <> 'https' or (bilag_internal.url_parts(hook.url))[2] ~ '^(\[|[0-9.]+$|localhost$)' then
    return;
  end if;
  message := bilag_internal.event_body(jsonb_build_object('event_id', bilag_internal.alert_event_id(alert.id, 'alert.opened'),
    'event', 'alert.opened', 'at', alert.opened_at, 'alert_id', alert.id));
  execute format('select %I.http_post($1, $2, ''{}'', $3, 10000)', 'net')
  using hook.url, message, bilag_internal.signed_headers(message ->> 'id', message::text, secret);
exception when insufficient_privilege or undefined_table or undefined_function or undefined_column or raise_exception or data_exception
  or integrity_constraint_violation then
  raise warning 'pg_net did not take the alert %: %', kind, sqlerrm;
end $$;

comment on function bilag_internal.call_for_help(text) is 'Sends an alert by pg_net, at its 1st, 5th, 15th … sign; does nothing where there is no pg_net.';
