-- What a failure is made of, held by the table and not by its writers alone: seven keys, each of its kind. The first form of the
-- constraint let a null errorClass through, for a CHECK is content with what it cannot tell. And a wait that an accounting system
-- asked for becomes one of its lane: nobody there wants a look any more than a batch.

alter table bilag.export_runs
  drop constraint error_has_the_seven_keys,
  add constraint error_has_the_seven_keys check (
    error is null or coalesce(jsonb_typeof(error) = 'object' and case when jsonb_typeof(error) = 'object' then
      error ?& array['correlationId', 'errorClass', 'httpStatus', 'adapterName', 'attempt', 'message', 'isRetryable']
      and error - array['correlationId', 'errorClass', 'httpStatus', 'adapterName', 'attempt', 'message', 'isRetryable'] = '{}'
      and jsonb_typeof(error -> 'correlationId') = 'string'
      and error ->> 'correlationId' ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'
      and error ->> 'errorClass' in ('transient', 'permanent', 'timeout')
      and case jsonb_typeof(error -> 'httpStatus') when 'null' then true
        when 'number' then (error ->> 'httpStatus')::numeric between 100 and 599 else false end
      and jsonb_typeof(error -> 'adapterName') = 'string' and error ->> 'adapterName' <> ''
      and case jsonb_typeof(error -> 'attempt') when 'number' then (error ->> 'attempt')::numeric >= 1 else false end
      and jsonb_typeof(error -> 'message') = 'string' and length(error ->> 'message') <= 500
      and jsonb_typeof(error -> 'isRetryable') = 'boolean'
      and not (error ->> 'errorClass' = 'permanent' and error ->> 'isRetryable' = 'true')
    end, false));

alter table bilag.reconciliations
  add constraint error_has_the_seven_keys check (
    error is null or coalesce(jsonb_typeof(error) = 'object' and case when jsonb_typeof(error) = 'object' then
      error ?& array['correlationId', 'errorClass', 'httpStatus', 'adapterName', 'attempt', 'message', 'isRetryable']
      and error - array['correlationId', 'errorClass', 'httpStatus', 'adapterName', 'attempt', 'message', 'isRetryable'] = '{}'
      and jsonb_typeof(error -> 'correlationId') = 'string'
      and error ->> 'correlationId' ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'
      and error ->> 'errorClass' in ('transient', 'permanent', 'timeout')
      and case jsonb_typeof(error -> 'httpStatus') when 'null' then true
        when 'number' then (error ->> 'httpStatus')::numeric between 100 and 599 else false end
      and jsonb_typeof(error -> 'adapterName') = 'string' and error ->> 'adapterName' <> ''
      and case jsonb_typeof(error -> 'attempt') when 'number' then (error ->> 'attempt')::numeric >= 1 else false end
      and jsonb_typeof(error -> 'message') = 'string' and length(error ->> 'message') <= 500
      and jsonb_typeof(error -> 'isRetryable') = 'boolean'
      and not (error ->> 'errorClass' = 'permanent' and error ->> 'isRetryable' = 'true')
    end, false));

alter table bilag.export_lanes add column quiet_until timestamptz;

comment on column bilag.export_lanes.quiet_until is
  'Until then the accounting system has asked not to be called. Six hours ahead at the most; a circuit of its own is circuit_open_until.';
