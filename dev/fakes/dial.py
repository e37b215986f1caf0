"""The fault dial: scripts what goes wrong next. Every fake accounting system has one.

Faults happen in the order they were scripted, each ``times`` times. ``on`` limits a fault to one operation (a
GraphQL root field, say), ``skip`` lets so many matching requests through first. ``times=None`` means until switched
off. A fault that was scripted and never happened is in :meth:`Dial.unused`, so that a test can fail on it: it proved
nothing.

May be turned from any thread.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

from dev.fakes import faults
from dev.fakes.exchange import Answer
from dev.fakes.faults import Fault, Hold, Play


class Dial:
    """What goes wrong next, how slow every call is, and what was called."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._script: list[Fault] = []
        self._standing: list[Fault] = []
        self._holds: list[Hold] = []
        self.latency = 0.0
        """Seconds that every call takes, what the fake itself needs for it among them; a fault happens at their end."""
        self.calls: Counter[str] = Counter()
        """Requests by operation, whatever became of them."""

    # -- not executed ------------------------------------------------------------------------------------------------

    def fail_next(
        self,
        status: int,
        times: int | None = 1,
        *,
        after: float | None = None,
        retry_after: str | None = None,
        body: str = "",
        on: str | None = None,
        skip: int = 0,
    ) -> None:
        """Answer with this status, not executing. ``after`` is Retry-After in seconds, ``retry_after`` its raw text."""
        wanted = retry_after if retry_after is not None else None if after is None else f"{after:g}"
        headers = {} if wanted is None else {"retry-after": wanted}
        answer = Answer.of_html(status, body or f"<html><body><h1>{status}</h1></body></html>", headers)
        self._add(f"fail_next({status})", faults.answering(answer), times, on, skip)

    def answer_next(
        self,
        status: int,
        json: object,
        *,
        headers: Mapping[str, str] | None = None,
        commit: bool = False,
        times: int | None = 1,
        on: str | None = None,
        skip: int = 0,
    ) -> None:
        """Answer with this JSON; ``commit`` says whether the request is executed first."""
        answer = Answer.of_json(status, json, headers)
        play = faults.answering_after_commit(answer) if commit else faults.answering(answer)
        self._add(f"answer_next({status})", play, times, on, skip)

    def hang_next(self, times: int | None = 1, *, on: str | None = None, skip: int = 0) -> None:
        """Never answer, never execute."""
        self._add("hang_next", faults.hang, times, on, skip)

    def cut_next(self, times: int | None = 1, *, on: str | None = None, skip: int = 0) -> None:
        """Reset the connection, not executing."""
        self._add("cut_next", faults.cut, times, on, skip)

    def echo_authorization(self, times: int | None = 1, *, status: int = 400, on: str | None = None) -> None:
        """Answer with an error whose message repeats the Authorization header."""
        self._add("echo_authorization", faults.echoing(status), times, on, 0)

    # -- executed, and the client does not get to know -----------------------------------------------------------------

    def commit_then_hang(self, times: int | None = 1, *, on: str | None = None, skip: int = 0) -> None:
        self._add("commit_then_hang", faults.commit_then_hang, times, on, skip)

    def commit_then_reset(self, times: int | None = 1, *, on: str | None = None, skip: int = 0) -> None:
        self._add("commit_then_reset", faults.commit_then_cut, times, on, skip)

    def commit_then_status(
        self, status: int = 504, times: int | None = 1, *, on: str | None = None, skip: int = 0
    ) -> None:
        answer = Answer.of_html(status, f"<html><body><h1>{status} Gateway</h1></body></html>")
        self._add(f"commit_then_status({status})", faults.answering_after_commit(answer), times, on, skip)

    def commit_after(self, seconds: float, times: int | None = 1, *, on: str | None = None, skip: int = 0) -> None:
        """Execute only after so many seconds, also when the client has long given up."""
        self._add(f"commit_after({seconds:g})", faults.committing_after(seconds), times, on, skip)

    def hold_next(self, *, on: str | None = None, skip: int = 0) -> Hold:
        """Hold the next request inside until the returned :class:`Hold` is released; then execute it."""
        hold = Hold()
        self._holds.append(hold)
        self._add("hold_next", hold.play, 1, on, skip)
        return hold

    def release(self) -> None:
        """Release every held request."""
        for hold in self._holds:
            hold.release()

    # -- executed, and the answer is spoilt ----------------------------------------------------------------------------

    def truncate_next(self, times: int | None = 1, *, cut: bool = False, on: str | None = None, skip: int = 0) -> None:
        """Half of the JSON: as a whole answer, or with the cable ``cut`` in its middle."""
        self._add("truncate_next", faults.truncate_and_cut if cut else faults.truncate, times, on, skip)

    def flood_next(self, megabytes: float = 10, times: int | None = 1, *, on: str | None = None, skip: int = 0) -> None:
        self._add(f"flood_next({megabytes:g} MB)", faults.flooding(megabytes), times, on, skip)

    def drip_next(
        self, seconds: float = 0.5, pieces: int = 100, times: int | None = 1, *, on: str | None = None, skip: int = 0
    ) -> None:
        """The answer in so many pieces, so many seconds apart."""
        self._add("drip_next", faults.dripping(seconds, pieces), times, on, skip)

    def duplicate_next(self, times: int | None = 1, *, on: str | None = None, skip: int = 0) -> None:
        """Every element of the answer's lists twice."""
        self._add("duplicate_next", faults.reshaping(lambda rows: rows + rows), times, on, skip)

    def reorder_next(self, times: int | None = 1, *, on: str | None = None, skip: int = 0) -> None:
        """The answer's lists backwards."""
        self._add("reorder_next", faults.reshaping(lambda rows: rows[::-1]), times, on, skip)

    # -- until switched off --------------------------------------------------------------------------------------------

    def maintenance(self, status: int = 503, *, retry_after: str | None = None) -> None:
        """Answer everything with an HTML page until :meth:`maintenance_over`."""
        headers = {} if retry_after is None else {"retry-after": retry_after}
        answer = Answer.of_html(status, faults.MAINTENANCE_PAGE, headers)
        self._stand("maintenance", faults.answering(answer))

    def maintenance_over(self) -> None:
        self._end("maintenance")

    def down(self) -> None:
        """Reset every connection until :meth:`up`. A served fake alone on its port refuses new ones."""
        self._stand("down", faults.cut)

    def up(self) -> None:
        self._end("down")

    # -- afterwards ----------------------------------------------------------------------------------------------------

    def unused(self) -> list[str]:
        """The scripted faults that did not happen as often as they were scripted, one sentence each."""
        with self._lock:
            return [str(fault) for fault in [*self._standing, *self._script] if fault.is_owed]

    def clear_faults(self) -> None:
        """Forget the script, used or not; held requests are dropped."""
        with self._lock:
            self._script.clear()
            self._standing.clear()
        for hold in self._holds:
            hold.drop()

    def take(self, operation: str) -> Fault | None:
        """The fault that happens to this request, if any; it counts as used."""
        with self._lock:
            for fault in [*self._standing, *self._script]:
                if not fault.is_live or (fault.on is not None and fault.on not in operation.split("+")):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.used += 1
                return fault
        return None

    def _add(self, name: str, play: Play, times: int | None, on: str | None, skip: int) -> None:
        with self._lock:
            self._script.append(Fault(name, play, times, on, skip))

    def _stand(self, name: str, play: Play) -> None:
        with self._lock:
            self._standing.append(Fault(name, play, None))

    def _end(self, name: str) -> None:
        with self._lock:
            for fault in self._standing:
                fault.over = fault.over or fault.name == name
