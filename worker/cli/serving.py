"""What ``bilag worker`` does, whether or not there were options to parse."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from worker import settings, telemetry
from worker.cli.wording import line, sentence
from worker.cold_start import without_collecting
from worker.settings import Settings, SettingsError
from worker.trades import QUEUES


class CannotServe(Exception):
    """The database cannot be worked with. Its text is one sentence, with what to do."""


def serve_by_environment() -> int:
    """``bilag worker`` without options. The exit code."""
    try:
        return serve(settings.load())
    except (CannotServe, SettingsError) as error:
        print(line(str(error)), file=sys.stderr)  # noqa: T201 - as every other command tells it
        return 1
    except KeyboardInterrupt:
        return 130


def serve(found: Settings, *, drain: bool = False, queues: Sequence[str] = QUEUES) -> int:
    """Work until stopped or drained. The exit code. Raises CannotServe."""
    telemetry.configure(found.log_level, found.log_format)
    with without_collecting():
        from worker.database import Outage, Refusal
        from worker.service import serve as work

        try:
            return asyncio.run(work(found, drain=drain, queues=queues))
        except Outage as error:
            raise CannotServe(sentence(f"The database cannot be reached: {error}")) from None
        except Refusal as error:
            raise CannotServe(sentence(str(error), error.hint)) from None
