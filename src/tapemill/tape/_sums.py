"""The compiled sums. Columns stand in the order of ``contracts.columns.TAPE_SUMS``."""

from __future__ import annotations

from typing import Any

from numba import njit, types

__all__ = ["add_prints"]

_T: Any = types
_I = _T.Array(types.int64, 1, "C", readonly=True)
_F = _T.Array(types.float64, 1, "C", readonly=True)
_B = _T.Array(types.boolean, 1, "C", readonly=True)
_S = _T.Array(types.int8, 1, "C", readonly=True)
_SIGNATURE = _T.int64(
    _I, _F, _F, _B, _S, _S, _S, types.float64, types.boolean,
    _T.Array(types.int64, 1, "C"), _T.Array(types.float64, 2, "C"),
)  # fmt: skip

_FIVE_MINUTES_NS = 300_000_000_000
_BLOCK_SHARES, _BLOCK_DOLLARS = 10_000.0, 200_000.0
_QUOTE, _MIDPOINT, _TICK, _TICK_NO_QUOTE, _AUCTION, _INELIGIBLE = 1, 2, 3, 6, 7, 8
_TICK_THROUGH = 9
_BUY, _SELL, _UNCLASSIFIED, _TRF = 0, 1, 2, 3
_QUOTE_VOLUME, _MIDPOINT_VOLUME, _TICK_VOLUME = 6, 7, 8
_RETAIL_BUY, _RETAIL_SELL, _ODD_LOT, _BLOCK = 9, 10, 11, 12
_AUCTION_VOLUME, _INELIGIBLE_VOLUME, _PRINTS, _DOLLARS = 13, 14, 15, 16


@njit(_SIGNATURE, cache=True, nogil=True)
def add_prints(
    ts: Any,
    price: Any,
    size: Any,
    trf: Any,
    side: Any,
    rung: Any,
    retail: Any,
    round_lot: float,
    continues: bool,
    starts: Any,
    sums: Any,
) -> int:
    """Add each print to its bucket; row 0 may hold an open one. Return the last row used."""
    row = 0 if continues else -1
    for i in range(ts.size):
        start = ts[i] // _FIVE_MINUTES_NS * _FIVE_MINUTES_NS
        if row < 0 or starts[row] != start:
            row += 1
            starts[row] = start
        sums[row, _PRINTS] += 1.0
        shares = size[i]
        if rung[i] == _AUCTION:
            sums[row, _AUCTION_VOLUME] += shares
            continue
        if rung[i] == _INELIGIBLE:
            sums[row, _INELIGIBLE_VOLUME] += shares
            continue

        which = _UNCLASSIFIED
        if side[i] > 0:
            which = _BUY
        elif side[i] < 0:
            which = _SELL
        sums[row, which + (_TRF if trf[i] else 0)] += shares
        if rung[i] == _QUOTE:
            sums[row, _QUOTE_VOLUME] += shares
        elif rung[i] == _MIDPOINT:
            sums[row, _MIDPOINT_VOLUME] += shares
        elif _TICK <= rung[i] <= _TICK_NO_QUOTE or rung[i] == _TICK_THROUGH:
            sums[row, _TICK_VOLUME] += shares

        if retail[i] > 0:
            sums[row, _RETAIL_BUY] += shares
        elif retail[i] < 0:
            sums[row, _RETAIL_SELL] += shares
        dollars = price[i] * shares
        sums[row, _DOLLARS] += dollars
        if shares < round_lot:
            sums[row, _ODD_LOT] += shares
        if shares >= _BLOCK_SHARES or dollars >= _BLOCK_DOLLARS:
            sums[row, _BLOCK] += shares
    return row
