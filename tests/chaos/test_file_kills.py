"""SIGKILL of a worker that writes a file: each claim stands in one file, once, or is not exported yet."""

from __future__ import annotations

from contextlib import suppress
from typing import LiteralString

import psycopg

from dev.fakes import XledgerFake
from tests.chaos.obstacles import locked, ready, stuck_in
from tests.flow.file_club import FileClub
from tests.flow.installation import Installation
from tests.flow.patience import until
from tests.flow.stories import story

CLAIMS = 12
PIECES: LiteralString = "lock table bilag_internal.file_pieces in access exclusive mode"
FILES: LiteralString = "lock table bilag.export_files in access exclusive mode"


def finished_by_another(here: Installation, club: FileClub, files: int = 1) -> None:
    here.worker()
    club.until_written(CLAIMS)
    assert len(club.files()) == files
    assert "doubled" not in here.alerts()


@story(hasty=True)
def test_killed_with_every_voucher_rendered_and_none_reported(here: Installation, erp: XledgerFake) -> None:
    club = FileClub(here, claims=CLAIMS)
    unlucky = ready(here)
    with locked(here, PIECES):
        club.request(kind="file")
        stuck_in(here, "settle_exports")
        unlucky.kill()
    assert club.count("exported") == 0
    finished_by_another(here, club)


@story(hasty=True)
def test_killed_while_the_file_is_put_together(here: Installation, erp: XledgerFake) -> None:
    here.small_batches(5)
    club = FileClub(here, claims=CLAIMS)
    unlucky = ready(here)
    with locked(here, FILES):
        club.request(kind="file")
        club.until_state("exported", 10)
        stuck_in(here, "settle_exports")
        unlucky.kill()
    assert club.files() == []
    assert club.count("exported") == 10, "what comes with the file is not exported before the file is there"
    finished_by_another(here, club)


@story(hasty=True)
def test_killed_while_it_takes_the_next_batch(here: Installation, erp: XledgerFake) -> None:
    club = FileClub(here, claims=CLAIMS)
    unlucky = ready(here)
    with locked(here, "lock table bilag_internal.files_begun in access exclusive mode"):
        club.request(kind="file")
        stuck_in(here, "claim_exports")
        unlucky.kill()
    finished_by_another(here, club)


@story(hasty=True)
def test_killed_again_and_again_in_the_middle_of_a_run_of_many_batches(here: Installation, erp: XledgerFake) -> None:
    here.small_batches(1)
    club = FileClub(here, claims=CLAIMS)
    run = club.request(kind="file")
    for done in (2, 5, 8):
        with here.worker() as unlucky:
            club.until_state("exported", done)
            with locked(here, PIECES):
                if club.count("exported") < CLAIMS:
                    stuck_in(here, "settle_exports")
                unlucky.kill()
    finished_by_another(here, club)
    assert club.status(run)["claims"]["exported"] == CLAIMS


@story(hasty=True)
def test_a_worker_frozen_in_the_middle_of_its_report_wakes_up_after_the_take_over_and_changes_nothing(
    here: Installation, erp: XledgerFake
) -> None:
    club = FileClub(here, claims=CLAIMS)
    sleeper = ready(here)
    with locked(here, PIECES):
        club.request(kind="file")
        stuck_in(here, "settle_exports")
        sleeper.freeze()
    finished_by_another(here, club)
    before = club.files()
    sleeper.thaw()
    assert sleeper.stop() == 0
    assert club.files() == before
    club.until_written(CLAIMS)


@story(hasty=True)
def test_cancelled_under_a_dead_worker_the_rest_goes_into_the_next_file(here: Installation, erp: XledgerFake) -> None:
    here.small_batches(5)
    club = FileClub(here, claims=CLAIMS)
    unlucky = ready(here)
    with locked(here, FILES):
        run = club.request(kind="file")
        club.until_state("exported", 10)
        stuck_in(here, "settle_exports")
        unlucky.kill()
    here.database.sql("select bilag.cancel_export(%s)", run)
    here.worker()
    until("the run ends", lambda: club.status(run)["status"] == "cancelled")
    until("the rest is released", lambda: not club.count("in_doubt"))
    assert len(club.written()) == 10
    club.request(kind="file")
    club.until_written(CLAIMS)
    assert len(club.files()) == 2


@story(own_server=True, hasty=True)
def test_a_database_that_crashes_while_the_file_is_put_together(here: Installation, erp: XledgerFake) -> None:
    club = FileClub(here, claims=CLAIMS)
    here.worker()
    with suppress(psycopg.OperationalError), locked(here, FILES):  # who locked goes with the server
        club.request(kind="file")
        stuck_in(here, "settle_exports")
        here.restart("immediate")
    club.until_written(CLAIMS)
    assert len(club.files()) == 1
