"""What people do inside Xledger meanwhile."""

from __future__ import annotations

import pytest

from dev.fakes import XledgerFake
from tests.dev.conftest import Client, line, voucher


def test_an_accountant_deletes_a_posted_voucher(client: Client, erp: XledgerFake) -> None:
    client.add(*voucher("BL1", 41))
    assert erp.accountant.delete_posted("BL1") == 1
    assert erp.ledger.missing(["BL1"]) == ["BL1"]


def test_an_accountant_deletes_one_row_from_the_queue(client: Client, erp: XledgerFake) -> None:
    erp.import_delay = None
    client.add(*voucher("BL1", 41))
    assert erp.accountant.delete_queued("BL1", lines=1) == 1
    assert erp.counts()["queued"] == 1


def test_an_accountant_posts_a_leftover(client: Client, erp: XledgerFake) -> None:
    client.add(line("BL1", 41, "7140", "10.00"), line("BL1", 41, "2910", "-9.00"))
    assert erp.ledger.missing(["BL1"]) == ["BL1"]
    erp.accountant.post_leftover("BL1")
    assert erp.ledger.one("BL1").by == "accountant"
    assert erp.ledger.unbalanced() == ["BL1"]
    assert erp.counts() == {"queued": 0, "importErrors": 0}


def test_what_is_not_in_the_queue_cannot_be_posted(erp: XledgerFake) -> None:
    with pytest.raises(LookupError, match="BL9 is not in the import queue"):
        erp.accountant.post_leftover("BL9")


def test_an_account_that_is_opened_later_is_accepted(client: Client, erp: XledgerFake) -> None:
    erp.accountant.add_codes("accounts", {"7199": "Reise, ny konto"})
    client.add(line("BL1", 41, "7199", "10.00"), line("BL1", 41, "2910", "-10.00"))
    assert erp.ledger.sums()["7199"] == 10
