-- One outcome as a worker reports it; sql/55_outcomes.sql makes them and sql/56_settle.sql takes them.

create type bilag_internal.result as (
  lane uuid, kind text, alive boolean, same_credential boolean, told integer, id bigint, attempt integer, outcome text, external_id text, reason_code text,
  reason_params jsonb, message text, revoked boolean, seen boolean);

comment on type bilag_internal.result is 'One outcome in a report; told is how many outcomes its report has, alive whether its lease was, same_credential whether the item was sent with the lane''s present one, revoked whether the look-up made sure that nothing of the attempt can arrive any more, seen whether a look after the write says it and not its own answer.';
