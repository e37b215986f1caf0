"""Which hosts an integration may name, and what happens to its credential when the host changes."""

from __future__ import annotations

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused

ALLOWED = "select allowed_hosts from bilag.integration_types where integration_type = 'xledger'"
DEMO = "https://demo.xledger.net/graphql"


@pytest.mark.parametrize("url", ["https://www.xledger.net/graphql", "https://Demo.XLEDGER.net:443/graphql", DEMO])
def test_the_hosts_that_the_adapter_announced_are_taken(org: Organisation, url: str) -> None:
    org.configure(base_url=url)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/graphql",
        "https://www.xledger.net.evil.example/graphql",
        "https://www.xledger.net@evil.example/graphql",
        "https://user:secret@www.xledger.net/graphql",
        "https://www.xledger.net\\@evil.example/graphql",
        "https://127.0.0.1/graphql",
        "https://2130706433/graphql",
        "https://[::1]/graphql",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/graphql",
        "https://www.xledger.net:port/graphql",
        "https:///graphql",
    ],
)
def test_another_host_is_refused_and_named(org: Organisation, url: str) -> None:
    with refused("KB007", "base_url"):
        org.configure(base_url=url)


def test_plain_http_is_the_workers_to_judge(org: Organisation) -> None:
    org.configure(base_url="http://127.0.0.1:8080/graphql")


def test_an_allowed_host_is_taken_and_told_to_whom_it_concerns(bilag: Bilag, org: Organisation) -> None:
    for host in ("ERP.Example", "erp.example"):
        bilag.database.sql("select bilag.allow_host('xledger', %s)", host)
    org.configure(base_url="https://erp.example/graphql")
    assert bilag.database.value(
        "select allowed_hosts from bilag.integration_types where integration_type = 'xledger'"
    ) == ["erp.example"]
    told = bilag.database.sql(
        "select details from bilag.bufdir_export_audit_log where org_id = %s and action = 'host.allowed'", org.id
    )
    assert told[0] == ({"host": "erp.example"},)


def test_a_host_that_is_no_longer_allowed_stops_before_anything_is_sent(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    bilag.database.sql("select bilag.allow_host('xledger', 'erp.example')")
    org.configure(base_url="https://erp.example/graphql")
    org.claim("C-1")
    org.request()
    bilag.database.sql("select bilag.disallow_host('xledger', 'erp.example')")
    job = worker.claim_one()
    assert job["allowedHosts"] == []
    with refused("KB002", "erp.example"):
        bilag.database.sql("select bilag.disallow_host('xledger', 'erp.example')")


def test_the_rest_of_an_integration_whose_host_is_no_longer_allowed_can_still_be_changed(
    bilag: Bilag, org: Organisation
) -> None:
    bilag.database.sql("select bilag.allow_host('xledger', 'erp.example')")
    org.configure(base_url="https://erp.example/graphql")
    bilag.database.sql("select bilag.disallow_host('xledger', 'erp.example')")
    bilag.database.sql("update bilag.integration_config set enabled = false where org_id = %s", org.id)


@pytest.mark.parametrize(
    "host", ["https://erp.example", "erp.example/x", "erp.example:443", "a b", "", "user@erp.example", None]
)
def test_what_is_no_host_cannot_be_allowed(bilag: Bilag, host: str | None) -> None:
    with refused("KB001", "host"):
        bilag.database.sql("select bilag.allow_host('xledger', %s)", host)


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fe80::1]", "metadata.google.internal", "[::ffff:169.254.169.254]"]
)
def test_link_local_addresses_are_allowed_by_nobody(bilag: Bilag, host: str) -> None:
    with refused("KB003", "link-local"):
        bilag.database.sql("select bilag.allow_host('xledger', %s)", host)


def test_a_host_of_an_unknown_type_is_refused(bilag: Bilag) -> None:
    with refused("KB002", "nosuch"):
        bilag.database.sql("select bilag.allow_host('nosuch', 'erp.example')")


@pytest.mark.parametrize("url", [DEMO, "http://www.xledger.net/graphql", "https://www.xledger.net:8443/graphql"])
def test_another_host_in_the_settings_discards_the_credential(
    bilag: Bilag, org: Organisation, worker: FakeWorker, url: str
) -> None:
    database = bilag.database
    database.sql("select bilag.set_integration_credential(%s, 'xledger', 'token-of-the-old-host')", org.id)
    before = database.value("select credential_version from bilag.integration_config where org_id = %s", org.id)
    org.configure(base_url=url)
    after = database.value("select credential_version from bilag.integration_config where org_id = %s", org.id)
    assert after == before + 1
    org.claim("C-1")
    org.request()
    job = worker.claim_one()
    read = database.value("select bilag_internal.read_credential(%s, %s)", job["lane"], job["token"])
    assert not read["secret"]
    assert database.value("select count(*) from bilag.bufdir_export_audit_log where action = 'credential.discarded'")


def test_a_path_or_another_setting_keeps_the_credential(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    bilag.database.sql("select bilag.set_integration_credential(%s, 'xledger', 'kept')", org.id)
    org.configure(base_url="https://www.xledger.net/graphql2", owner_code="7")  # the default, and another path of it
    org.claim("C-1")
    org.request()
    job = worker.claim_one()
    assert (
        bilag.database.value("select bilag_internal.read_credential(%s, %s)", job["lane"], job["token"])["secret"]
        == "kept"
    )
