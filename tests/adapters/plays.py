"""What can happen to a request, by what it leaves behind and what its client gets to know."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dev.fakes.fake import Fake

Play = Callable[[Fake, str], object]

NOT_EXECUTED: dict[str, Play] = {
    "429": lambda fake, on: fake.fail_next(429, after=2, on=on),
    "503 with Retry-After": lambda fake, on: fake.fail_next(503, after=2, on=on),
    "401": lambda fake, on: fake.fail_next(401, on=on),
    "404": lambda fake, on: fake.fail_next(404, on=on),
}
EXECUTED_UNHEARD: dict[str, Play] = {
    "hang": lambda fake, on: fake.commit_then_hang(on=on),
    "reset": lambda fake, on: fake.commit_then_reset(on=on),
    "502": lambda fake, on: fake.commit_then_status(502, on=on),
    "503": lambda fake, on: fake.commit_then_status(503, on=on),
    "504": lambda fake, on: fake.commit_then_status(504, on=on),
    "500": lambda fake, on: fake.commit_then_status(500, on=on),
    "408": lambda fake, on: fake.commit_then_status(408, on=on),
    "half an answer": lambda fake, on: fake.truncate_next(on=on),
    "half an answer, then a cut": lambda fake, on: fake.truncate_next(cut=True, on=on),
    "ten megabytes": lambda fake, on: fake.flood_next(10, on=on),
    "a slow drip": lambda fake, on: fake.drip_next(0.1, 1000, on=on),
}
NOT_EXECUTED_UNHEARD: dict[str, Play] = {
    "hang": lambda fake, on: fake.hang_next(on=on),
    "reset": lambda fake, on: fake.cut_next(on=on),
    "500": lambda fake, on: fake.fail_next(500, on=on),
    "502": lambda fake, on: fake.fail_next(502, on=on),
    "503": lambda fake, on: fake.fail_next(503, on=on),
    "504": lambda fake, on: fake.fail_next(504, on=on),
    "a maintenance page": lambda fake, on: fake.fail_next(200, on=on, body="<html>We will be back soon</html>"),
}


def plays(of: dict[str, Play]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("play", of.values(), ids=of.keys())
