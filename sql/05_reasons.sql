-- The vocabulary of reasons: reference data, kept by this room. A stable code for programs, a sentence and a mend for people.

insert into bilag.reasons (reason_code, applies_to, sentence, what_to_do) values
  ('mapping_missing', 'claim', 'No account is mapped for category {category}.', 'Insert a row into bilag.account_mappings for it; the next export takes the claim.'),
  ('currency_unsupported', 'claim', 'The claim is in {currency}, but this integration books {ledgerCurrency} only.', 'Book it by hand and call mark_booked, or exclude_claim.'),
  ('no_lines', 'claim', 'The claim has no lines.', 'Reopen it with reopen_claim, add lines, approve it again.'),
  ('nothing_to_book', 'claim', 'The lines of the claim sum to zero.', 'Nothing: there is nothing to book. exclude_claim removes it from the list.'),
  ('too_many_lines', 'claim', 'The voucher has {lines} lines; this system books at most {limit} in one piece.', 'Reopen the claim and split it.'),
  ('claimant_reference_missing', 'claim', 'Settlement is by subledger, but the claim has no claimant_reference.', 'Reopen the claim and fill claimant_reference.'),
  ('period_closed', 'claim', 'The posting date {postingDate} is in a period closed until {closedUntil}.', 'Set closed_period to move, or book it by hand and call mark_booked.'),
  ('account_unknown', 'claim', 'The accounting system does not know account {code}.', 'Create the account there or correct the mapping; then retry_export.'),
  ('subledger_unknown', 'claim', 'The accounting system does not know subledger {code}.', 'Create it there or correct claimant_reference; then retry_export.'),
  ('vat_code_unknown', 'claim', 'The accounting system does not know VAT code {code}.', 'Correct vat_code of the mapping; the next export takes the claim.'),
  ('dimension_unknown', 'claim', 'The accounting system does not know dimension value {code}.', 'Create the value there or correct the dimensions.'),
  ('dimension_unsupported', 'claim', 'This accounting system has no dimension named {dimension}.', 'Correct the dimensions of the mapping or of the line, or say in the settings where it goes.'),
  ('does_not_fit', 'claim', 'The file format has no room for {field} {value}: {limit}.', 'Correct it in the mapping, the settings or the claim; then retry_export.'),
  ('file_full', 'claim', 'The file of the run is full.', 'retry_export writes the rest to another file.'),
  ('text_altered', 'claim', 'Booked, but the file format could not hold all of the text: {message}', 'Nothing; export_report has the whole text.'),
  ('refused_by_vendor', 'claim', 'The accounting system refused the voucher: {message}', 'Correct what it says; then retry_export.'),
  ('import_error', 'claim', 'The accounting system took the voucher, but its import fails: {message}', 'Correct it there, or delete its copy there: the claim is then rejected here.'),
  ('interrupted', 'claim', 'It is not known whether the accounting system has the voucher: the worker stopped before its answer.', 'Nothing: it is looked up.'),
  ('unanswered', 'claim', 'It is not known whether the accounting system has the voucher: its answer did not arrive.', 'Nothing: it is looked up.'),
  ('credential_changed', 'claim', 'The credential was changed while the voucher was in doubt; it is not found with the new one, which may reach another ledger.', 'See whether it is booked; then resolve_in_doubt.'),
  ('accepted_unclear', 'claim', 'The accounting system accepted the voucher, and now holds something else than was sent: {message}', 'Look there under its reference; resolve_in_doubt when it is booked, changed or not.'),
  ('vanished', 'claim', 'The accounting system had accepted the voucher and now has no trace of it.', 'Ask who deleted it; then resolve_in_doubt.'),
  ('doubled_at_vendor', 'claim', 'The accounting system holds the voucher more than once.', 'Delete one there; then resolve_in_doubt.'),
  ('recovered', 'claim', 'The database was restored or failed over: the voucher is looked up before it is sent.', 'Nothing: it is looked up.'),
  ('run_ended', 'claim', 'The run ended before the voucher was sent; the next run takes the claim.', 'Nothing, or request_export.'),
  ('booked_meanwhile', 'claim', 'An earlier attempt turned out to have booked the voucher; this one was never sent.', 'Nothing.'),
  ('not_booked', 'claim', 'A person said that the voucher is not booked, and a last look agreed.', 'Nothing: the next run takes the claim.'),
  ('booked_elsewhere', 'claim', 'A person marked the claim as booked elsewhere.', 'Nothing.'),
  ('released_for_reexport', 'claim', 'The voucher was deleted at the vendor, or reversed; the claim is exported again under a new reference.', 'Nothing: the next run takes the claim.'),
  ('release_requested', 'claim', 'A person says that the voucher was deleted at the vendor; it is released once a look agrees.', 'Nothing: it is looked up.'),
  ('still_there', 'claim', 'The accounting system still has the voucher, so it was not released.', 'Delete it there and call release_for_reexport again, or call reverse_export.'),
  ('not_found_with_new_credential', 'claim', 'The voucher is not found with the credential that was set since; that one may reach another ledger, so nothing was released.', 'See in the ledger that had the voucher whether it was deleted; if so, call release_for_reexport again.'),
  ('released_by_mistake', 'claim', 'The voucher was released for re-export, and was seen at the vendor after all; it counts as booked again.', 'See whether it is there; release_for_reexport asks again.'),
  ('reversal_requested', 'claim', 'A person reverses the voucher; it is looked up before its mirror is sent.', 'Nothing: it is looked up.'),
  ('looked_up_first', 'claim', 'What is exported again, or reverses a voucher, is looked up before it is sent.', 'Nothing: it is looked up.'),
  ('original_absent', 'claim', 'The voucher that was to be reversed is not in the accounting system.', 'When it was deleted there, release_for_reexport; there is nothing to reverse.'),
  ('reversal_not_sent', 'claim', 'The reversal was not booked; the voucher stands.', 'reverse_export asks for it again.'),
  ('excluded', 'claim', 'A person keeps the claim out of this integration: {reason}', 'include_claim takes it back.'),
  ('retry_later', 'run', 'The accounting system could not be reached or failed: {message}', 'Nothing: it is tried again at nextAttemptAt; retry_export makes that now.'),
  ('rate_limited', 'run', 'The accounting system asks to wait.', 'Nothing: it goes on at nextAttemptAt.'),
  ('awaiting_confirmation', 'run', 'Everything is sent; the accounting system has not posted all of it yet.', 'Nothing: it is asked until seen.'),
  ('in_doubt', 'run', 'Everything else is done; some vouchers are in doubt.', 'Look at bilag.claim_exports; resolve_in_doubt when you know better than the look-up.'),
  ('verifying_original', 'run', 'The voucher to be reversed is looked up before its mirror is sent.', 'Nothing: it goes on when the accounting system has answered.'),
  ('integration_paused', 'run', 'The integration is paused: {reason}', 'resume_integration.'),
  ('integration_disabled', 'run', 'The integration is disabled.', 'Set enabled to true in bilag.integration_config.'),
  ('everything_paused', 'run', 'All exports are paused: {reason}', 'resume_everything.'),
  ('circuit_open', 'run', 'The accounting system has failed several times in a row; the circuit is open.', 'Nothing: one batch probes it at nextAttemptAt.'),
  ('retries_exhausted', 'run', 'The accounting system kept failing for longer than the retry schedule lasts.', 'When it answers again, retry_export.'),
  ('permanent_failure', 'run', 'The accounting system refused the call: {message}', 'Correct what it says; then retry_export.'),
  ('cancelled', 'run', 'The run was cancelled.', 'request_export when the claims are to go after all.'),
  ('too_many_deliveries', 'message', 'The run was handed to workers {deliveries} times without any progress.', 'Read the worker''s log for the crash; then retry_export.'),
  ('message_means_nothing', 'message', 'The message is not one that Bilag sends.', 'Find who sends it; discard it.'),
  ('lane_unknown', 'message', 'The message names an integration that does not exist.', 'discard it.'),
  ('webhook_undelivered', 'message', 'The webhook''s receiver did not take the event in {attempts} attempts: {message}', 'Mend the receiver; redrive sends it again, under the same webhook-id.'),
  ('credential_missing', 'integration', 'There is no credential for the integration.', 'bilag secret set, or set_integration_credential: that resumes it.'),
  ('credential_expired', 'integration', 'The credential of the integration has expired.', 'Make a new one there and set it: that resumes it.'),
  ('credential_refused', 'integration', 'The accounting system refused the credential.', 'Check it there and set it again: that resumes it.'),
  ('credential_other_ledger', 'integration', 'The new credential does not find what was booked with the old one: it reaches another ledger.', 'Set the credential of the right ledger, which resumes it; or resolve_in_doubt, then resume_integration.'),
  ('credential_unreadable', 'integration', 'The credential could not be read from Vault.', 'bilag doctor says what is wrong with Vault.'),
  ('paused_by_person', 'integration', 'A person paused the integration.', 'resume_integration.')
on conflict (reason_code) do update
  set applies_to = excluded.applies_to, sentence = excluded.sentence, what_to_do = excluded.what_to_do
  where (reasons.applies_to, reasons.sentence, reasons.what_to_do)
    is distinct from (excluded.applies_to, excluded.sentence, excluded.what_to_do);

insert into bilag.alert_kinds (kind, severity, meaning, runbook) values
  ('doubled', 'critical', 'Two attempts for one claim both reported success.', 'Look the reference up at the vendor, delete one voucher there; then resolve_alert with a note of it.'),
  ('in_doubt', 'warning', 'A look-up could not tell whether vouchers are booked.', 'See bilag.claim_exports; it is looked up again by itself; resolve_in_doubt when you know.'),
  ('released_still_there', 'critical', 'A voucher that was released for re-export was seen at the vendor.', 'Look at bilag.claim_exports; if the claim is booked twice, delete one voucher there.'),
  ('vanished', 'critical', 'A voucher that the vendor had accepted is gone.', 'Ask the accountant; resolve_in_doubt.'),
  ('voucher_vanished', 'critical', 'A reconciliation did not find vouchers as they were booked.', 'See reconciliation_status; ask the accountant; release_for_reexport what was deleted, then reconcile again.'),
  ('import_error', 'warning', 'The vendor took vouchers that its own import refuses.', 'Correct or delete them at the vendor.'),
  ('credential', 'critical', 'An integration is paused because its credential is missing, expired or refused.', 'Set a new credential: that resumes it.'),
  ('credential_fallback', 'critical', 'A credential was read from the environment instead of Vault.', 'Mend Vault; it resolves when Vault gives the credential again; then unset BILAG_CREDENTIAL_FALLBACK.'),
  ('run_failed', 'warning', 'A run failed.', 'Read its error in bilag.export_runs; correct; retry_export.'),
  ('circuit_open', 'warning', 'An accounting system failed several times in a row.', 'Nothing, or ask the vendor; it is probed by itself.'),
  ('dead_letter', 'warning', 'A message or a run was set aside.', 'See bilag.dead_letters: redrive or discard; that resolves it.'),
  ('server_changed', 'critical', 'The database server or its tables are others than before: restored or failed over.', 'For a day nothing is sent before it is looked up; see what a restore asks for in docs/operations.md.'),
  ('integration_unreachable', 'warning', 'Health checks of an integration fail.', 'Ask the vendor; it resolves by itself.'),
  ('credential_expiring', 'warning', 'A credential is about to expire.', 'Make a new one and set it.'),
  ('schedule_drift', 'warning', 'A scheduled run started more than five minutes late, has not started, or was missed.', 'See bilag.schedule_drift and bilag.workers; it resolves when a later scheduled run starts in time.'),
  ('no_worker', 'critical', 'Work is due and no worker is alive.', 'Start one: bilag worker.'),
  ('scheduler_stalled', 'warning', 'pg_cron has not ticked; the workers tick instead.', 'Look at cron.job and cron.job_run_details; restart the server if its launcher died.'),
  ('maintenance_failed', 'warning', 'Old rows of a table could not be deleted.', 'Read its error in bilag.retention; mend what stands in the way; it resolves with the next sweep.'),
  ('webhook_failing', 'warning', 'The webhook''s receiver does not take events.', 'See last_error in bilag.webhook; mend the receiver, then select bilag.test_webhook(); it resolves when an event arrives.'),
  ('export_slow', 'info', 'A run takes three times as long as usual.', 'Look at bilag.attempts and bilag.runs_in_progress.')
on conflict (kind) do update
  set severity = excluded.severity, meaning = excluded.meaning, runbook = excluded.runbook
  where (alert_kinds.severity, alert_kinds.meaning, alert_kinds.runbook)
    is distinct from (excluded.severity, excluded.meaning, excluded.runbook);

create or replace function bilag_internal.tell(reason_code text, reason_params jsonb) returns text
language sql stable set search_path = pg_catalog, pg_temp
as $$
  with recursive told (n, sentence) as (
    select 0::bigint, (select r.sentence from bilag.reasons r where r.reason_code = tell.reason_code)
    union all
    select p.n, replace(told.sentence, '{' || p.key || '}', coalesce(p.value, ''))
    from told
    join (
      select row_number() over (order by e.key) as n, e.key, e.value
      from jsonb_each_text(coalesce(tell.reason_params, '{}')) as e
    ) as p on p.n = told.n + 1
  )
  select told.sentence from told order by told.n desc limit 1
$$;

comment on function bilag_internal.tell(text, jsonb) is 'The English sentence of a reason with its parameters filled in.';
