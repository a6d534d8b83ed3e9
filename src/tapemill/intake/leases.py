"""Claims on tasks, kept alive while they are worked on."""

from __future__ import annotations

from tapemill.clock import Clock
from tapemill.errors import ConflictError
from tapemill.lake import Lake
from tapemill.settings import Settings

__all__ = ["Leases"]


class Leases:
    """The claims that one run holds.

    Parameters
    ----------
    lake : Lake
    settings : Settings
        ``lease.seconds``: a silent owner loses its task after that.
    clock : Clock
    """

    def __init__(self, lake: Lake, settings: Settings, clock: Clock) -> None:
        self._claims = lake.control.claims
        self._owner = lake.control.owner
        self._seconds = settings.lease.seconds
        self._clock = clock
        self._tokens: dict[str, int] = {}

    def take(self, task_key: str) -> int | None:
        """Claim a task; the fencing token, or None while somebody else holds it."""
        token = self._claims.claim(task_key, self._owner, self._seconds)
        if token is not None:
            self._tokens[task_key] = token
        return token

    def release(self, task_key: str) -> None:
        """Give a task back."""
        token = self._tokens.pop(task_key, None)
        if token is not None:
            self._claims.release(task_key, token)

    def release_all(self) -> None:
        """Give everything back."""
        for task_key in list(self._tokens):
            self.release(task_key)

    async def keep(self) -> None:
        """Renew every claim held, well before it runs out, for ever."""
        while True:
            await self._clock.sleep(self._seconds / 3)
            for task_key, token in list(self._tokens.items()):
                try:
                    self._claims.renew(task_key, token, self._seconds)
                except ConflictError:
                    # Taken over after a long pause: the next write of this task is refused.
                    self._tokens.pop(task_key, None)
