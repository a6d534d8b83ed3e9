"""The compiled merge of exchange quotes into the best of all."""

from __future__ import annotations

from typing import Any

from numba import njit, types

__all__ = ["merge_best"]

_T: Any = types
_I = _T.Array(types.int64, 1, "C", readonly=True)
_F = _T.Array(types.float64, 1, "C", readonly=True)
_B = _T.Array(types.boolean, 1, "C", readonly=True)
_OUT = _T.Array(types.float64, 1, "C")
_SIGNATURE = _T.int64(
    _I, _F, _F, _F, _F, _B, _OUT, _OUT, _OUT, _OUT, _OUT,
    _T.Array(types.int64, 1, "C"), _T.Array(types.float64, 2, "C"),
)  # fmt: skip


@njit(_SIGNATURE, cache=True, nogil=True)
def merge_best(
    exchange: Any,
    bid: Any,
    ask: Any,
    bid_size: Any,
    ask_size: Any,
    firm: Any,
    bids: Any,
    asks: Any,
    bid_sizes: Any,
    ask_sizes: Any,
    best: Any,
    rows: Any,
    bests: Any,
) -> int:
    """Apply each quote to its exchange's slot; write a row when the best changes."""
    count = 0
    for i in range(exchange.size):
        slot = exchange[i]
        bids[slot] = bid[i] if firm[i] else 0.0
        asks[slot] = ask[i] if firm[i] else 0.0
        bid_sizes[slot] = bid_size[i] if firm[i] else 0.0
        ask_sizes[slot] = ask_size[i] if firm[i] else 0.0
        top_bid = 0.0
        top_bid_size = 0.0
        low_ask = 0.0
        low_ask_size = 0.0
        for k in range(bids.size):
            if bids[k] > top_bid:
                top_bid = bids[k]
                top_bid_size = bid_sizes[k]
            elif bids[k] == top_bid and bids[k] > 0.0:
                top_bid_size = max(top_bid_size, bid_sizes[k])
            if asks[k] > 0.0:
                if low_ask == 0.0 or asks[k] < low_ask:
                    low_ask = asks[k]
                    low_ask_size = ask_sizes[k]
                elif asks[k] == low_ask:
                    low_ask_size = max(low_ask_size, ask_sizes[k])
        if (
            top_bid != best[0]
            or low_ask != best[1]
            or top_bid_size != best[2]
            or low_ask_size != best[3]
        ):
            best[0] = top_bid
            best[1] = low_ask
            best[2] = top_bid_size
            best[3] = low_ask_size
            rows[count] = i
            for k in range(4):
                bests[k, count] = best[k]
            count += 1
    return count
