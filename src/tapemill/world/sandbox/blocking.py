"""A sandbox for callers without an event loop: in a thread, or until interrupted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

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

    @property
    def base_url(self) -> str:
        """Address of the sandbox, without a trailing slash."""
        return self.sandbox.base_url

    def __enter__(self) -> SandboxThread:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="sandbox")
        self._serving = self._executor.submit(lambda: asyncio.run(self._until_stopped()))
        self._ready.wait()
        if self._stop is None:
            self._executor.shutdown()
            self._serving.result()
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._executor.shutdown()
        self._serving.result()

    async def _until_stopped(self) -> None:
        try:
            async with self.sandbox:
                self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
                self._ready.set()
                await self._stop.wait()
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
