"""What a storm is made of: what the accounting system does to us, and how the waits between are shortened."""

from __future__ import annotations

from typing import LiteralString, NamedTuple

from tests.chaos.obstacles import WRITE

LET_TIME_PASS: LiteralString = """
with looks as (
  update bilag.export_items i
  set next_look_at = greatest(now(), case
    when i.absent_from < 'infinity' and i.integration_type <> 'dynamics365' then i.absent_from end)
  where i.next_look_at > now() + interval '3 s'
), runs as (
  update bilag.export_runs r set due_at = now()
  where r.finished_at is null and r.due_at > now() and r.due_at < 'infinity'
), lanes as (
  update bilag.export_lanes l set circuit_open_until = null, quiet_until = null
  where l.circuit_open_until is not null or l.quiet_until is not null
)
select 1"""
"""What waits is due now. Neither a lease nor what proves an absence is touched; in Business Central the look does."""

Blows = list[tuple[str, dict[str, object]]]


class Weather(NamedTuple):
    """The operations of one accounting system that write, what it does to us, and how often beside other mischief."""

    writes: tuple[str, ...]
    hostile: Blows
    malice: int


def _on_each(operations: tuple[str, ...], *blows: tuple[str, dict[str, object]]) -> Blows:
    return [(verb, {**arguments, "on": on}) for verb, arguments in blows for on in operations]


_WRITE_LOST: Blows = [
    ("commit_then_hang", {}),
    ("commit_then_reset", {}),
    ("commit_then_status", {"status": 504}),
    ("commit_after", {"seconds": 3.4}),
    ("cut_next", {}),
    ("hang_next", {}),
    ("truncate_next", {}),
    ("truncate_next", {"cut": True}),
]
_ANY_CALL: Blows = [
    ("fail_next", {"status": 429, "times": 3, "after": 1}),
    ("fail_next", {"status": 503}),
    ("truncate_next", {"times": 2}),
    ("flood_next", {"megabytes": 10}),
    ("drip_next", {"seconds": 0.2, "pieces": 50}),
    ("duplicate_next", {"times": 2}),
    ("reorder_next", {"times": 2}),
]

_XLEDGER_OWN: Blows = [
    ("rate_limit_storm", {"times": 3}),
    ("import_between_reads", {}),
    ("answer_200_with_errors", {"message": "Something went wrong", "commit": True, "on": WRITE}),
    ("answer_200_with_errors", {"message": "Something went wrong", "on": WRITE}),
]
XLEDGER = Weather((WRITE,), [*_on_each((WRITE,), *_WRITE_LOST), *_ANY_CALL, *_XLEDGER_OWN], malice=2)

_JOURNAL_WRITES = ("POST journals", "$batch", "post")
_DYNAMICS365_OWN: Blows = [
    *_on_each(_JOURNAL_WRITES, ("cancel_next", {}), ("cancel_next", {"committed": True}), ("deadlock_next", {})),
    ("deadlock_next", {"status": 400, "on": "$batch"}),
    ("short_batch_next", {}),
    ("nameless_batch_next", {}),
    ("throttle_storm", {"times": 4}),
    ("revoke_tokens", {}),
    ("set_up", {"job_queue_seconds": 1.0}),
    ("set_up", {"job_queue_seconds": None}),
    ("lag_behind", {"seconds": 3.0}),
    ("post_what_stands", {}),
    ("delete_what_stands", {}),
]
DYNAMICS365 = Weather(
    _JOURNAL_WRITES, [*_on_each(_JOURNAL_WRITES, *_WRITE_LOST), *_ANY_CALL, *_DYNAMICS365_OWN * 2], malice=9
)
