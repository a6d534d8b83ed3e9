"""Progress bars for long work: rate, quota left and time to go."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["FetchProgress", "StepProgress"]


class StepProgress:
    """A bar that counts units of one kind of work."""

    def __init__(self, title: str, *, quiet: bool = False) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bar.add_task(title, total=None, note="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def step(self, done: int, total: int, note: str = "") -> None:
        """Move the bar to `done` of `total`."""
        self._bar.update(self._task, completed=done, total=total, note=note)


class FetchProgress(StepProgress):
    """A bar over the calls of a fetch, with the vendor's quota."""

    def update(self, event: Any) -> None:
        """Take one progress event of the fetcher."""
        quota = "" if event.quota_left is None else f" · {event.quota_left} calls left"
        self.step(event.done, event.total, f"{event.rate:.1f}/s{quota}")
