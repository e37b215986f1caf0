"""Nothing secret leaves this process in a log line, a row or a message; and nothing that Postgres would refuse.

Two nets: what looks like a credential (headers, tokens, key=value pairs) is replaced by its form, and every secret
that this process has read is replaced by its value, also in base64, URL encoding and JSON escapes.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "[redacted]"
LONGEST_MESSAGE = 500
"""Characters of a message that are kept (requirement E12)."""

_LONGEST_READ = 65_536
_LONGEST_SECRET = 16_384
"""Characters. Of a longer text, a body of megabytes say, only the beginning is looked at; what stands at its end may be
half of a secret, and goes."""

_MOST_KNOWN = 4096
_SHORTEST_SECRET = 6

_NAMES = (
    "api[_-]?key|subscription[_-]?key|private[_-]?key|(?:access|refresh|id|auth)[_-]?token|client[_-]?(?:secret|assertion)"
    r"|password|passwd|(?<![\w-])(?:secret|token)"
)
_OPEN = r"\\?['\"]?\s*[:=]\s*[\[(]{0,2}(?:b?\\?['\"])?"
"""What may stand between the name and its value, in a header, a form, JSON, or JSON inside JSON."""
_PARAMETER = r"[\w.-]+=\\?\"?[^\s,\"\\]*\\?\"?"
_VALUE = rf"(?:{_PARAMETER}(?:,\s*{_PARAMETER})*|[^\s'\"\\,;}}\]]+)"
"""What follows a scheme: one word for "Basic", parameters for "Digest"."""
_FORMS = (
    (rf"((?:proxy-)?authorization{_OPEN})(?:[a-z][\w-]*(?:\s+|%20|\+))?{_VALUE}", rf"\1{MASK}"),
    (r"\b(bearer|basic|token)(\s+)[\w.~+/=-]{6,}", rf"\1\2{MASK}"),
    (rf"((?:{_NAMES}){_OPEN})[^\s'\"\\,;&}}\]]+", rf"\1{MASK}"),
    (rf"((?:set-)?cookie{_OPEN})[\w.-]{{1,80}}=[^\s'\"\\;]+(?:;\s*[\w.-]{{1,80}}=[^\s'\"\\;]+)*", rf"\1{MASK}"),
    (r"(\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@]{0,100}:)[^\s@/]{1,500}@", rf"\1{MASK}@"),
)
_SENSITIVE = r"(^|_|-)(authorization|password|passwd|secret|api_?key|access_?token|refresh_?token)$"

_known: OrderedDict[str, None] = OrderedDict()
_longest_first: tuple[str, ...] = ()


def guard(secret: str) -> None:
    """Remember a secret, so that it is masked wherever it turns up from now on. The oldest are forgotten."""
    global _longest_first  # noqa: PLW0603 - what is secret is so for the whole process
    known = len(_known)
    for part in _parts(secret):
        for form in _encodings(part):
            _known[form] = None
            _known.move_to_end(form)
    if len(_known) == known:
        return
    while len(_known) > _MOST_KNOWN:
        _known.popitem(last=False)
    _longest_first = tuple(sorted(_known, key=len, reverse=True))  # one secret may be a part of another


def redact(text: str) -> str:
    """The text with every credential masked, by value first and then by form."""
    for secret in _longest_first:
        if secret in text:
            text = text.replace(secret, MASK)
    for form, replacement in _forms():
        text = form.sub(replacement, text)
    return text


@cache
def _forms() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(form, re.IGNORECASE), replacement) for form, replacement in _FORMS)


def _is_secret_key(key: str) -> bool:
    return re.search(_SENSITIVE, key, re.IGNORECASE) is not None


def scrub(text: str) -> str:
    """The text without what jsonb refuses (NUL, lone surrogates): no outcome is lost to its message."""
    return re.sub("[\x00\ud800-\udfff]", "\ufffd", text)


def message(text: str) -> str:
    """A text as it may be stored: redacted, scrubbed, and cut (after redaction, so that no half of a secret stays)."""
    return _beginning(text)[:LONGEST_MESSAGE]


def _beginning(text: str) -> str:
    told = redact(scrub(text[:_LONGEST_READ]))
    return told if len(text) <= _LONGEST_READ else told[:-_LONGEST_SECRET] or MASK


def redact_value(value: Any, key: str = "") -> Any:
    """A value of a log event, at any depth: secrets masked, by key, by type, by value and by form; texts cut.

    Of a traceback each line is cut: an exception may quote the whole body that it is about.
    """
    if key and _is_secret_key(key) and value is not None:
        return MASK
    if isinstance(value, str):
        lines = _beginning(value).split("\n") if key == "exception" else [message(value)]
        return "\n".join(line[:LONGEST_MESSAGE] for line in lines)
    if isinstance(value, bool | int | float | None):
        return value
    if hasattr(value, "get_secret_value"):
        return MASK
    if isinstance(value, bytes):
        return message(value.decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return {str(name): redact_value(inner, str(name)) for name, inner in value.items()}
    if isinstance(value, Sequence | set | frozenset):
        return [redact_value(inner) for inner in value]
    return message(str(value))


def scrub_value(value: Any) -> Any:
    """JSON that jsonb takes: every string in it, at any depth, without NUL and lone surrogates."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, Mapping):
        return {scrub(str(key)): scrub_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [scrub_value(inner) for inner in value]
    return value


def _parts(secret: str) -> list[str]:
    """The secret itself, and the strings in it when it is a JSON object (a client id with its secret, say)."""
    parts = [secret]
    if secret.lstrip().startswith("{"):
        try:
            parsed = json.loads(secret)
        except ValueError:
            return parts
        parts += [str(value) for key, value in parsed.items() if _is_secret_key(key)]
    return parts


def _encodings(secret: str) -> set[str]:
    if len(secret) < _SHORTEST_SECRET:
        return set()
    raw = secret.encode("utf-8", "replace")
    encoded = {b64encode(raw).decode().rstrip("="), urlsafe_b64encode(raw).decode().rstrip("=")}
    return {secret, json.dumps(secret)[1:-1], quote(secret, safe=""), quote_plus(secret), *encoded}
