"""The pile of connections: the warm one first, never too many, and none that broke off in the middle of something."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from tests.fix_bilag import Bilag
from worker import sessions as page
from worker.connecting import Outage
from worker.sessions import Sessions

pytestmark = pytest.mark.anyio

WORK = "select work"


@pytest.fixture
async def pile(bilag: Bilag) -> AsyncIterator[Sessions]:
    made = Sessions(bilag.database.dsn, 2)
    yield made
    await made.close()


async def server_process(pile: Sessions, statement: str = WORK) -> int:
    async with pile.one(statement) as session:
        return session.info.backend_pid


async def both(pile: Sessions) -> tuple[int, int]:
    """Use two at once; the one that came back first lies below the other."""
    async with pile.one(WORK) as above:
        async with pile.one(WORK) as below:
            pass
        return below.info.backend_pid, above.info.backend_pid


async def test_the_one_that_was_used_last_is_handed_out_first(pile: Sessions) -> None:
    _below, above = await both(pile)
    assert [await server_process(pile) for _ in range(3)] == [above] * 3


async def test_a_call_goes_where_it_went_before(pile: Sessions) -> None:
    async with pile.one("select others") as above:
        warm = await server_process(pile, "select this")
    assert above.info.backend_pid != warm
    assert await server_process(pile, "select this") == warm
    assert await server_process(pile, "select others") == above.info.backend_pid
    assert await server_process(pile, "select this") == warm
    assert await server_process(pile, "select what nobody sent before") == warm  # the one that was used last


async def test_a_call_does_not_wait_for_the_session_that_knows_it(pile: Sessions) -> None:
    async with pile.one(WORK) as warm:
        assert await server_process(pile) != warm.info.backend_pid


async def test_no_more_are_made_than_agreed_and_who_waits_gets_the_next(pile: Sessions) -> None:
    async with pile.one(WORK):
        async with pile.one(WORK) as second:
            waiting = asyncio.create_task(server_process(pile))
            await asyncio.sleep(0.05)
            assert not waiting.done()
        assert await waiting == second.info.backend_pid


async def test_who_waits_for_one_waits_not_for_ever(pile: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "CONNECT_SECONDS", 0.05)
    async with pile.one(WORK), pile.one(WORK):
        with pytest.raises(Outage, match="all connections were busy"):
            await server_process(pile)
    await both(pile)  # and no place was lost with that


async def test_one_that_is_left_in_a_transaction_is_not_handed_out_again(pile: Sessions) -> None:
    async with pile.one(WORK) as left:
        await left.execute("begin")
        before = left.info.backend_pid
    assert left.closed
    assert await server_process(pile) != before


async def test_what_a_cut_off_statement_was_doing_ends_with_it(pile: Sessions, bilag: Bilag) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), pile.one(WORK) as session:
            await session.execute("select pg_sleep(60)")
    asleep = "select count(*) from pg_stat_activity where query like 'select pg_sleep(60)%' and state = 'active'"
    assert bilag.database.value(asleep) == 0
    async with pile.one(WORK) as session:
        assert await (await session.execute("select 7")).fetchall() == [(7,)]


async def test_after_a_death_the_others_are_not_handed_out_either(pile: Sessions) -> None:
    async with pile.one(WORK) as out:
        idle = await server_process(pile)
        await pile.distrust()
        fresh = await server_process(pile)
        assert fresh not in {idle, out.info.backend_pid}
    assert out.closed
    assert await server_process(pile) == fresh


async def test_an_old_one_is_replaced(pile: Sessions) -> None:
    async with pile.one(WORK) as old:
        old.made_at -= page.LIFETIME_SECONDS + 1
    assert old.closed


async def test_one_that_nobody_needed_for_long_is_closed(pile: Sessions) -> None:
    below, above = await both(pile)
    (unused,) = [session for session in pile._idle if session.info.backend_pid == below]
    unused.used_at -= page.SPARE_SECONDS + 1
    assert await server_process(pile) == above
    assert unused.closed
    assert [session.info.backend_pid for session in pile._idle] == [above]


async def test_a_closed_pile_keeps_nothing_open_and_makes_nothing(pile: Sessions) -> None:
    await server_process(pile)
    (idle,) = pile._idle
    async with pile.one(WORK) as out:
        await pile.close()
        assert not out.closed
    assert out.closed
    assert idle.closed
    with pytest.raises(Outage, match="closed"):
        await server_process(pile)


async def test_one_that_cannot_be_made_costs_no_place(bilag: Bilag) -> None:
    pile = Sessions(psycopg.conninfo.make_conninfo(bilag.database.dsn, dbname="nowhere_at_all"), 1)
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError, match="nowhere_at_all"):
            await server_process(pile)
