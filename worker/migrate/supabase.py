"""Writes what a migration would do as files for ``supabase/migrations``, for whoever deploys with ``supabase db push``.

Each file also writes itself down in Bilag's ledger, so that a later ``bilag migrate`` finds it applied. Which files are
new is read from the folder alone; no database is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from worker.migrate.nouns import Noun
from worker.migrate.report import MigrationError
from worker.migrate.rooms import Rooms, Verb
from worker.migrate.texts import text
from worker.migrate.verbs import AFTERWARDS

_TITLE = re.compile(r"-- bilag: (\S+) ([0-9a-f]{64}|-)\n")
_STAMP = re.compile(r"(\d{14})_.*\.sql")

_GROUND = """\
-- What Bilag stands on, with Supabase's own extensions. pgmq and Vault are needed; without pg_cron the workers tick.
-- On a plain server use `bilag migrate`, which finds a substitute for what is missing.

create extension if not exists pgmq;
create extension if not exists pg_cron;
create extension if not exists supabase_vault;

"""

_SETTINGS = """\
-- Written by `bilag migrate --to`; run as a whole in one transaction, as `supabase db push` does.
select set_config('search_path', 'pg_catalog, pg_temp', true), set_config('check_function_bodies', 'off', true),
  set_config('standard_conforming_strings', 'on', true), set_config('quote_all_identifiers', 'off', true),
  set_config('intervalstyle', 'postgres', true), set_config('datestyle', 'ISO, MDY', true),
  set_config('timezone', 'UTC', true), set_config('extra_float_digits', '1', true),
  set_config('bytea_output', 'hex', true);

"""


def write(folder: Path, nouns: tuple[Noun, ...], rooms: Rooms, now: datetime | None = None) -> tuple[Path, ...]:
    """Writes what the folder lacks and returns the new files. Raises MigrationError for a noun edited since."""
    if not folder.is_dir():
        raise MigrationError(f"There is no folder {folder} to write to.")
    new = tuple(_new(_present(folder), nouns, rooms))  # as a whole, so that nothing is written if one part is refused
    stamps = _stamps(folder, now or datetime.now(UTC))
    return tuple(
        _write(folder / f"{next(stamps)}_bilag_{Path(name).stem}.sql", f"-- bilag: {name} {digest}\n{body}")
        for name, digest, body in new
    )


def _new(present: dict[str, str], nouns: tuple[Noun, ...], rooms: Rooms) -> Iterator[tuple[str, str, str]]:
    if "extensions" not in present:
        yield "extensions", "-", f"{_GROUND}{_SETTINGS}{text('ledger.sql')}"
    for noun in nouns:
        if noun.name not in present:
            yield noun.name, noun.sha256, f"{_SETTINGS}{_noun(noun)}"
        elif present[noun.name] != noun.sha256:
            raise MigrationError(
                f"{noun.source} was edited after it was written to supabase/migrations: migrations are frozen."
            )
    if present.get("verbs") != rooms.sha256 or any(noun.name not in present for noun in nouns):
        yield "verbs", rooms.sha256, f"{_SETTINGS}{_rooms(rooms)}"


def _present(folder: Path) -> dict[str, str]:
    """What was written before: the name of each part and the hash that it had when it was last written."""
    found = (_TITLE.match(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*_bilag_*.sql")))
    return {title[1]: title[2] for title in found if title}


def _stamps(folder: Path, now: datetime) -> Iterator[str]:
    """Ever later points in time, all after what the folder has: `db push` refuses what comes before an applied file."""
    taken = [found[1] for path in folder.glob("*.sql") if (found := _STAMP.fullmatch(path.name))]
    at = max([now, *(datetime.strptime(stamp, "%Y%m%d%H%M%S").replace(tzinfo=UTC) for stamp in taken)])
    while True:
        at += timedelta(seconds=1)
        yield at.strftime("%Y%m%d%H%M%S")


def _write(path: Path, body: str) -> Path:
    path.write_text(body, encoding="utf-8", newline="\n")
    return path


def _noun(noun: Noun) -> str:
    body = noun.text if noun.text.rstrip().endswith(";") else f"{noun.text}\n;\n"
    if noun.unless is not None:
        absent = f"to_regnamespace({_quoted(noun.unless)}) is null"
        guarded = f"\nbegin\n  if {absent} then\n    execute {_quoted(noun.text)};\n  end if;\nend "
        body = f"do {_quoted(guarded)};\n"
    row = f"({noun.version}, {_quoted(noun.name)}, {_quoted(noun.sha256)})"
    return f"{body}\ninsert into bilag_internal.migrations (version, name, sha256) values {row};\n"


def _rooms(rooms: Rooms) -> str:
    return "\n".join(
        (
            text("engine.sql"),
            *(f"{_verb(verb)};\n" for verb in rooms.verbs),
            "select bilag_migrate.finish();",
            "select bilag_migrate.check_body(objid) from bilag_migrate.ours;",
            *(f"select bilag_internal.announce_type({_quoted(json)}::jsonb);" for json in rooms.announcements),
            f"{AFTERWARDS.strip()};",
            f"select bilag_migrate.remember({_quoted(rooms.sha256)});",
            "drop schema bilag_migrate cascade;\n",
        )
    )


def _verb(verb: Verb) -> str:
    if verb.call is None:
        return verb.statement.text
    written = (_quoted(a) if isinstance(a, str) else str(a).lower() for a in verb.arguments)
    return verb.call.replace("%s", "{}").format(*written)


def _quoted(value: str) -> str:
    if re.fullmatch(r"[^'\\\n]*", value):
        return f"'{value}'"
    tag = next(tag for tag in _tags() if tag not in value + tag[0])
    return f"{tag}{value}{tag}"


def _tags() -> Iterator[str]:
    yield "$bilag$"
    yield from (f"$bilag_{number}$" for number in count(1))
