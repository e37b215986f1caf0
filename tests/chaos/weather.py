"""What a storm is made of: what the accounting system does to us, and how the waits between are shortened."""

from __future__ import annotations

from typing import LiteralString

from tests.chaos.obstacles import WRITE

LET_TIME_PASS: LiteralString = """
with looks as (
  update bilag.export_items i
  set next_look_at = greatest(now(), case when i.absent_from < 'infinity' then i.absent_from end)
  where i.next_look_at > now() + interval '3 s'
), runs as (
  update bilag.export_runs r set due_at = now()
  where r.finished_at is null and r.due_at > now() and r.due_at < 'infinity'
), lanes as (
  update bilag.export_lanes l set circuit_open_until = null where l.circuit_open_until is not null
)
select 1"""
"""What waits is due now. Neither a lease nor what proves an absence is touched."""

HOSTILE: list[tuple[str, dict[str, object]]] = [
    ("commit_then_hang", {"on": WRITE}),
    ("commit_then_reset", {"on": WRITE}),
    ("commit_then_status", {"status": 504, "on": WRITE}),
    ("commit_after", {"seconds": 3.4, "on": WRITE}),
    ("fail_next", {"status": 429, "times": 3, "after": 1}),
    ("fail_next", {"status": 503}),
    ("rate_limit_storm", {"times": 3}),
    ("cut_next", {"on": WRITE}),
    ("hang_next", {"on": WRITE}),
    ("truncate_next", {"on": WRITE}),
    ("truncate_next", {"cut": True, "on": WRITE}),
    ("truncate_next", {"times": 2}),
    ("flood_next", {"megabytes": 10}),
    ("drip_next", {"seconds": 0.2, "pieces": 50}),
    ("duplicate_next", {"times": 2}),
    ("reorder_next", {"times": 2}),
    ("import_between_reads", {}),
    ("answer_200_with_errors", {"message": "Something went wrong", "commit": True, "on": WRITE}),
    ("answer_200_with_errors", {"message": "Something went wrong", "on": WRITE}),
]
"""What the accounting system does to us."""
