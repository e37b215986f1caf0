-- Every privilege, in one place. Functions are executable by PUBLIC unless that is taken away, so it is taken away from all
-- of them first and given back by name. Nobody but the worker has USAGE on bilag_internal; policies and views reach their helpers
-- by EXECUTE alone. anon gets nothing. No role gets anything on pgmq, vault or cron.

-- From ours, with what was granted by hand and by default privileges of the database; what an application put beside them keeps its own.
select bilag_migrate.take_back();

grant usage on schema bilag to authenticated, service_role, bilag_observer;
grant usage on schema bilag_internal to bilag_worker;

-- What policies and views ask.
grant execute on function
  bilag_internal.my_org_ids(), bilag_internal.my_finance_org_ids(), bilag_internal.is_service(), bilag_internal.clock_now(),
  bilag_internal.tell(text, jsonb), bilag_internal.claims_by_state(uuid), bilag_internal.run_progress(uuid), bilag_internal.everything_paused()
  to authenticated, service_role, bilag_observer;
grant execute on function bilag_internal.caller(), bilag_internal.my_claim_ids(), bilag_internal.my_claim_exports()
  to authenticated, service_role;
grant execute on function bilag_internal.queue_lengths(), bilag_internal.dead_letters(), bilag_internal.measure() to service_role, bilag_observer;

-- The worker: its verbs, and not one table.
grant execute on function
  bilag_internal.hello(uuid, text, integer, text, integer, text),
  bilag_internal.claim_exports(uuid, integer, integer, integer),
  bilag_internal.settle_exports(uuid, jsonb),
  bilag_internal.claim_health_checks(uuid, integer, integer),
  bilag_internal.settle_health_checks(uuid, jsonb),
  bilag_internal.beat(uuid, uuid[], integer, integer),
  bilag_internal.log_attempts(jsonb),
  bilag_internal.read_credential(uuid, uuid),
  bilag_internal.fell_back(uuid),
  bilag_internal.due_soon(uuid),
  bilag_internal.work_left(text[]),
  bilag_internal.take_webhooks(uuid, integer, integer),
  bilag_internal.settle_webhooks(uuid, jsonb),
  bilag_internal.tick()
  to bilag_worker;

-- What people call; each function asks for finance or membership itself.
grant execute on function
  bilag.request_export(uuid, text, date, text),
  bilag.preview_export(uuid, text, date, integer),
  bilag.export_status(uuid),
  bilag.export_report(uuid),
  bilag.export_file(uuid),
  bilag.cancel_export(uuid, text),
  bilag.retry_export(uuid),
  bilag.explain_claim(uuid, text),
  bilag.resolve_in_doubt(uuid, text, text, text, text),
  bilag.mark_booked(uuid, text, text, text),
  bilag.exclude_claim(uuid, text, text),
  bilag.include_claim(uuid, text),
  bilag.reopen_claim(uuid, text),
  bilag.release_for_reexport(uuid, text, text),
  bilag.reverse_export(uuid, text, date, text),
  bilag.period_summary(uuid, text, date, date),
  bilag.request_reconciliation(uuid, text, date, date),
  bilag.reconciliation_status(uuid),
  bilag.set_integration_credential(uuid, text, text, timestamptz),
  bilag.pause_integration(uuid, text, text, timestamptz),
  bilag.resume_integration(uuid, text),
  bilag.resolve_alert(bigint, text),
  bilag.request_health_check(uuid),
  bilag.health_check_status(uuid),
  bilag.upsert_claims(uuid, jsonb),
  bilag.anonymize_claimant(uuid, text)
  to authenticated, service_role;

grant execute on function
  bilag.set_webhook(text, text, text[]), bilag.test_webhook(),
  bilag.pause_everything(text), bilag.resume_everything(), bilag.redrive(bigint), bilag.discard(bigint, text), bilag.verify_audit(uuid, text),
  bilag.allow_host(text, text), bilag.disallow_host(text, text)
  to service_role;

-- What a person may read; policies say which rows.
grant select on
  bilag.organizations,
  bilag.organization_members,
  bilag.integration_config,
  bilag.export_schedules,
  bilag.export_runs,
  bilag.integration_health_status,
  bilag.health_check_history,
  bilag.export_items,
  bilag.export_lines,
  bilag.export_files,
  bilag.integration_run_logs,
  bilag.alerts,
  bilag.bufdir_export_audit_log,
  bilag.claim_exclusions,
  bilag.reconciliations,
  bilag.reconciliation_findings,
  bilag.expense_claim_lines,
  bilag.account_mappings,
  bilag.expense_claims,
  bilag.integration_types,
  bilag.reasons,
  bilag.alert_kinds
  to authenticated;

grant select on
  bilag.overview, bilag.claim_exports, bilag.runs_in_progress, bilag.stuck, bilag.open_alerts, bilag.attempts, bilag.schedule_drift,
  bilag.health_trend
  to authenticated;

-- A lane without its lease token: whoever holds that may speak as the worker.
grant select (
    integration_id, org_id, integration_type, run_id, due_at, lease_until, leased_at, leased_by, deliver_until, deliveries, in_flight,
    sending, voucher_number_last, failures, circuit_open_until, quiet_until)
  on bilag.export_lanes to authenticated, bilag_observer;

-- What a finance_admin may write. `booked` and `approved_in` of a claim are the machinery's.
grant insert (org_id, integration_type, display_name, settings, enabled, health_mode, books, export_from, books_closed_until),
  update (display_name, settings, enabled, health_mode, books, export_from, books_closed_until) on bilag.integration_config to authenticated, service_role;
grant insert, update, delete on bilag.account_mappings to authenticated, service_role;
grant insert (org_id, integration_type, frequency, run_at, run_on_day, time_zone, missed_run_policy, enabled),
  update (frequency, run_at, run_on_day, time_zone, missed_run_policy, enabled), delete on bilag.export_schedules to authenticated, service_role;
grant insert (org_id, integration_type, period_end, idempotency_key) on bilag.export_runs to authenticated, service_role;

grant insert (org_id, claim_number, claimant_name, claimant_reference, claimant_user_id, currency, status, approved_at, documentation_url),
  update (claim_number, claimant_name, claimant_reference, claimant_user_id, currency, status, approved_at, documentation_url), delete
  on bilag.expense_claims to authenticated, service_role;
-- A person does not choose the id: that one is taken would tell that another's claim has it.
grant insert (id) on bilag.expense_claims to service_role;
grant insert, update, delete on bilag.expense_claim_lines to authenticated, service_role;

-- An application server: everything to read, the nouns of the application to write.
grant select on all tables in schema bilag to service_role;
grant insert, update, delete on bilag.organizations, bilag.organization_members to service_role;
grant update (enabled) on bilag.webhook to service_role;
grant insert, update on bilag.integration_health_status, bilag.health_check_history to service_role;

-- Operations, without names and without money.
grant select on
  bilag.organizations,
  bilag.integration_config,
  bilag.export_schedules,
  bilag.export_runs,
  bilag.integration_health_status,
  bilag.health_check_history,
  bilag.integration_run_logs,
  bilag.alerts,
  bilag.installation,
  bilag.worker_heartbeats,
  bilag.retry_schedule,
  bilag.retention,
  bilag.webhook_deliveries,
  bilag.integration_types,
  bilag.reasons,
  bilag.alert_kinds,
  bilag.overview, bilag.runs_in_progress, bilag.stuck, bilag.metrics, bilag.queue_status, bilag.open_alerts, bilag.dead_letters, bilag.attempts,
  bilag.workers, bilag.schedule_drift, bilag.health_trend
  to bilag_observer;

-- How vouchers stand, by number and state; not what is in them, whose they are, nor what a vendor said of one.
grant select (
    id, run_id, org_id, integration_id, integration_type, claim_id, position, revision, reverses, state, holds, books, suspect, reference,
    voucher_number, posting_date, line_count, vehicle, attempt, correlation_id, sent_at, answered, absent_from, looked_at, next_look_at,
    looks, last_look, look_first, booked_at, settled_at, reason_code, created_at)
  on bilag.export_items to bilag_observer;
grant select (id, org_id, claim_number, status, approved_at, booked, created_at) on bilag.expense_claims to bilag_observer;
