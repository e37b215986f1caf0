"""Two nets for secrets: by value in every encoding, and by the form that credentials have."""

from __future__ import annotations

import base64
import json
import time
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker import redaction
from worker.redaction import LONGEST_MESSAGE, MASK, guard, message, redact, redact_value, scrub, scrub_value


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdefghijkl",
        "authorization: token 0123456789abcdef",
        "{'Authorization': 'abc123secret'}",
        '{"authorization":"abc123secret"}',
        "Authorization: Basic YWxhZGRpbjpvcGVuc2VzYW1l",
        "grant_type=client_credentials&client_secret=abc123secret&scope=x",
        '{"access_token": "abc123secret"}',
        '{\\"client_secret\\": \\"abc123secret\\"}',
        "Authorization: ApiKey abc123secret",
        'Authorization: Digest username="x", response="abc123secret"',
        "Authorization=Bearer%20abc123secret",
        '{"headers": {"Authorization": ["Bearer abc123secret"]}}',
        "b'Authorization': b'token abc123secret'",
        "Proxy-Authorization: Negotiate abc123secret",
        "Ocp-Apim-Subscription-Key: abc123secret",
        "Set-Cookie: sid=abc123secret; Path=/",
        '{"token": "abc123secret"}',
        "id_token=abc123secret",
        "api_key=abc123secret",
        "password='abc123secret'",
        "postgresql://worker:abc123secret@db/bilag",
    ],
)
def test_what_has_the_form_of_a_credential_is_masked(text: str) -> None:
    masked = redact(text)
    assert MASK in masked
    for secret in ("abc123secret", "abcdefghijkl", "0123456789abcdef", "YWxhZGRpbjpvcGVuc2VzYW1l"):
        assert secret not in masked


@pytest.mark.parametrize(
    "text",
    [
        "The accounting system does not know account 7140.",
        "no answer within 10 seconds",
        "The Authorization header is missing.",
        "Unexpected token: } in JSON",
        "https://www.xledger.net/graphql",
        "voucher BL0123456789ABCDEFGH of claim C-0001",
    ],
)
def test_an_ordinary_message_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_a_guarded_secret_is_masked_in_every_encoding() -> None:
    secret = 'gu4rded "secret" åæ/+=?'
    guard(secret)
    raw = secret.encode()
    for form in (
        secret,
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
        quote_plus(secret),
        json.dumps(secret),
    ):
        assert MASK in redact(f"before {form} after")


def test_the_secret_parts_of_a_json_credential_are_guarded_one_by_one() -> None:
    guard(json.dumps({"client_id": "public-client", "client_secret": "only-this-is-secret"}))
    assert redact("public-client said only-this-is-secret") == f"public-client said {MASK}"


def test_the_longer_of_two_secrets_goes_first() -> None:
    guard("shared-prefix")
    guard("shared-prefix-and-more")
    assert redact("it was shared-prefix-and-more") == f"it was {MASK}"


def test_what_is_too_short_to_be_a_secret_masks_nothing() -> None:
    guard("NOK")
    assert redact("100 NOK") == "100 NOK"


def test_the_oldest_secrets_are_forgotten_so_that_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_MOST_KNOWN", 10)
    for number in range(50):
        guard(f"rotating-secret-{number}")
    assert redact("rotating-secret-49") == MASK
    assert len(redaction._known) <= 10


def test_a_message_is_cut_after_it_was_redacted_so_that_no_half_of_a_secret_stays() -> None:
    secret = "s" * 40
    guard(secret)
    text = "x" * (LONGEST_MESSAGE - 20) + secret
    assert "ssss" not in message(text)
    assert len(message("y" * 10_000)) == LONGEST_MESSAGE


@pytest.mark.parametrize("text", ["y" * 8_000_000, '{"error": "x, y"} ' * 500_000, "token " * 1_300_000])
def test_of_a_body_of_megabytes_only_the_beginning_is_looked_at(text: str) -> None:
    began = time.process_time()
    assert len(message(text)) == LONGEST_MESSAGE
    assert time.process_time() - began < 0.5


def test_no_half_of_a_secret_stays_where_such_a_body_was_cut() -> None:
    secret = "5ecret" * 300
    guard(secret)
    for shift in range(0, 100, 20):
        assert "5ecret" not in message("z" * shift + secret * 5_000)


def test_texts_of_a_log_event_are_cut_and_so_is_each_line_of_a_traceback() -> None:
    body = "<html>" * 1_000
    event = {"message": body, "deep": [{"body": body}], "exception": f"Traceback\n  File x\nValueError: {body}"}
    told = redact_value(event)
    assert (len(told["message"]), len(told["deep"][0]["body"])) == (LONGEST_MESSAGE, LONGEST_MESSAGE)
    assert [len(line) for line in told["exception"].split("\n")] == [9, 8, LONGEST_MESSAGE]


HOSTILE = ["y" * 300_000, "a://" * 75_000, "token " * 50_000, "authorization:" * 20_000, "cookie:" * 20_000]


@pytest.mark.parametrize("text", [*HOSTILE, "authorization: a=b," * 10_000])
def test_a_hostile_body_does_not_cost_more_than_its_length(text: str) -> None:
    began = time.process_time()
    redact(text)
    assert time.process_time() - began < 2


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_whatever_a_vendor_says_jsonb_takes_it(text: str) -> None:
    told = scrub(text)
    assert "\x00" not in told
    told.encode("utf-8")


def test_json_is_scrubbed_at_every_depth() -> None:
    dirty = {"a\x00": ["b\ud800", ("c\x00", 1, None)], "d": {"e": "\udfff"}}
    assert scrub_value(dirty) == {"a\ufffd": ["b\ufffd", ["c\ufffd", 1, None]], "d": {"e": "\ufffd"}}


def test_a_value_named_like_a_secret_is_masked_whatever_it_is() -> None:
    assert redact_value({"client_secret": 5, "secret": None, "secretary": "Kari"}) == {
        "client_secret": MASK,
        "secret": None,
        "secretary": "Kari",
    }
