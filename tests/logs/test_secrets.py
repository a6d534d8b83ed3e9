"""A canary secret must not come out of anything; ordinary text must come out unchanged."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import re
import urllib.parse

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapemill.errors import ConfigError, UsageError
from tapemill.secrets import MASK, Secret, redact

CANARY = "cAnArY/9f+Z7=q~\"x'é"
CANARY_SECRET = Secret(CANARY, "test.canary")


@pytest.mark.parametrize(
    "show",
    [
        str,
        repr,
        format,
        lambda secret: f"{secret} {secret!r} {secret!s:>40} {[secret]} { ({'k': secret}) }",
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031
        lambda secret: str(copy.copy(secret)) + repr(copy.deepcopy({"a": secret})),
        lambda secret: str(ValueError(secret)) + repr(ValueError(secret)),
        lambda secret: str(dir(secret)),
    ],
)
def test_no_way_of_showing_shows_it(show) -> None:
    assert CANARY not in show(CANARY_SECRET)
    assert CANARY_SECRET.reveal() == CANARY


def test_it_cannot_be_serialised() -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(UsageError, match="must not be pickled") as caught:
            pickle.dumps({"settings": [CANARY_SECRET]}, protocol=protocol)
        assert CANARY not in str(caught.value)
    for encode in (json.dumps, msgspec.json.encode, msgspec.to_builtins):
        with pytest.raises(TypeError) as refused:
            encode({"key": CANARY_SECRET})
        assert CANARY not in str(refused.value)
    assert not hasattr(CANARY_SECRET, "__dict__")


def test_equality_without_showing() -> None:
    twin = Secret(CANARY, "test.twin")
    assert twin == CANARY_SECRET
    assert hash(twin) == hash(CANARY_SECRET)
    assert Secret("other-value", "test.other") != CANARY_SECRET
    assert CANARY_SECRET != CANARY


@pytest.mark.parametrize("value", ["", "two words", "key\n", "\tkey", "a\x00b", "'key'", '"key"'])
def test_unusable_values_are_refused_without_being_shown(value: str) -> None:
    with pytest.raises(ConfigError, match=r"test\.bad") as caught:
        Secret(value, "test.bad")
    assert value == "" or value not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        CANARY,
        f"GET /v2/aggs?apiKey={CANARY}&limit=5",
        urllib.parse.quote(CANARY),
        urllib.parse.quote(CANARY, safe=""),
        urllib.parse.quote(CANARY, safe="").replace("%2F", "%2f").replace("%2B", "%2b"),
        re.sub("%..", lambda code: code.group().lower(), urllib.parse.quote(CANARY, safe="")),
        urllib.parse.quote(urllib.parse.quote(CANARY, safe=""), safe=""),
        urllib.parse.urlencode({"x": CANARY}),
        json.dumps({"x": CANARY}),
        json.dumps({"x": CANARY}, ensure_ascii=False),
        repr({"x": [CANARY]}),
        repr(CANARY.encode()),
        CANARY.encode().hex(),
        f"prefix{CANARY}suffix",
    ],
)
def test_spellings(text: str) -> None:
    clean = redact(text)
    assert MASK in clean
    for part in ("cAnArY", "9f", "Z7", b"cAnArY".hex()):
        assert part not in clean


@given(before=st.binary(max_size=7), after=st.binary(max_size=7))
def test_base64_of_text_around_it(before: bytes, after: bytes) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(before + CANARY.encode() + after).decode()
        clean = redact(text)
        assert MASK in clean
        remaining = clean.replace(MASK, "")
        # At most the two characters shared with a neighbour may stay on either side.
        assert len(remaining) <= len(encode(before)) + len(encode(after)) + 6


@pytest.mark.parametrize(
    "text",
    [
        "https://api.example.com/v2/aggs?limit=5&apiKey=UNKNOWN123&sort=asc",
        "https://api.example.com/v2/aggs?api_key=UNKNOWN123",
        "https://api.example.com/next%3FapiKey%3DUNKNOWN123",
        "MASSIVE_API_KEY=UNKNOWN123 tapemill fetch",
        "FINRA_CLIENT_SECRET='UNKNOWN123'",
        "token=UNKNOWN123",
        "Authorization: Bearer UNKNOWN123",
        "Authorization: Basic VU5LTk9XTjEyMw==UNKNOWN123",
        "{'Authorization': 'Bearer UNKNOWN123'}",
        "[('authorization', 'Bearer UNKNOWN123')]",
        "<CIMultiDict('Authorization': 'Bearer UNKNOWN123')>",
        "sent Bearer UNKNOWN123 to the vendor",
        "x-api-key: UNKNOWN123",
        '{"access_token": "UNKNOWN123", "expires_in": 1800}',
        '"{\\"access_token\\": \\"UNKNOWN123\\"}"',
        "{'password': 'UNKNOWN123'}",
        "postgresql+psycopg://tape:UNKNOWN123@db.example.com/control",
        "amqp://:UNKNOWN123@host",
        "aws_secret_access_key=UNKNOWN123",
        "X-Amz-Signature=UNKNOWN123&X-Amz-Date=20240708",
        "jwt eyJhbGciOiJIUzI1NiJ9.eyJVTktOT1dOMTIzIn0.UNKNOWN123abc",
        "sk_live_UNKNOWN123UNKNOWN",
    ],
)
def test_shapes_that_were_never_registered(text: str) -> None:
    clean = redact(text)
    assert "UNKNOWN123" not in clean
    assert MASK in clean
    assert redact(clean) == clean


@pytest.mark.parametrize(
    "text",
    [
        "massive.api_key is a secret: environment only",
        "next:  export MASSIVE_API_KEY=<your key>",
        "the token expired after 1800 seconds; tokens are renewed",
        "https://api.massive.com/v2/aggs/ticker/SPY/range/1/minute/2024-01-02?limit=50000&sort=asc",
        "s3://bucket/lake at http://127.0.0.1:8333/path@2x",
        "/srv/lake/raw/9f/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "basic plan, bearer of bad news",
        "{'api_key': None, 'plan': 'free'}",
        "SPY 2024-07-08: 390 rows, key=(symbol, ts_event)",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text) == text


def test_short_secrets_are_masked_as_words() -> None:
    Secret("zq7", "test.short")
    assert redact("zq7 zq7x a-zq7") == f"{MASK} zq7x a-{MASK}"


@given(st.text(st.characters(blacklist_categories=["Cc", "Cs", "Z"]), min_size=6, max_size=40))
def test_any_registered_value_is_masked_anywhere(value: str) -> None:
    Secret(value, "test.any")
    for text in (f"<{value}>", json.dumps([value]), urllib.parse.quote(f"a {value} b", safe="")):
        assert value not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "fetch --api-key Hidden77 --all",
        "aws_secret_access_key = Hidden77",
        "postgresql://user:Hid@Hidden77@host/lake",
    ],
)
def test_keys_of_command_lines_and_configuration_are_masked(text: str) -> None:
    assert "Hidden77" not in redact(text)
