"""Drains a pgmq queue in the fastest way there is: read a hundred, archive them, until there are none."""

from __future__ import annotations

import os

import psycopg

from benchmarks.children import Stopwatch, await_word
from benchmarks.grounds import RAW_QUEUE

READ = "select msg_id from pgmq.read(%s, 30, 100)"
ARCHIVE = "select pgmq.archive(%s, %s::bigint[])"


def drain() -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("select 1")
        await_word()
        with Stopwatch():
            while read := [row[0] for row in connection.execute(READ, (RAW_QUEUE,))]:
                connection.execute(ARCHIVE, (RAW_QUEUE, read)).fetchall()


if __name__ == "__main__":
    drain()
