"""FINRA's OAuth: the token question and its answer. Credentials are optional for public data."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from typing import Any

import msgspec

from tapemill.errors import BadAnswerError, NotEntitledError, VendorFaultError
from tapemill.secrets import Secret
from tapemill.vendors.exchange import WireAnswer

__all__ = ["Token", "parse_token", "token_headers", "token_params"]

_EARLY_SECONDS = 60
"""Tokens are renewed this long before they end: a request must not outlive its token."""


@dataclasses.dataclass(frozen=True)
class Token:
    """A bearer token and the moment (ns UTC) from which it must be renewed."""

    secret: Secret
    renew_ns: int

    def is_fresh(self, now_ns: int) -> bool:
        """Whether the token may still be used at `now_ns`."""
        return now_ns < self.renew_ns


def token_params() -> tuple[tuple[str, str], ...]:
    """Query parameters of the token request; repeating them in the body is rejected."""
    return (("grant_type", "client_credentials"),)


def token_headers(client_id: Secret, client_secret: Secret) -> Mapping[str, str]:
    """Headers of the token request: HTTP Basic, nothing in the address."""
    pair = f"{client_id.reveal()}:{client_secret.reveal()}".encode()
    encoded = Secret(base64.b64encode(pair).decode(), "finra.basic_credentials")
    return {"authorization": f"Basic {encoded.reveal()}", "accept": "application/json"}


def parse_token(answer: WireAnswer, *, now_ns: int) -> Token:
    """Read the answer to the token request.

    Parameters
    ----------
    answer : WireAnswer
    now_ns : int
        Nanoseconds UTC at which the answer arrived.

    Raises
    ------
    NotEntitledError
        The client id or secret is wrong (HTTP 400 invalid_client, 401, 403).
    VendorFaultError
        Time-out, HTTP 429 or server error.
    BadAnswerError
        The answer holds no token.
    """
    if answer.status in (400, 401, 403):
        raise NotEntitledError(
            f"FINRA refused the credentials: HTTP {answer.status}",
            where="finra.client_id, finra.client_secret",
            next_step="correct both, or unset both: the public data needs none",
        )
    if answer.status == 0 or answer.status == 429 or answer.status >= 500:
        raise VendorFaultError(
            f"FINRA's token service failed: {answer.fault or f'HTTP {answer.status}'}",
            where="finra.token_url",
            next_step="it is asked again later",
        )
    try:
        content: Any = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        content = None
    token = content.get("access_token") if isinstance(content, dict) else None
    if answer.status != 200 or not isinstance(token, str) or not token:
        # The body is named by its size alone: a malformed answer may still hold the token.
        raise BadAnswerError(
            f"no access_token in FINRA's answer: HTTP {answer.status}, {len(answer.body)} bytes",
            where="finra.token_url",
            next_step="check finra.token_url",
        )
    lifetime = _seconds(content.get("expires_in"))
    return Token(
        Secret(token, "finra.access_token"),
        now_ns + max(0, lifetime - _EARLY_SECONDS) * 1_000_000_000,
    )


def _seconds(value: object) -> int:
    """FINRA sends the lifetime as text; without one the token serves a single half hour."""
    try:
        return int(str(value))
    except ValueError:
        return 1800
