"""Tapemill: a market-data refinery and signal proving ground.

>>> from tapemill import Lake
>>> lake = Lake.open("./lake")
>>> bars = lake.scan("silver.equity_bars_1m", symbols=["SPY"], start="2026-01-05")

Importing the package is cheap: tables, frames and kernels load with the first name that needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tapemill.lake import Lake

__all__ = ["Lake", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "Lake":
        from tapemill.lake import Lake

        return Lake
    raise AttributeError(f"module 'tapemill' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
