-- Secrets live in Vault under the name integration_{integration_id}_api_key and are read through one function that the
-- worker alone may call, for a lease that is alive or just before a scheduled run. Only this room names `vault`.

create or replace function bilag_internal.secret_name(integration_id uuid) returns text
language sql immutable set search_path = pg_catalog, pg_temp
as $$ select 'integration_' || integration_id || '_api_key' $$;

comment on function bilag_internal.secret_name(uuid) is 'The naming convention of secrets.';

create or replace function bilag_internal.keep_secret(name text, secret text, description text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  secret_id uuid := (select s.id from vault.secrets s where s.name = keep_secret.name);
begin
  if secret_id is null then
    perform vault.create_secret(secret, name, description);
  else
    perform vault.update_secret(secret_id, secret);
  end if;
end $$;

comment on function bilag_internal.keep_secret(text, text, text) is 'Puts a secret into Vault, in place of the one that had its name.';

create or replace function bilag.set_integration_credential(
  org_id uuid, integration_type text, secret text, expires_at timestamptz default null
) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  integration bilag.integration_config;
begin
  perform bilag_internal.require_finance(org_id);
  integration := bilag_internal.integration_of(org_id, integration_type);
  if coalesce(btrim(secret, E' \t\r\n'), '') = '' then
    perform bilag_internal.complain('KB001', 'The secret is empty.', 'Give the token or the JSON that the accounting system issued.');
  end if;
  -- The lane first, as every verb; then what a settle may have written while this waited.
  perform from bilag.export_lanes l where l.integration_id = integration.id for update;
  select c.* into integration from bilag.integration_config c where c.id = integration.id for no key update;
  perform bilag_internal.keep_secret(bilag_internal.secret_name(integration.id), secret, 'Bilag: credential of an integration');
  update bilag.integration_config c
  set credential_version = c.credential_version + 1, credential_expires_at = expires_at
  where c.id = integration.id;
  if integration.paused_reason_code like 'credential_%' then
    perform bilag_internal.resume(array[integration.id]);
  end if;
  perform bilag_internal.resolve_alert('credential', integration.id::text, 'a new credential was set');
  perform bilag_internal.credential_renewed(integration.id);
  perform bilag_internal.audit(org_id, 'credential.changed', integration_type, null, null,
    jsonb_build_object('version', integration.credential_version + 1, 'expiresAt', expires_at));
end $$;

comment on function bilag.set_integration_credential(uuid, text, text, timestamptz) is
  'Puts the credential of an integration into Vault, never to be read back here. Resumes an integration that waits for one.';

-- Vault has no function that deletes: the secret is overwritten with nothing, which reads as none.
create or replace function bilag_internal.discard_credential(integration_id uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  integration bilag.integration_config;
begin
  if not exists (select from vault.secrets s where s.name = bilag_internal.secret_name(integration_id)) then
    return false;
  end if;
  select c.* into integration from bilag.integration_config c where c.id = integration_id;
  perform vault.update_secret(s.id, '') from vault.secrets s where s.name = bilag_internal.secret_name(integration_id);
  perform bilag_internal.audit(integration.org_id, 'credential.discarded', integration.integration_type, null, null,
    jsonb_build_object('version', integration.credential_version + 1));
  return true;
end $$;

comment on function bilag_internal.discard_credential(uuid) is
  'The host in the settings became another: what was given for the old one is gone. False if there was nothing.';

create or replace function bilag_internal.has_credential(integration_id uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select coalesce((select s.decrypted_secret <> '' from vault.decrypted_secrets s where s.name = bilag_internal.secret_name(integration_id)), false) $$;

comment on function bilag_internal.has_credential(uuid) is 'Whether Vault holds a secret for this integration. For the owner, as bilag doctor.';

create or replace function bilag_internal.read_credential(integration_id uuid, lease_token uuid) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
  answer jsonb;
begin
  if not exists (
    select from bilag.export_lanes l
    where l.integration_id = read_credential.integration_id and l.lease_token = read_credential.lease_token
      and l.lease_until > bilag_internal.now()
  ) and not bilag_internal.checks_health(integration_id, lease_token) and not bilag_internal.makes_ready(integration_id, lease_token) then
    perform bilag_internal.complain('KB020', 'There is no live lease for this integration.', 'Claim it first.');
  end if;
  select jsonb_build_object('secret', s.decrypted_secret, 'version', c.credential_version, 'expiresAt', c.credential_expires_at)
  into answer
  from bilag.integration_config c
  left join vault.decrypted_secrets s on s.name = bilag_internal.secret_name(c.id)
  where c.id = read_credential.integration_id;
  if answer ->> 'secret' is not null then
    perform bilag_internal.resolve_alert('credential_fallback', read_credential.integration_id::text, 'Vault gives the credential again');
  end if;
  return answer;
end $$;

comment on function bilag_internal.read_credential(uuid, uuid) is
  'The secret of an integration, for the holder of its live lease, or for a worker by its own id in the minute before a scheduled run: {secret, version, expiresAt}; secret null when there is none.';

create or replace function bilag_internal.fell_back(integration_id uuid) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  select bilag_internal.raise_alert('credential_fallback', c.id::text, c.org_id, c.integration_type,
    'Vault did not give the credential, and a worker took one from its environment.')
  from bilag.integration_config c where c.id = fell_back.integration_id
$$;

comment on function bilag_internal.fell_back(uuid) is 'A worker says that it read a credential from its environment; over when Vault gives that credential again.';

create or replace function bilag_internal.keep_webhook_secret(secret text) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$ select bilag_internal.keep_secret('bilag_webhook_secret', secret, 'Bilag: what the webhook is signed with') $$;

comment on function bilag_internal.keep_webhook_secret(text) is 'Puts what the webhook is signed with into Vault, as bilag_webhook_secret.';

create or replace function bilag_internal.webhook_secret() returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select s.decrypted_secret from vault.decrypted_secrets s where s.name = 'bilag_webhook_secret' $$;

comment on function bilag_internal.webhook_secret() is 'What the webhook is signed with. For the signing functions alone; no role may call it.';

create or replace function bilag_internal.vault_answers() returns boolean
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
  perform length(s.decrypted_secret) from vault.decrypted_secrets s limit 1;  -- decrypts one: without the root key there is no answer
  return true;
exception
  when undefined_table then
    perform bilag_internal.complain('KB021', 'There is no Vault in this database: vault.decrypted_secrets does not exist.',
      'create extension supabase_vault; on a plain server, restore the schema vault from a backup.');
  when insufficient_privilege then
    perform bilag_internal.complain('KB021', format('%s, who owns the functions of Bilag, may not read Vault: %s.', current_user, sqlerrm),
      format('As the owner of the schema vault: grant usage on schema vault to %1$I; grant select on vault.secrets, '
        'vault.decrypted_secrets to %1$I; grant execute on all functions in schema vault to %1$I.', current_user));
  when data_exception or internal_error then
    perform bilag_internal.complain('KB021', format('Vault does not open its secrets: %s.', sqlerrm),
      'Its root key is another project''s, as after a dump was restored elsewhere. Put the key back, or set each secret again.');
end $$;

comment on function bilag_internal.vault_answers() is
  'Reads Vault once, so that a worker fails at its start and not at its first voucher; KB021 says what is wrong.';

create or replace function bilag_internal.secret_names() returns setof text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select s.name from vault.secrets s
  where s.name in (select bilag_internal.secret_name(c.id) from bilag.integration_config c) order by s.name
$$;

comment on function bilag_internal.secret_names() is 'The names of this installation''s secrets in Vault.';

create or replace function bilag_internal.drop_secrets() returns setof text
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
  delete from vault.secrets s
  where s.name in (select bilag_internal.secret_name(c.id) from bilag.integration_config c union all select 'bilag_webhook_secret')
  returning s.name
$$;

comment on function bilag_internal.drop_secrets() is 'Deletes this installation''s secrets from Vault and returns their names: bilag uninstall --secrets.';
