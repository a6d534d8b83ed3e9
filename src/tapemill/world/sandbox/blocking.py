"""A sandbox for callers without an event loop: in a thread, or until interrupted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from tapemill.errors import TapemillError
from tapemill.world.sandbox.server import Sandbox

__all__ = ["SandboxThread", "run_sandbox"]


class SandboxThread:
    """A sandbox in a thread of its own, for blocking callers; a context manager.

    Parameters
    ----------
    sandbox : Sandbox
        Not yet serving; its attributes stay usable from the caller's thread.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)

    @property
    def base_url(self) -> str:
        """Address of the sandbox, without a trailing slash."""
        return self.sandbox.base_url

    def __enter__(self) -> SandboxThread:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._until_stopped())

    async def _until_stopped(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with self.sandbox:
                self._ready.set()
                await self._stop.wait()
        except TapemillError as refused:
            self._failure = refused
        finally:
            self._ready.set()


def run_sandbox(sandbox: Sandbox, *, on_ready: Callable[[str], None] = lambda _: None) -> None:
    """Serve until interrupted.

    Parameters
    ----------
    sandbox : Sandbox
        What to serve.
    on_ready : callable
        Called once with the base address.

    Raises
    ------
    FaultError
        If the port is taken.
    """

    async def serve() -> None:
        async with sandbox:
            on_ready(sandbox.base_url)
            await asyncio.Event().wait()

    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        return
