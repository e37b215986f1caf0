"""A write is begun only when its whole timeout fits into the lease, by our own clock."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tests.virtual_time import VIRTUAL_TIME, clock
from tests.worker.heartbeats import Beats, beating, held
from worker.leases import Heart, Lease

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return VIRTUAL_TIME


async def test_it_beats_at_a_third_of_the_lease_also_with_nothing_in_hand() -> None:
    beats = Beats()

    async def story(_heart: Heart) -> None:
        began = clock()
        await asyncio.sleep(61)
        assert [round(at - began) for at in beats.at] == [20, 40, 60]

    await beating(beats, story)


async def test_all_leases_ride_in_one_beat_and_are_renewed_from_before_the_call() -> None:
    beats = Beats()
    beats.takes = 3

    async def story(heart: Heart) -> None:
        one, two = held(heart), held(heart)
        began = clock()
        await asyncio.sleep(24)
        assert len(beats.at) == 1
        assert set(beats.asked[0]) == {one.token, two.token}
        assert one.ends == two.ends == pytest.approx(began + 20 + 60)

    await beating(beats, story)


async def test_a_lease_that_is_not_renewed_runs_out_by_the_clock_alone() -> None:
    beats = Beats()
    beats.down = True

    async def story(heart: Heart) -> None:
        lease = held(heart)
        assert lease.covers(12)
        await asyncio.sleep(49)
        assert not lease.covers(12)
        assert not lease.lost

    await beating(beats, story)


async def test_a_failed_beat_is_tried_again_sooner() -> None:
    beats = Beats()
    beats.down = True

    async def story(_heart: Heart) -> None:
        await asyncio.sleep(20.5)
        beats.down = False
        await asyncio.sleep(5.5)
        assert len(beats.at) == 2

    await beating(beats, story)


async def test_a_lease_that_is_twice_not_renewed_is_lost_and_told_once() -> None:
    beats = Beats()
    losses: list[Lease] = []

    async def story(heart: Heart) -> None:
        heart.on_loss = losses.append
        lease = held(heart)
        beats.dropped = {lease.token}
        await asyncio.sleep(21)
        assert not lease.lost
        assert not lease.covers(1)
        await asyncio.sleep(60)
        assert lease.lost
        assert losses == [lease]

    await beating(beats, story)


async def test_a_lane_that_was_locked_for_a_moment_is_not_lost() -> None:
    beats = Beats()

    async def story(heart: Heart) -> None:
        lease = held(heart)
        beats.dropped = {lease.token}
        await asyncio.sleep(21)
        beats.dropped = set()
        await asyncio.sleep(6)
        assert lease.covers(50)

    await beating(beats, story)


async def test_a_lease_that_was_settled_during_the_beat_was_not_lost() -> None:
    beats = Beats()
    losses: list[Lease] = []
    beats.takes = 1

    async def story(heart: Heart) -> None:
        heart.on_loss = losses.append
        lease = held(heart)
        beats.dropped = {lease.token}
        await asyncio.sleep(20.5)
        heart.release(lease)
        await asyncio.sleep(60)
        assert losses == []

    await beating(beats, story)


async def test_a_job_that_needs_more_time_gets_its_lease_renewed_at_once() -> None:
    beats = Beats()

    async def story(heart: Heart) -> None:
        lease = heart.hold(uuid4(), clock(), 10, clock() + 1000)
        assert not lease.covers(12)
        began = clock()
        assert await lease.allows(12)
        assert clock() - began < 1

    await beating(beats, story)


async def test_a_job_whose_lease_cannot_be_renewed_begins_no_write() -> None:
    beats = Beats()
    beats.down = True

    async def story(heart: Heart) -> None:
        lease = heart.hold(uuid4(), clock(), 10, clock() + 1000)
        assert not await lease.allows(12)

    await beating(beats, story)


async def test_a_write_must_fit_into_the_delivery_too() -> None:
    beats = Beats()

    async def story(heart: Heart) -> None:
        lease = held(heart, seconds=60, deadline=30)
        assert await lease.allows(12)
        await asyncio.sleep(19)
        assert not await lease.allows(12)

    await beating(beats, story)


async def test_no_lease_is_believed_beyond_its_delivery() -> None:
    beats = Beats()

    async def story(heart: Heart) -> None:
        lease = held(heart, seconds=60, deadline=30)
        await asyncio.sleep(25)
        assert not lease.covers(6)

    await beating(beats, story)


async def test_a_lease_is_not_believed_beyond_its_delivery_from_the_first() -> None:
    async def story(heart: Heart) -> None:
        lease = held(heart, deadline=30)
        assert lease.covers(30)
        assert not lease.covers(31)

    await beating(Beats(), story)


async def test_a_write_that_its_delivery_has_no_room_for_asks_for_no_renewal() -> None:
    beats = Beats()

    async def story(heart: Heart) -> None:
        lease = held(heart, deadline=30)
        assert not await lease.allows(31)
        assert beats.at == []

    await beating(beats, story)


async def test_what_was_settled_while_a_beat_was_under_way_was_not_lost() -> None:
    beats = Beats()
    beats.takes = 3

    async def story(heart: Heart) -> None:
        lease = held(heart)
        beats.dropped.add(lease.token)
        await asyncio.sleep(21)
        heart.release(lease)
        await asyncio.sleep(3)
        assert lease.misses == 0

    await beating(beats, story)
