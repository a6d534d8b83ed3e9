"""Bearer tokens, where a vendor has them: asked through the same gate as everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from tapemill.clock import Clock
from tapemill.intake.governor import Governor
from tapemill.intake.wire import Transport, WireCall
from tapemill.secrets import Secret
from tapemill.settings import Settings
from tapemill.vendors import Request
from tapemill.vendors.finra import Token, parse_token, token_headers, token_params

__all__ = ["TokenKeeper"]


class TokenKeeper:
    """Keeps FINRA's token fresh when a client is configured; otherwise there is none.

    Every token request is charged to the vendor's budget.
    """

    def __init__(
        self, settings: Settings, clock: Clock, governor: Governor, transport: Transport
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._governor = governor
        self._transport = transport
        self._token: Token | None = None
        self._asking = asyncio.Lock()
        self.calls = 0

    async def token(self, request: Request) -> Secret | None:
        """The token for `request`; None where none is needed.

        Raises
        ------
        NotEntitledError
            The vendor refused the client.
        VendorFaultError
            The token service failed.
        BadAnswerError
            Its answer holds no token.
        """
        finra = self._settings.finra
        if request.base != "finra_api" or finra.client_id is None or finra.client_secret is None:
            return None
        async with self._asking:
            if self._token is None or not self._token.is_fresh(self._clock.now_ns()):
                self._token = await self._ask(token_headers(finra.client_id, finra.client_secret))
            return self._token.secret

    def serves(self, request: Request) -> bool:
        """Whether `request` goes out with a token."""
        finra = self._settings.finra
        return request.base == "finra_api" and None not in (finra.client_id, finra.client_secret)

    def forget(self) -> None:
        """Drop the token: the vendor did not accept it."""
        self._token = None

    async def _ask(self, headers: Mapping[str, str]) -> Token:
        grant = await self._governor.admit()
        call = WireCall("finra", "finra_token", "POST", "", params=token_params(), headers=headers)
        failed = True
        try:
            wire = await self._transport.send(call, lambda: self._governor.arrived(grant))
            self.calls += 1
            token = parse_token(wire, now_ns=self._clock.now_ns())
            failed = False
        finally:
            self._governor.arrived(grant)
            self._governor.settle(grant, failed=failed)
        return token
