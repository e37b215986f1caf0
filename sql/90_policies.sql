-- Who sees which row. Members see how things stand, finance_admins see and steer the money of their organisations, claimants see
-- their own claims. All of it rests on bilag_hooks.memberships(), asked once per statement (see 10_members.sql).

create policy members_see_their_organization on bilag.organizations for select to authenticated
  using (id = any (array(select bilag_internal.my_org_ids())));

create policy members_see_each_other on bilag.organization_members for select to authenticated
  using (org_id = any (array(select bilag_internal.my_org_ids())));

create policy members_see_their_own on bilag.integration_config for select to authenticated
  using (org_id = any (array(select bilag_internal.my_org_ids())));

create policy members_see_their_own on bilag.export_schedules for select to authenticated
  using (org_id = any (array(select bilag_internal.my_org_ids())));

create policy members_see_their_own on bilag.export_runs for select to authenticated
  using (org_id = any (array(select bilag_internal.my_org_ids())));

create policy members_see_their_own on bilag.export_lanes for select to authenticated
  using (org_id = any (array(select bilag_internal.my_org_ids())));

create policy members_see_their_own on bilag.integration_health_status for select to authenticated
  using (org_id = any (array(select bilag_internal.my_org_ids())));

create policy members_see_their_own on bilag.health_check_history for select to authenticated
  using (org_id = any (array(select bilag_internal.my_org_ids())));

create policy finance_sees_its_own on bilag.export_items for select to authenticated
  using (org_id = any (array(select bilag_internal.my_finance_org_ids())));

create policy finance_sees_its_own on bilag.export_lines for select to authenticated
  using (org_id = any (array(select bilag_internal.my_finance_org_ids())));

create policy finance_sees_its_own on bilag.export_files for select to authenticated
  using (org_id = any (array(select bilag_internal.my_finance_org_ids())));

create policy finance_sees_its_own on bilag.integration_run_logs for select to authenticated
  using (org_id = any (array(select bilag_internal.my_finance_org_ids())));

create policy finance_sees_its_own on bilag.alerts for select to authenticated
  using (org_id = any (array(select bilag_internal.my_finance_org_ids())));

create policy finance_sees_its_own on bilag.bufdir_export_audit_log for select to authenticated
  using (org_id = any (array(select bilag_internal.my_finance_org_ids())));

create policy finance_sees_its_own on bilag.reconciliations for select to authenticated
  using (org_id = any (array(select bilag_internal.my_finance_org_ids())));

create policy finance_sees_its_own on bilag.reconciliation_findings for select to authenticated
  using (org_id = any (array(select bilag_internal.my_finance_org_ids())));

create policy finance_sees_its_own on bilag.claim_exclusions for select to authenticated
  using (org_id = any (array(select bilag_internal.my_finance_org_ids())));

create policy finance_sees_its_own on bilag.expense_claim_lines for select to authenticated
  using (org_id = any (array(select bilag_internal.my_finance_org_ids())));

create policy finance_sees_its_own on bilag.account_mappings for select to authenticated
  using (org_id = any (array(select bilag_internal.my_finance_org_ids())));

create policy finance_sees_its_own on bilag.expense_claims for select to authenticated
  using (org_id = any (array(select bilag_internal.my_finance_org_ids())));

create policy claimants_see_their_own on bilag.expense_claims for select to authenticated
  using (claimant_user_id = (select bilag_internal.caller()) and org_id = any (array(select bilag_internal.my_org_ids())));

create policy claimants_see_their_own on bilag.expense_claim_lines for select to authenticated
  using (claim_id = any (array(select bilag_internal.my_claim_ids())));

create policy finance_adds_its_own on bilag.expense_claims for insert to authenticated
  with check (org_id = any (array(select bilag_internal.my_finance_org_ids())));

create policy finance_changes_its_own on bilag.expense_claims for update to authenticated
  using (org_id = any (array(select bilag_internal.my_finance_org_ids())))
  with check (org_id = any (array(select bilag_internal.my_finance_org_ids())));

create policy finance_removes_its_own on bilag.expense_claims for delete to authenticated
  using (org_id = any (array(select bilag_internal.my_finance_org_ids())));

-- The claim, too: the primary key is asked before the foreign key, and would tell a stranger that a claim has such a line.
create policy finance_adds_its_own on bilag.expense_claim_lines for insert to authenticated
  with check (org_id = any (array(select bilag_internal.my_finance_org_ids()))
    and exists (select from bilag.expense_claims c where c.id = claim_id and c.org_id = expense_claim_lines.org_id));

create policy finance_changes_its_own on bilag.expense_claim_lines for update to authenticated
  using (org_id = any (array(select bilag_internal.my_finance_org_ids())))
  with check (org_id = any (array(select bilag_internal.my_finance_org_ids()))
    and exists (select from bilag.expense_claims c where c.id = claim_id and c.org_id = expense_claim_lines.org_id));

create policy finance_removes_its_own on bilag.expense_claim_lines for delete to authenticated
  using (org_id = any (array(select bilag_internal.my_finance_org_ids())));

create policy vocabulary_is_for_all on bilag.integration_types for select to authenticated, service_role, bilag_observer
  using (true);

create policy vocabulary_is_for_all on bilag.reasons for select to authenticated, service_role, bilag_observer
  using (true);

create policy vocabulary_is_for_all on bilag.alert_kinds for select to authenticated, service_role, bilag_observer
  using (true);

create policy finance_adds_its_own on bilag.integration_config for insert to authenticated
  with check (org_id = any (array(select bilag_internal.my_finance_org_ids())));

create policy finance_changes_its_own on bilag.integration_config for update to authenticated
  using (org_id = any (array(select bilag_internal.my_finance_org_ids())))
  with check (org_id = any (array(select bilag_internal.my_finance_org_ids())));

create policy finance_adds_its_own on bilag.account_mappings for insert to authenticated
  with check (org_id = any (array(select bilag_internal.my_finance_org_ids())));

create policy finance_changes_its_own on bilag.account_mappings for update to authenticated
  using (org_id = any (array(select bilag_internal.my_finance_org_ids())))
  with check (org_id = any (array(select bilag_internal.my_finance_org_ids())));

create policy finance_adds_its_own on bilag.export_schedules for insert to authenticated
  with check (org_id = any (array(select bilag_internal.my_finance_org_ids())));

create policy finance_changes_its_own on bilag.export_schedules for update to authenticated
  using (org_id = any (array(select bilag_internal.my_finance_org_ids())))
  with check (org_id = any (array(select bilag_internal.my_finance_org_ids())));

create policy finance_removes_its_own on bilag.account_mappings for delete to authenticated
  using (org_id = any (array(select bilag_internal.my_finance_org_ids())));

create policy finance_removes_its_own on bilag.export_schedules for delete to authenticated
  using (org_id = any (array(select bilag_internal.my_finance_org_ids())));

create policy finance_queues_its_own on bilag.export_runs for insert to authenticated
  with check (org_id = any (array(select bilag_internal.my_finance_org_ids())));

create policy service_serves_all on bilag.organizations for all to service_role
  using (true)
  with check (true);

create policy service_serves_all on bilag.organization_members for all to service_role
  using (true)
  with check (true);

create policy service_serves_all on bilag.integration_config for all to service_role
  using (true)
  with check (true);

create policy service_serves_all on bilag.export_schedules for all to service_role
  using (true)
  with check (true);

create policy service_serves_all on bilag.export_runs for all to service_role
  using (true)
  with check (true);

create policy service_serves_all on bilag.export_lanes for all to service_role
  using (true)
  with check (true);

create policy service_serves_all on bilag.integration_health_status for all to service_role
  using (true)
  with check (true);

create policy service_serves_all on bilag.health_check_history for all to service_role
  using (true)
  with check (true);

create policy service_serves_all on bilag.export_items for all to service_role
  using (true)
  with check (true);

create policy service_serves_all on bilag.export_lines for all to service_role
  using (true)
  with check (true);

create policy service_serves_all on bilag.export_files for all to service_role
  using (true)
  with check (true);

create policy service_serves_all on bilag.integration_run_logs for all to service_role
  using (true)
  with check (true);

create policy service_serves_all on bilag.retention for all to service_role
  using (true)
  with check (true);

create policy vocabulary_is_for_all on bilag.retention for select to bilag_observer
  using (true);

create policy service_serves_all on bilag.alerts for all to service_role
  using (true)
  with check (true);

create policy service_serves_all on bilag.bufdir_export_audit_log for all to service_role
  using (true)
  with check (true);

create policy service_serves_all on bilag.reconciliations for all to service_role
  using (true)
  with check (true);

create policy service_serves_all on bilag.reconciliation_findings for all to service_role
  using (true)
  with check (true);

create policy service_serves_all on bilag.claim_exclusions for all to service_role
  using (true)
  with check (true);

create policy service_serves_all on bilag.expense_claim_lines for all to service_role
  using (true)
  with check (true);

create policy service_serves_all on bilag.account_mappings for all to service_role
  using (true)
  with check (true);

create policy service_serves_all on bilag.expense_claims for all to service_role
  using (true)
  with check (true);

create policy service_serves_all on bilag.installation for all to service_role
  using (true)
  with check (true);

create policy service_serves_all on bilag.worker_heartbeats for all to service_role
  using (true)
  with check (true);

create policy service_serves_all on bilag.webhook for all to service_role
  using (true)
  with check (true);

create policy service_serves_all on bilag.webhook_deliveries for all to service_role
  using (true)
  with check (true);

create policy observers_watch_operations on bilag.webhook_deliveries for select to bilag_observer
  using (true);

create policy service_serves_all on bilag.retry_schedule for all to service_role
  using (true)
  with check (true);

create policy observers_watch_operations on bilag.organizations for select to bilag_observer
  using (true);

create policy observers_watch_operations on bilag.integration_config for select to bilag_observer
  using (true);

create policy observers_watch_operations on bilag.export_schedules for select to bilag_observer
  using (true);

create policy observers_watch_operations on bilag.export_runs for select to bilag_observer
  using (true);

create policy observers_watch_operations on bilag.export_lanes for select to bilag_observer
  using (true);

create policy observers_watch_operations on bilag.integration_health_status for select to bilag_observer
  using (true);

create policy observers_watch_operations on bilag.health_check_history for select to bilag_observer
  using (true);

create policy observers_watch_operations on bilag.integration_run_logs for select to bilag_observer
  using (true);

create policy observers_watch_operations on bilag.alerts for select to bilag_observer
  using (true);

create policy observers_watch_operations on bilag.installation for select to bilag_observer
  using (true);

create policy observers_watch_operations on bilag.worker_heartbeats for select to bilag_observer
  using (true);

create policy observers_watch_operations on bilag.retry_schedule for select to bilag_observer
  using (true);

create policy observers_watch_operations on bilag.export_items for select to bilag_observer
  using (true);

create policy observers_watch_operations on bilag.expense_claims for select to bilag_observer
  using (true);
