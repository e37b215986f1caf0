"""Stories that mostly wait (for a lease to end, for a look-up to be due) are told at once, each in a world of its own.

A story is a function of an installation and of the accounting system on its other side. ``@story`` makes a test of it;
the session tells all that were selected in a few threads, and each test gives out what became of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for_all
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from tests.flow.installation import Installation
from tests.flow.systems import XLEDGER, System

Tell = Callable[[Installation, Any], None]

AT_ONCE = 5


@dataclass(frozen=True)
class World:
    """What a story needs around it.

    own_server: it stops and starts Postgres, so it may not share one. hasty: its leases end and its calls time out.
    system: what is on its other side.
    """

    own_server: bool = False
    hasty: bool = False
    system: System = XLEDGER


Setting = Callable[[World], AbstractContextManager[tuple[Installation, Any]]]


class Telling:
    """The stories of this session."""

    def __init__(self, stories: Iterable[tuple[Tell, World]], setting: Setting) -> None:
        self._setting = setting
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="story")
        self._told: dict[Tell, Future[None]] = {
            tell: self._pool.submit(self._tell, tell, world)
            for tell, world in sorted(stories, key=lambda told: not told[1].own_server)  # the longest first
        }

    def told(self, tell: Tell) -> None:
        """Wait for the end of a story; what it raised is raised here."""
        self._told[tell].result()

    def all_told(self) -> None:
        """Wait until none is being told any more, well or badly."""
        wait_for_all(self._told.values())

    def end(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _tell(self, tell: Tell, world: World) -> None:
        with self._setting(world) as (here, erp):
            if world.hasty:
                here.hurry()
            tell(here, erp)


def story(
    *, own_server: bool = False, hasty: bool = False, system: System = XLEDGER
) -> Callable[[Tell], Callable[[Telling], None]]:
    """Make a test of a story."""

    def test_of(tell: Tell) -> Callable[[Telling], None]:
        def test(telling: Telling) -> None:
            telling.told(tell)

        test.__name__ = test.__qualname__ = tell.__name__
        test.__doc__ = tell.__doc__
        test.__module__ = tell.__module__
        test.story = (tell, World(own_server, hasty, system))  # type: ignore[attr-defined]  # where the session finds it
        return test

    return test_of
