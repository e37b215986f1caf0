"""Cuts SQL into statements as psql does: by the semicolons that are not inside of anything.

Inside of something are strings, quoted names, dollar quotes, comments (which nest) and the ``begin atomic … end`` body
of a function. Only what is needed to find the ends of statements and to read their first words is understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from worker.migrate.report import MigrationError

_TOKEN = re.compile(
    r"""
      (?P<space>\s+|--[^\n]*)
    | (?P<comment>/\*)
    | (?P<string>[eE]'(?:[^'\\]|\\.|'')*'|[bBxXnN]?'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<dollar>\$(?:[^\W\d]\w*)?\$)
    | (?P<open>[eE]?'|")
    | (?P<word>[^\W\d][\w$]*)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of SQL that is neither space nor comment. Of an unquoted word ``text`` is in lower case."""

    text: str
    start: int
    end: int
    kind: str

    @property
    def name(self) -> str:
        """What the token names, if it is a name."""
        return self.text[1:-1].replace('""', '"') if self.kind == "quoted" else self.text


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement without its semicolon; the tokens' positions count from the start of its ``text``."""

    source: str
    line: int
    text: str
    tokens: tuple[Token, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The tokens' texts, which tell what kind of a statement it is."""
        return tuple(token.text for token in self.tokens)

    def line_of(self, position: int) -> int:
        """The line in the file of a 1-based character position in the statement, as Postgres reports it."""
        return self.line + self.text.count("\n", 0, max(position - 1, 0))


def split(sql: str, source: str) -> Iterator[Statement]:
    """Yields the statements of a file. ``source`` names it in errors and in what is yielded.

    Raises MigrationError for a string, a quote or a comment that never ends.
    """
    gathered: list[Token] = []
    depth = 0
    for token in _tokens(sql, source):
        if token.text == ";" and token.kind == "other" and depth == 0:
            if gathered:
                yield _statement(sql, source, gathered)
            gathered = []
            continue
        gathered.append(token)
        depth += _opens(gathered, depth)
    if gathered:
        yield _statement(sql, source, gathered)


def _opens(tokens: list[Token], depth: int) -> int:
    """1, 0 or -1: whether the last token opens or closes a part of a standard body, in which semicolons end nothing."""
    last = tokens[-1]
    if last.kind != "word":
        return 0
    if depth == 0:
        return int(
            last.text == "atomic" and len(tokens) > 1 and tokens[-2].text == "begin" and tokens[0].text == "create"
        )
    return {"case": 1, "end": -1}.get(last.text, 0)


def _statement(sql: str, source: str, tokens: list[Token]) -> Statement:
    start, end = tokens[0].start, tokens[-1].end
    moved = tuple(Token(t.text, t.start - start, t.end - start, t.kind) for t in tokens)
    return Statement(source, sql.count("\n", 0, start) + 1, sql[start:end], moved)


def _tokens(sql: str, source: str) -> Iterator[Token]:
    position = 0
    while position < len(sql):
        found = _TOKEN.match(sql, position)
        if found is None:  # pragma: no cover - the last alternative takes any character
            break
        kind, end = str(found.lastgroup), found.end()
        if kind == "comment":
            end = _end_of_comment(sql, position, source)
        elif kind == "dollar":
            end = _end_of(sql, found.group(), end, position, source)
        elif kind == "open":
            raise _endless(sql, position, source, "quote")
        if kind not in {"space", "comment"}:
            text = sql[position:end]
            yield Token(text.lower() if kind == "word" else text, position, end, kind)
        position = end


def _end_of_comment(sql: str, start: int, source: str) -> int:
    depth = 0
    for edge in _COMMENT_EDGE.finditer(sql, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    raise _endless(sql, start, source, "comment")


def _end_of(sql: str, tag: str, after: int, start: int, source: str) -> int:
    end = sql.find(tag, after)
    if end < 0:
        raise _endless(sql, start, source, f"quote {tag}")
    return end + len(tag)


def _endless(sql: str, position: int, source: str, what: str) -> MigrationError:
    line = sql.count("\n", 0, position) + 1
    return MigrationError(f"{source}, line {line}: the {what} that opens here never ends.")
