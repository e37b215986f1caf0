"""From approved claims to a file that a treasurer downloads, by real workers."""

from __future__ import annotations

import time

from psycopg.types.json import Jsonb

from dev.chart import CATEGORIES
from dev.fakes import XledgerFake
from dev.fakes.remote import RemoteFake
from dev.sample import Organization, claims
from tests.fix_postgres import as_user
from tests.flow.budget import keep_budget
from tests.flow.file_club import FileClub
from tests.flow.installation import Installation
from tests.flow.patience import until
from tests.flow.stories import story
from tests.gbat10 import read_gbat10


@story()
def test_a_treasurer_asks_polls_and_downloads_a_gbat10_file(here: Installation, erp: XledgerFake) -> None:
    club = FileClub(here, claims=20, format="gbat10")
    treasurer = club.member("finance_admin")
    here.worker()
    connection = here.database.owner()
    with as_user(connection, treasurer) as session:
        run = session.execute("select bilag.request_export(%s, 'file')", (club.id,)).fetchone()
    assert run is not None

    def poll() -> bool:
        with as_user(connection, treasurer) as session:
            found = session.execute("select bilag.export_status(%s) -> 'file' ->> 'name'", run).fetchone()
        return found is not None and found[0] is not None

    until("the status that the treasurer polls has a file", poll)
    with as_user(connection, treasurer) as session:
        file = session.execute("select bilag.export_file(%s)", run).fetchone()
    assert file is not None
    assert len({row.voucher_number for row in read_gbat10(file[0])}) == 20
    assert erp.calls.total() == 0


@story()
def test_a_draining_worker_leaves_a_run_of_many_batches_as_one_file(here: Installation, erp: XledgerFake) -> None:
    here.small_batches(7)
    club = FileClub(here, claims=100)
    club.request(kind="file")
    assert here.worker("--drain").ended() == 0
    club.until_written(100)
    assert len(club.files()) == 1


def test_500_claims_of_the_demo_are_a_file_within_8_seconds(here_alone: tuple[Installation, RemoteFake]) -> None:
    here, _ = here_alone
    here.worker().said("worker.started")

    def export(_number: int) -> float:
        club = FileClub(here)
        for name, category in CATEGORIES.items():
            club.map(name, category.account, "file", vat_code=category.vat_code)
        sample = list(claims(Organization("Fillaget", "999888777", "file", claims=500, unmapped=0)))
        club.database.sql("select bilag.upsert_claims(%s, %s)", club.id, Jsonb(sample))
        began = time.monotonic()
        status = club.until_ended(club.request(kind="file"))
        took = time.monotonic() - began
        assert status["claims"]["exported"] == 500
        club.until_written(500)
        return took

    keep_budget(export)
