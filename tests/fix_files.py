"""Fixtures: an organisation whose runs become files, and a worker that is driven by hand and really renders them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fix_bilag import Bilag, Organisation

if TYPE_CHECKING:
    from tests.sql.file_worker import FileWorker


@pytest.fixture
def club(bilag: Bilag) -> Organisation:
    """An organisation whose one integration is files, in CSV."""
    made = Organisation(bilag.database, "Fillaget", "Europe/Oslo", bilag.connection)
    made.integration("file", {"format": "csv"})
    made.map("Taxi", "7140", "file")
    made.map("Meals", "7150", "file")
    return made


@pytest.fixture
def files(bilag: Bilag) -> FileWorker:
    from tests.sql.file_worker import FileWorker

    made = FileWorker(bilag.database)
    made.hello()
    return made
