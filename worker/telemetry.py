"""What the worker says while it works: structured events named ``noun.verb_past``, redacted, with their correlation id.

structlog is imported at the first event that is really written: it costs more than a whole start of the worker. What
other libraries write through :mod:`logging` goes the same way and through the same redaction.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

from worker.redaction import redact_value

DEBUG, INFO, WARNING, ERROR = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR
_LEVELS = {"debug": DEBUG, "info": INFO, "warning": WARNING, "error": ERROR}
_NAMES = {number: name for name, number in _LEVELS.items()}

_context: ContextVar[Mapping[str, str] | None] = ContextVar("bilag_context", default=None)


class _Voice:
    """Where events go; one per process, set by :func:`configure`."""

    def __init__(self) -> None:
        self.threshold = INFO
        self.form = "json"
        self.stream: TextIO | None = None
        self._logger: Any = None

    def say(self, level: int, event: str, fields: Mapping[str, Any]) -> None:
        if level < self.threshold:
            return
        if self._logger is None:
            self._logger = _structlog(self.form, self.stream)
        self._logger.log(level, event, **{**(_context.get() or {}), **fields})

    def set(self, threshold: int, form: str, stream: TextIO | None) -> None:
        self.threshold, self.form, self.stream, self._logger = threshold, form, stream, None


_voice = _Voice()


def configure(level: str = "info", form: str = "json", stream: TextIO | None = None) -> None:
    """Set how much is said, in which form (``json`` or ``console``), and where (standard error by default)."""
    _voice.set(_LEVELS[level], form, stream)
    root = logging.getLogger()
    root.handlers[:] = [_FromLogging()]
    root.setLevel(_LEVELS[level] if level == "debug" else max(_LEVELS[level], WARNING))


def debug(event: str, **fields: Any) -> None:
    _voice.say(DEBUG, event, fields)


def info(event: str, **fields: Any) -> None:
    _voice.say(INFO, event, fields)


def warning(event: str, **fields: Any) -> None:
    _voice.say(WARNING, event, fields)


def error(event: str, **fields: Any) -> None:
    """Something that a person should see. ``exc_info`` may carry an exception, whose traceback is redacted too."""
    _voice.say(ERROR, event, fields)


@contextmanager
def bound(**fields: str) -> Iterator[None]:
    """Put these fields on every event said inside: correlation_id, organization_id."""
    token = _context.set({**(_context.get() or {}), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def correlation_id() -> str | None:
    """The correlation id of the invocation that this coroutine belongs to."""
    return (_context.get() or {}).get("correlation_id")


class _FromLogging(logging.Handler):
    """Carries what libraries log into our events."""

    def emit(self, record: logging.LogRecord) -> None:
        level = max((known for known in _NAMES if known <= record.levelno), default=DEBUG)
        fields: dict[str, Any] = {"logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        _voice.say(level, "library.spoke", fields)


class _Line:
    """Writes a rendered event as one line, to what standard error is at that moment if no stream was given."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, event: str) -> None:
        stream = self._stream or sys.stderr
        stream.write(event + "\n")
        stream.flush()

    debug = info = warning = error = critical = write


def _structlog(form: str, stream: TextIO | None) -> Any:
    import structlog

    last: Any = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    if form == "console":
        last = structlog.dev.ConsoleRenderer(colors=(stream or sys.stderr).isatty())
    return structlog.wrap_logger(
        _Line(stream),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redacted,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(DEBUG),
        cache_logger_on_first_use=True,
    )


def _redacted(_logger: Any, _method: str, event: Mapping[str, Any]) -> dict[str, Any]:
    return {key: redact_value(value, key) for key, value in event.items()}
