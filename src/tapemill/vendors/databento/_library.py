"""The vendor's own library, loaded when it is first needed."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from tapemill.errors import UsageError

__all__ = ["client_library", "dbn_library"]


def _load(module: str, extra: str, purpose: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UsageError(
            f"{purpose} needs the package {module!r}, which is not installed",
            where=str(error),
            next_step=f'pip install "tapemill[{extra}]"',
        ) from error


@functools.cache
def dbn_library() -> Any:
    """Module `databento_dbn`: metadata and layouts of records.

    Raises
    ------
    UsageError
        The extra ``futures`` is not installed.
    """
    return _load("databento_dbn", "futures", "reading DBN files")


@functools.cache
def client_library() -> Any:
    """Module `databento`: the vendor's client.

    Raises
    ------
    UsageError
        The extra ``databento`` is not installed.
    """
    return _load("databento", "databento", "fetching from Databento")
