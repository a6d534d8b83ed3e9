"""How each vendor speaks: what to ask, and what an answer or a file means. No network here.

In: a question (sessions, tickers) or the bytes that came back. Out: a :class:`Request` without
secrets, or a typed :class:`Answer` with rows in bronze columns, rows for quarantine, changes of the
vendor's shape, and the next page.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tapemill.errors import ConfigError
from tapemill.vendors.exchange import Answer, Outcome, Request, WireAnswer, is_cursor_loop
from tapemill.vendors.files import FILE_KINDS, ParsedFile, read_file
from tapemill.vendors.finra.answers import interpret_finra
from tapemill.vendors.massive.answers import interpret_massive

if TYPE_CHECKING:
    from tapemill.secrets import Secret
    from tapemill.settings import Settings

__all__ = [
    "FILE_KINDS",
    "Answer",
    "Outcome",
    "ParsedFile",
    "Request",
    "WireAnswer",
    "headers",
    "interpret",
    "is_cursor_loop",
    "read_file",
]


SYNTHETIC_HEADER = "x-tapemill-synthetic"
"""The sandbox sets it on every answer, no vendor does: made-up rows stay marked for ever."""


def interpret(request: Request, answer: WireAnswer, *, now_ns: int, base_url: str = "") -> Answer:
    """Judge one answer of any vendor. Never raises on what a vendor may send.

    Parameters
    ----------
    request : Request
    answer : WireAnswer
    now_ns : int
        Nanoseconds UTC at which the answer arrived.
    base_url : str
        Configured address of the vendor: its host may appear in `next_url`, beside the vendor's own
        hosts and loopback.
    """
    if request.vendor == "finra":
        judged = interpret_finra(request, answer, now_ns=now_ns)
    else:
        judged = interpret_massive(request, answer, now_ns=now_ns, base_url=base_url)
    if SYNTHETIC_HEADER in answer.headers:
        return dataclasses.replace(judged, source=f"{judged.source}.synthetic")
    return judged


def headers(request: Request, settings: Settings, token: Secret | None = None) -> dict[str, str]:
    """HTTP headers of a request. Credentials go here and nowhere else.

    Parameters
    ----------
    request : Request
    settings : Settings
    token : Secret, optional
        FINRA's bearer token, where credentials are configured.

    Raises
    ------
    ConfigError
        Massive's key is not set.
    """
    found: Mapping[str, str]
    if request.base == "massive":
        key = settings.massive.api_key
        if key is None:
            raise ConfigError(
                "the key of Massive is not set",
                where="massive.api_key",
                next_step="export MASSIVE_API_KEY=…, or rehearse with `tapemill sandbox`",
            )
        found = {"accept": "application/json", "authorization": f"Bearer {key.reveal()}"}
    elif request.base == "finra_cdn":
        found = {"accept": "text/plain"}
    else:
        found = {"accept": "application/json", "content-type": "application/json"}
        if token is not None:
            found = {**found, "authorization": f"Bearer {token.reveal()}"}
    return dict(found)
