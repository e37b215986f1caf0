"""A queue message is a hint: inventing or losing one changes nothing that matters."""

from __future__ import annotations

from dev.fakes import XledgerFake
from tests.flow.installation import Installation
from tests.flow.patience import until
from tests.flow.stories import story


@story()
def test_a_garbage_message_ends_in_the_dead_letters_with_a_reason_and_stops_nothing(
    here: Installation, erp: XledgerFake
) -> None:
    org = here.organisation(claims=5)
    here.database.sql("""select pgmq.send('bilag_exports', '{"x":1}')""")
    here.database.sql(
        """select pgmq.send('bilag_exports', '{"integration_id":"00000000-0000-4000-8000-000000000000"}')"""
    )
    org.request()
    here.worker()
    assert here.until_right().booked == 5
    reasons = until(
        "both are set aside",
        lambda: {tuple(row) for row in here.database.sql("select reason_code from bilag.dead_letters")},
    )
    assert reasons == {("message_means_nothing",), ("lane_unknown",)}
    assert "dead_letter" in here.alerts()
    assert here.database.value("select count(*) from pgmq.q_bilag_exports") == 0


@story()
def test_a_purged_queue_in_the_middle_of_everything_loses_nothing(here: Installation, erp: XledgerFake) -> None:
    here.small_batches(5)
    erp.latency = 0.05
    orgs = [here.organisation(f"Lag {n}", claims=20) for n in range(4)]
    for org in orgs:
        org.request()
    here.database.sql("select pgmq.purge_queue('bilag_exports')")
    here.worker()
    for org in orgs:
        org.until_state("accepted", 5)
        here.database.sql("select pgmq.purge_queue('bilag_exports')")
        org.approve(5, prefix="LATE")
        org.insert_run()
        here.database.sql("select pgmq.purge_queue('bilag_exports')")
    here.tick()
    assert here.until_right().booked == 100
