-- unless there is a schema vault
--
-- A stand-in for Supabase's Vault, made only where there is no schema `vault`: the same functions and the same view, over
-- pgcrypto's pgp_sym_encrypt with AES-256 and its integrity check. There is no cryptography of our own here. For production
-- use supabase_vault, which keeps its root key outside of SQL's reach altogether.
--
-- The root key is a file on the server, named by the setting bilag.vault_key_file: at least 32 characters, outside the data
-- directory, readable by the server alone. It is never in the database, so neither in a dump nor in WAL; whoever steals a
-- backup has ciphertext. The functions run as their owner, who must be able to read server files: a superuser, or a member
-- of pg_read_server_files with EXECUTE on pg_read_file(text, bigint, bigint, boolean).
--
-- A secret exists in plain only in the memory of the session that passes it: it is encrypted before it becomes a row. Errors
-- say which key file or which secret, never what is in it.

-- Standard bodies bind pgcrypto's functions as they are made, wherever the extension lives, and hold on to them when it moves.
select set_config('search_path', format('pg_catalog, %I, pg_temp', n.nspname), true)
from pg_extension e join pg_namespace n on n.oid = e.extnamespace
where e.extname = 'pgcrypto';

create schema vault;
comment on schema vault is 'Secrets, encrypted under a root key that is a file on the server. A stand-in for Supabase''s Vault.';

create table vault.secrets (
  id          uuid primary key default gen_random_uuid(),
  name        text,
  description text not null default '',
  secret      text not null,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  constraint name_is_unique unique (name)
);

alter table vault.secrets enable row level security;

comment on table vault.secrets is 'Ciphertext. Written through vault.create_secret and vault.update_secret only.';
comment on column vault.secrets.secret is 'An OpenPGP message (RFC 4880), symmetrically encrypted with AES-256, in base64.';

create function vault.root_key() returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
  file text := nullif(current_setting('bilag.vault_key_file', true), '');
  root text;
begin
  if file is null then
    raise exception 'The Vault root key is not configured: the setting bilag.vault_key_file is empty.'
      using errcode = 'KB021', hint = 'Write 32 random bytes, in hexadecimal, to a file that only the server can read, and '
        'put its absolute path into postgresql.conf as bilag.vault_key_file.';
  end if;
  begin
    root := btrim(pg_read_file(file, 0, 4096, true), E' \t\r\n');
  exception
    when insufficient_privilege then
      raise exception 'The Vault root key cannot be read: role % or the server has no permission to read %.', current_user, file
        using errcode = 'KB021', hint = 'The file must belong to the user that the server runs as. The owner of schema vault must be '
          'a superuser, or a member of pg_read_server_files with EXECUTE on pg_read_file(text, bigint, bigint, boolean).';
    when character_not_in_repertoire or untranslatable_character then
      raise exception 'The Vault root key in % is not text.', file
        using errcode = 'KB021', hint = 'Write it in hexadecimal.';
  end;
  if root is null then
    raise exception 'The Vault root key cannot be read: there is no file %.', file
      using errcode = 'KB021', hint = 'Put the key file back from where the keys of this server are kept. A new one opens no old secret.';
  end if;
  if length(root) < 32 then
    raise exception 'The Vault root key in % is too short: it has % characters, 32 is the least.', file, length(root)
      using errcode = 'KB021', hint = 'An emptied or truncated key file opens no secret: put the key back.';
  end if;
  return root;
end $$;

comment on function vault.root_key() is 'The root key from its file on the server. Nobody is granted it.';

create function vault.seal(plain text) returns text
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  select encode(pgp_sym_encrypt(plain, vault.root_key(), 'cipher-algo=aes256'), 'base64');
end;

comment on function vault.seal(text) is 'Encrypts under the root key. Nobody is granted it.';

create function vault.open_sealed(sealed text) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select pgp_sym_decrypt(decode(sealed, 'base64'), vault.root_key());
end;

comment on function vault.open_sealed(text) is 'Decrypts under the root key and checks integrity. Nobody is granted it.';

create function vault.open_secret(secret_id uuid, sealed text) returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
  return vault.open_sealed(sealed);
exception when external_routine_invocation_exception or invalid_parameter_value then
  raise exception 'The Vault root key in % does not open secret %.', current_setting('bilag.vault_key_file', true), secret_id
    using errcode = 'KB021', hint = 'Either the key file is another server''s, or the secret was damaged or written around '
      'vault.create_secret. Put the right key back, or set the secret again.';
end $$;

comment on function vault.open_secret(uuid, text) is 'A secret in plain, or an error that names it. Nobody is granted it.';

create view vault.decrypted_secrets as
  select s.id, s.name, s.description, s.secret, vault.open_secret(s.id, s.secret) as decrypted_secret, s.created_at, s.updated_at
  from vault.secrets s;

comment on view vault.decrypted_secrets is 'Secrets in plain, for their owner alone: it decrypts what is selected, as it is selected.';

create function vault.create_secret(new_secret text, new_name text default null, new_description text default '') returns uuid
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  insert into vault.secrets (name, description, secret)
  values (new_name, coalesce(new_description, ''), vault.seal(new_secret))
  returning id;
end;

comment on function vault.create_secret(text, text, text) is 'Keeps a secret and returns its id. Pass it as a parameter, never as text.';

create function vault.update_secret(
  secret_id uuid, new_secret text default null, new_name text default null, new_description text default null
) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  update vault.secrets s
  set secret = case when new_secret is null then s.secret else vault.seal(new_secret) end,
      name = coalesce(new_name, s.name),
      description = coalesce(new_description, s.description),
      updated_at = now()
  where s.id = secret_id;
end;

comment on function vault.update_secret(uuid, text, text, text) is 'Replaces what is given of a secret; null leaves it.';

-- Lesson of Supabase's own: a direct INSERT kept plaintext and broke the view. A CHECK would refuse it too, but would print the
-- row, secret and all, into the server's log.
create function vault.refuse_plaintext() returns trigger
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'vault.secrets holds ciphertext only.'
    using errcode = 'KB021', hint = 'Call vault.create_secret or vault.update_secret, with the secret as a parameter.';
end $$;

comment on function vault.refuse_plaintext() is 'Raises without naming the value.';

-- 0xC3 0x0D 0x04 0x09 opens every message of ours: a session key packet, version 4, AES-256.
create trigger secrets_are_ciphertext before insert or update of secret on vault.secrets
for each row when (new.secret !~ '^ww0ECQ') execute function vault.refuse_plaintext();

revoke all on all functions in schema vault from public;
