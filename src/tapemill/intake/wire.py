"""The wire itself: one HTTP attempt, every failure of transport given a name, nothing believed yet.

Authorisation travels in headers only. Redirects are not followed, so a key can never reach a
foreign host; a body is read in pieces and dropped once it grows beyond the bound.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Protocol

import aiohttp
from yarl import URL

from tapemill.secrets import redact
from tapemill.settings import Settings
from tapemill.vendors import WireAnswer

__all__ = ["AiohttpTransport", "Transport", "WireCall"]

MAX_BODY_BYTES = 256 * 1024 * 1024
_PIECE_BYTES = 256 * 1024
_USER_AGENT = "tapemill"


@dataclasses.dataclass(frozen=True, slots=True)
class WireCall:
    """One HTTP call as it goes out.

    Parameters
    ----------
    vendor : str
        Whose time-outs apply.
    base : str
        Which configured address: massive, finra_cdn, finra_api or finra_token.
    method, path, params, body
        As in :class:`tapemill.vendors.Request`; `path` is percent-encoded.
    headers : Mapping[str, str]
        Authorisation and format. Never shown.
    """

    vendor: str
    base: str
    method: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)


class Transport(Protocol):
    """How a call reaches its vendor; tests put their own in place."""

    async def send(self, call: WireCall, arrived: Callable[[], None]) -> WireAnswer:
        """Make one attempt.

        Parameters
        ----------
        call : WireCall
        arrived : callable
            To be called when the answer's first bytes are here: from then on the vendor has
            certainly counted the call.

        Returns
        -------
        WireAnswer
            With ``fault`` set and status 0 where no complete answer came.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class AiohttpTransport:
    """Real HTTP through one pooled client session.

    Parameters
    ----------
    settings : Settings
        Base addresses and time-outs of each vendor.
    max_body_bytes : int
        Longest body accepted, after decompression.
    """

    def __init__(self, settings: Settings, *, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        massive, finra = settings.massive, settings.finra
        self._bases = {
            "massive": massive.base_url,
            "finra_cdn": finra.cdn_url,
            "finra_api": finra.api_url,
            "finra_token": finra.token_url,
        }
        self._timeouts = {
            vendor: aiohttp.ClientTimeout(
                total=caps.timeout_seconds, sock_connect=caps.connect_timeout_seconds
            )
            for vendor, caps in (("massive", massive), ("finra", finra))
        }
        self._max_body_bytes = max_body_bytes
        self._session: aiohttp.ClientSession | None = None

    async def send(self, call: WireCall, arrived: Callable[[], None]) -> WireAnswer:
        """Make one attempt over HTTP; see :class:`Transport`."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers={"User-Agent": _USER_AGENT, "Accept-Encoding": "gzip, deflate"},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
            # aiohttp repeats a GET by itself when a kept connection drops, and has no public switch
            # for it: the vendor would count two calls where one was charged.
            self._session._retry_connection = False
        address = URL(self._bases[call.base].rstrip("/") + call.path, encoded=True)
        try:
            async with self._session.request(
                call.method,
                address.extend_query(list(call.params)),
                data=call.body or None,
                headers=dict(call.headers),
                timeout=self._timeouts[call.vendor],
                allow_redirects=False,
            ) as response:
                arrived()
                return await self._read(response)
        except TimeoutError:
            return _fault("time-out: no complete answer within the configured seconds")
        except aiohttp.ClientPayloadError as error:
            return _fault(f"the answer was cut off: {error}")
        except aiohttp.ClientConnectorError as error:
            return _fault(f"no connection: {error.os_error}")
        except (aiohttp.ClientError, OSError) as error:
            return _fault(f"{type(error).__name__}: {error}")

    async def close(self) -> None:
        """Close the pool."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _read(self, response: aiohttp.ClientResponse) -> WireAnswer:
        pieces: list[bytes] = []
        length = 0
        async for piece in response.content.iter_chunked(_PIECE_BYTES):
            length += len(piece)
            if length > self._max_body_bytes:
                response.close()
                return _fault(f"the answer is longer than {self._max_body_bytes:,} bytes")
            pieces.append(piece)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return WireAnswer(response.status, headers, b"".join(pieces))


def _fault(text: str) -> WireAnswer:
    return WireAnswer(0, {}, b"", fault=redact(text))
