"""The least price step of each instrument: what its rows are counted in, and how that is known.

From the best evidence to the weakest: a definition of the instrument, a definition of the same
product (ESU4 for ESH4, a spread for a spread), the prices themselves.
"""

from __future__ import annotations

import bisect
import functools
import re
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from tapemill.book.records import UNDEFINED
from tapemill.lake import Lake

__all__ = ["Tick", "TickTable", "known_definitions", "tick_of_prices"]

_DEFINITIONS = "bronze.databento_definitions"
_COLUMNS = ("raw_symbol", "instrument_id", "asset", "tick_nano", "ts_gateway")
_OUTRIGHT = re.compile(r"([A-Z0-9]{1,6}?)[FGHJKMNQUVXZ]\d{1,2}")
_STEPS = (100, 125, 200, 250, 500, 625)
_ENOUGH = 100
_LEAST_STEPS = (1, 2, 5, 10, 20, 25, 50)
# Eighths to 256ths: prices of notes and grains.
_BINARY_STEPS = (1_562_500, 3_125_000, 7_812_500, 3_906_250)


class Tick(NamedTuple):
    """A price step in 1e-9 points and where it comes from: definition, product or prices."""

    nano: int
    evidence: str

    @property
    def inferred(self) -> bool:
        """Whether a definition of the instrument may yet contradict it."""
        return not self.evidence.startswith("definition")


def _product(symbol: str) -> tuple[str, str] | None:
    """Root and kind of a futures symbol by CME's grammar; None if it is none."""
    if ":" in symbol:
        return symbol.partition(":")[0].strip(), "combination"
    legs = [_OUTRIGHT.fullmatch(leg) for leg in symbol.split("-")]
    if legs[0] is None or None in legs:
        return None
    return legs[0][1], "outright" if len(legs) == 1 else "spread"


class TickTable:
    """Price steps by symbol, and symbols by id, as definitions tell them.

    Parameters
    ----------
    definitions : pl.DataFrame
        Rows of ``bronze.databento_definitions`` in order of time; later ones win.
    """

    def __init__(self, definitions: pl.DataFrame) -> None:
        self._own: dict[str, int] = {}
        self._products: dict[tuple[str, str], tuple[int, str]] = {}
        self._names: dict[int, list[tuple[int, str]]] = {}
        self.learn(definitions)

    def learn(self, definitions: pl.DataFrame) -> None:
        """Take further definitions, later than those before."""
        for symbol, number, asset, nano, at in definitions.select(_COLUMNS).iter_rows():
            if symbol is None:
                continue
            self._names.setdefault(number, []).append((at or 0, symbol))
            if not nano:
                continue
            self._own[symbol] = nano
            product = _product(symbol)
            if product is not None:
                self._products[asset or product[0], product[1]] = nano, symbol

    def of(self, symbol: str) -> Tick | None:
        """The step of a symbol by the best definition; None if there is none."""
        if symbol in self._own:
            return Tick(self._own[symbol], "definition: its own")
        product = _product(symbol)
        if product in self._products:
            nano, like = self._products[product]
            return Tick(nano, f"product: {like}")
        return None

    def symbol_of(self, instrument_id: int, at_ns: int) -> str | None:
        """The symbol that definitions received by then give an id; None if they do not."""
        known = self._names.get(instrument_id, [])
        place = bisect.bisect_right(known, at_ns, key=lambda entry: entry[0])
        return known[place - 1][1] if place else None


def known_definitions(lake: Lake) -> pl.DataFrame:
    """The newest definition of each instrument that the lake holds, in order of time."""
    return (
        lake.tables.scan(_DEFINITIONS)
        .filter(pl.col("raw_symbol").is_not_null())
        .sort("ts_gateway", "raw_sha256", "ordinal")
        .unique(["raw_symbol", "instrument_id"], keep="last", maintain_order=True)
        .select(_COLUMNS)
        .collect()
    )


def tick_of_prices(prices: Any) -> Tick:
    """The greatest customary step that divides the prices.

    Parameters
    ----------
    prices : array of int64
        In 1e-9 points; undefined ones are passed over.

    Returns
    -------
    Tick
        Steps of 1, 2, 2.5, 5 (and their like in tenths, hundredths …) and binary fractions count
        as customary: a single price of 4800.25 is a multiple of itself, which says nothing. One
        price in a thousand (one of a hundred at least) may be odd: it is set aside later, and must
        not decide how all others are counted.
    """
    given, times = np.unique(prices[(prices != UNDEFINED) & (prices != 0)], return_counts=True)
    words = f"prices: divisor of {given.size} different prices"
    if not given.size:
        return Tick(10**9, words)
    total = int(times.sum())
    odd = max(total // 1000, 1) if total >= _ENOUGH else 0
    fitting = (step for step in _customary() if times[given % step != 0].sum() <= odd)
    return Tick(next(fitting), words)


@functools.cache
def _customary() -> tuple[int, ...]:
    """Customary steps in 1e-9 points, from 10,000 points down to the smallest."""
    steps = {base * 10**power for base in _STEPS for power in range(11)}
    steps |= {base * 10**power for base in _BINARY_STEPS for power in range(3)}
    return tuple(sorted(steps | {*_LEAST_STEPS}, reverse=True))
