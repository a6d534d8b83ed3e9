"""Tables made together, kept for the targets that are built after the first one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

__all__ = ["Shelf"]


class Shelf:
    """Frames by key and name in a temporary folder of this process; each is taken once.

    Several targets come out of one walk over a trade date, and are built one after the other. The
    folder goes when the process does.
    """

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def get(
        self, key: str, name: str, make: Callable[[], Mapping[str, pl.DataFrame]]
    ) -> pl.DataFrame:
        """Frame `name` of `key`; all frames of the key are made if it is not there."""
        path = self._path(key, name)
        if path.exists():
            frame = pl.read_parquet(path)
            path.unlink()
            return frame
        made = make()
        for other, frame in made.items():
            if other != name:
                frame.write_parquet(self._path(key, other), compression="lz4")
        return made[name]

    def _path(self, key: str, name: str) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="tapemill-levels-")
        return Path(self._folder.name, f"{key}-{name}.parquet")
