"""That no worker lives is told by pg_net where there is one: then nobody else could deliver it."""

from __future__ import annotations

import json

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.hooks import SECRET, SET, URL, signature, take


@pytest.fixture
def hook(bilag: Bilag) -> Bilag:
    bilag.database.sql(SET, URL, SECRET, None)
    return bilag


def with_pg_net(bilag: Bilag) -> None:
    """As far as our functions can see."""
    bilag.database.sql("create schema net")
    bilag.database.sql("create table net.sent (url text, body jsonb, headers jsonb)")
    bilag.database.sql(
        "create function net.http_post(url text, body jsonb, params jsonb, headers jsonb, timeout_milliseconds integer)"
        " returns bigint language sql as 'insert into net.sent values (url, body, headers) returning 1::bigint'"
    )


def work_without_a_worker(bilag: Bilag, org: Organisation) -> None:
    org.claim("C-1")
    org.request()
    bilag.advance(minutes=2)


def test_no_worker_goes_out_by_pg_net_signed_and_under_the_id_that_a_worker_will_use(
    hook: Bilag, org: Organisation
) -> None:
    with_pg_net(hook)
    work_without_a_worker(hook, org)
    for _ in range(20):
        hook.database.sql("select bilag_internal.tick()")
    sent = hook.database.sql("select url, body::text, headers from net.sent")
    assert len(sent) == 3, "at its first, fifth and fifteenth sign"
    for url, body, headers in sent:
        assert (url, headers["webhook-signature"]) == (URL, signature(SECRET, {"headers": headers, "body": body}))
        assert json.loads(body)["data"]["kind"] == "no_worker"
    worker = hook.worker()
    ids = {event["id"] for event in take(worker) if json.loads(event["body"])["data"].get("kind") == "no_worker"}
    assert {sent[0][2]["webhook-id"]} == ids


def test_pg_net_is_not_needed_and_its_faults_stop_no_tick(hook: Bilag, org: Organisation) -> None:
    work_without_a_worker(hook, org)
    hook.database.sql("select bilag_internal.tick()")
    with_pg_net(hook)
    hook.database.sql("drop table net.sent")
    hook.database.sql("update bilag.alerts set count = 4")
    hook.database.sql("select bilag_internal.tick()")
    assert hook.database.sql("select kind, count from bilag.open_alerts") == [("no_worker", 5)]


@pytest.mark.parametrize(
    "url", ["http://hooks.example.com/", "https://10.0.0.1/", "https://[::1]/", "https://localhost/x"]
)
def test_pg_net_goes_to_names_over_https_only(hook: Bilag, org: Organisation, url: str) -> None:
    with_pg_net(hook)
    hook.database.sql(SET, url, None, None)
    work_without_a_worker(hook, org)
    hook.database.sql("select bilag_internal.tick()")
    assert hook.database.value("select count(*) from net.sent") == 0
