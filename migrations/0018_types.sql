-- Composite types that the functions of sql/ pass to one another: an outcome as a worker reports it, and an audit entry.

create type bilag_internal.result as (
  lane uuid, kind text, alive boolean, same_credential boolean, told integer, id bigint, attempt integer, outcome text, external_id text, reason_code text,
  reason_params jsonb, message text);

comment on type bilag_internal.result is 'One outcome in a report; told is how many outcomes its report has, alive whether its lease was, same_credential whether the item was sent with the lane''s present one.';

create type bilag_internal.audit_entry as (
  org_id uuid, action text, integration_type text, run_id uuid, note text, details jsonb, vouchers_sha256 bytea);

comment on type bilag_internal.audit_entry is 'What an audit row says, before it gets its place in the chain.';
