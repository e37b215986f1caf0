"""What people change of integrations and schedules is in the chain: what it was, what it is, and who did it."""

from __future__ import annotations

from typing import Any

from tests.fix_bilag import Bilag, Organisation
from tests.sql.chains import verdict
from tests.sql.fake_worker import FakeWorker
from tests.sql.slots import schedule


def links(org: Organisation) -> list[tuple[Any, ...]]:
    return org.database.sql(
        "select action, details - 'scheduleId' from bilag.bufdir_export_audit_log where org_id = %s order by sequence",
        org.id,
    )


def test_a_changed_setting_is_told_with_what_it_was(org: Organisation) -> None:
    org.configure(settlement_account="1920")
    org.database.sql("update bilag.integration_config set enabled = false, books_closed_until = '2026-01-31'")
    assert links(org) == [
        ("integration.changed", {"settlement_account": {"from": "2910", "to": "1920"}}),
        (
            "integration.changed",
            {"enabled": {"from": True, "to": False}, "books_closed_until": {"from": None, "to": "2026-01-31"}},
        ),
    ]
    assert verdict(org) is None


def test_a_change_of_a_name_and_a_pause_say_nothing_here(org: Organisation) -> None:
    org.database.sql("update bilag.integration_config set display_name = 'Regnskap'")
    org.database.sql("select bilag.pause_integration(%s, 'xledger', 'stocktaking')", org.id)
    assert [action for action, _ in links(org)] == ["integration.paused"]


def test_a_person_who_changes_a_setting_is_named(org: Organisation) -> None:
    person = org.member()
    with org.database.as_user(person) as connection:
        connection.execute("update bilag.integration_config set books = false where org_id = %s", [org.id])
    assert org.database.sql("select action, user_id from bilag.bufdir_export_audit_log") == [
        ("integration.changed", person)
    ]


def test_schedules_are_told_when_they_are_made_changed_and_removed_and_not_when_they_run(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    schedule(org, run_at="13:00")
    bilag.advance(hours=1)
    worker.tick()
    bilag.database.sql("update bilag.export_schedules set run_at = '15:00', enabled = false")
    bilag.database.sql("delete from bilag.export_schedules")
    facts = {"frequency": "daily", "run_on_day": None, "time_zone": None, "missed_run_policy": "coalesce"}
    assert links(org) == [
        ("schedule.made", {**facts, "run_at": "13:00:00", "enabled": True}),
        (
            "schedule.changed",
            {"run_at": {"from": "13:00:00", "to": "15:00:00"}, "enabled": {"from": True, "to": False}},
        ),
        ("schedule.removed", {**facts, "run_at": "15:00:00", "enabled": False}),
    ]


def test_one_statement_over_many_organisations_is_a_link_in_each_chain(bilag: Bilag, org: Organisation) -> None:
    others = [bilag.organisation(f"Other {n}") for n in range(3)]
    bilag.database.sql("update bilag.integration_config set enabled = false")
    for each in (org, *others):
        assert links(each) == [("integration.changed", {"enabled": {"from": True, "to": False}})]
