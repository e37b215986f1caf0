"""``$batch`` in the fake Business Central, and the faults that only it has."""

from __future__ import annotations

import httpx
import pytest

from dev.fakes import Dynamics365Fake
from tests.dev.bc_client import SNAPSHOT, BcClient, line, voucher

JSON = {"Content-Type": "application/json"}


def statuses(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [one["status"] for one in answer.json()["responses"]]


def test_a_first_operation_that_fails_answers_alone(bc_client: BcClient) -> None:
    journal = bc_client.journal()
    answer = bc_client.batch(*bc_client.adding(journal, line(1, "B", "9", 5), *voucher("C")), headers=SNAPSHOT)
    assert statuses(answer) == [400]
    assert bc_client.lines(journal) == []


def test_a_line_number_twice_voids_the_envelope(bc_client: BcClient) -> None:
    journal = bc_client.journal()
    answer = bc_client.batch(*bc_client.adding(journal, *voucher("B"), *voucher("C")), headers=SNAPSHOT)
    assert statuses(answer) == [201, 201, 400, 400]
    assert answer.json()["responses"][2]["body"]["error"]["code"] == "Internal_EntityWithSameKeyExists"
    assert bc_client.lines(journal) == []


def test_continue_on_error_writes_what_it_can(bc_client: BcClient) -> None:
    journal = bc_client.journal()
    operations = bc_client.adding(journal, line(1, "B", "9", 5), *voucher("C"))
    answer = bc_client.batch(*operations, headers={"Prefer": "odata.continue-on-error"})
    assert statuses(answer) == [400, 201, 201]
    assert len(bc_client.lines(journal)) == 2


def test_operations_without_ids_are_answered_with_null(bc_client: BcClient) -> None:
    answer = bc_client.batch(*bc_client.adding(bc_client.journal(), *voucher("B")), numbered=False)
    assert [one["id"] for one in answer.json()["responses"]] == [None, None]


def test_a_batch_can_read_change_and_delete(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    company, journal = f"companies({bc.company.code})", bc_client.journal()
    first, second = (one["body"]["id"] for one in bc_client.write(journal, *voucher("B")))
    lines = f"{company}/journals({journal})/journalLines"
    answer = bc_client.batch(
        {"method": "PATCH", "url": f"{lines}({first})", "headers": {**JSON, "If-Match": "*"}, "body": {"amount": 7}},
        {"method": "DELETE", "url": f"{lines}({second})", "headers": {"If-Match": "*"}},
        {"method": "GET", "url": f"{bc.url}/{lines}?$filter=amount eq 7&$select=amount"},
        {"method": "GET", "url": "journals?$select=code", "headers": {"Company": bc.company.name}},
    )
    assert statuses(answer) == [200, 204, 200, 200]
    bodies = [one.get("body") for one in answer.json()["responses"]]
    assert (bodies[1], [row["amount"] for row in bodies[2]["value"]]) == (None, [7])
    assert [row["code"] for row in bodies[3]["value"]] == ["EXQWMKZTRB"]


def test_posting_inside_a_snapshot_commits_what_came_before_it(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    """Why a post must be a request of its own (A6, rule 5)."""
    journal = bc_client.journal()
    bc_client.write(journal, *voucher("A", 30_000))
    post = {"method": "POST", "url": f"companies({bc.company.code})/journals({journal})/Microsoft.NAV.post"}
    operations = [*bc_client.adding(journal, *voucher("B")), post, *bc_client.adding(journal, line(1, "C", "9", 5))]
    answer = bc_client.batch(*operations, headers=SNAPSHOT)
    assert statuses(answer) == [201, 201, 204, 400]
    assert (len(bc.ledger.vouchers()), bc.counts()["journalLines"]) == (2, 0)


def test_without_accepting_json_by_name_the_answer_is_multipart(bc_client: BcClient) -> None:
    operations = bc_client.adding(bc_client.journal(), *voucher("B"))
    answer = bc_client.batch(*operations, headers={"Accept": "*/*"})
    assert answer.headers["content-type"].startswith("multipart/mixed; boundary=")
    assert answer.text.count("HTTP/1.1 201") == 2


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"operations": []}, 400),
        ({"requests": [{"id": "1", "method": "GET"}]}, 400),
        ({"requests": [{"id": "1", "method": "POST", "url": "journals", "body": {"code": "X"}}]}, 400),
        ({"requests": [{"id": "1", "method": "GET", "url": "journals", "path": "x"}]}, 400),
    ],
)
def test_a_batch_that_is_none_is_refused_whole(bc_client: BcClient, body: object, status: int) -> None:
    assert bc_client.refused("POST", "/$batch", body)[0] == status


def test_change_sets_are_refused(bc_client: BcClient) -> None:
    bc_client.sign_in()
    answer = bc_client.raw("POST", "../$batch", b"--b", "multipart/mixed; boundary=b")
    assert answer.status_code == 500
    assert "change set are not supported" in answer.json()["error"]["message"]


def test_an_answer_can_be_short_or_nameless_though_all_was_done(bc_client: BcClient, bc: Dynamics365Fake) -> None:
    journal = bc_client.journal()
    bc.short_batch_next(keep=1)
    assert statuses(bc_client.batch(*bc_client.adding(journal, *voucher("B")), headers=SNAPSHOT)) == [201]
    bc.nameless_batch_next()
    answer = bc_client.batch(*bc_client.adding(journal, *voucher("C", 30_000)), headers=SNAPSHOT)
    assert [one["id"] for one in answer.json()["responses"]] == [None, None]
    assert len(bc_client.lines(journal)) == 4


def test_faults_wait_for_batches_that_write_and_leave_those_that_read(bc_client: BcClient, bc: Dynamics365Fake) -> None:
    journal = bc_client.journal()
    bc.fail_next(503, on="$batch")
    read = {"method": "GET", "url": f"companies({bc.company.code})/journals?$filter=code eq 'POST'"}
    assert statuses(bc_client.batch(read)) == [200]
    assert bc_client.batch(*bc_client.adding(journal, *voucher("B"))).status_code == 503
    assert (bc.calls["GET $batch"], bc.calls["$batch"]) == (1, 1)
