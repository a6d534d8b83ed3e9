"""Layouts of the fixed-size DBN records that kernels read, as packed NumPy dtypes.

They are the same in DBN 1, 2 and 3. `action` and `side` are bytes (ASCII codes) and every 64-bit
field is signed, so that compiled code compares integers with integers; an undefined time stamp
(2^64 - 1 in the file) therefore reads as :data:`NO_TIME`.

Source: Databento, DBN encoding, record layouts (`databento_dbn` is held to the same in tests).
"""

from __future__ import annotations

import numpy as np

__all__ = ["LEVEL", "MBO", "MBP_1", "MBP_10", "NO_TIME", "OHLCV", "TBBO", "TRADE", "UNDEFINED"]

UNDEFINED = int(np.iinfo(np.int64).max)
"""Price in a record that the feed does not give."""
NO_TIME = -1
"""Time stamp that the feed does not give, read as signed."""

_HEADER = [
    ("length", "u1"),
    ("rtype", "u1"),
    ("publisher_id", "<u2"),
    ("instrument_id", "<u4"),
    ("ts_event", "<i8"),
]
_CLOCK = [("ts_recv", "<i8"), ("ts_in_delta", "<i4"), ("sequence", "<u4")]

LEVEL = np.dtype(
    [
        ("bid_px", "<i8"),
        ("ask_px", "<i8"),
        ("bid_sz", "<u4"),
        ("ask_sz", "<u4"),
        ("bid_ct", "<u4"),
        ("ask_ct", "<u4"),
    ]
)
"""One level of both ladders: price (1e-9), contracts and number of orders a side."""

MBO = np.dtype(
    [
        *_HEADER,
        ("order_id", "<i8"),
        ("price", "<i8"),
        ("size", "<u4"),
        ("flags", "u1"),
        ("channel_id", "u1"),
        ("action", "u1"),
        ("side", "u1"),
        *_CLOCK,
    ]
)
"""Every order: 56 bytes."""

TRADE = np.dtype(
    [
        *_HEADER,
        ("price", "<i8"),
        ("size", "<u4"),
        ("action", "u1"),
        ("side", "u1"),
        ("flags", "u1"),
        ("depth", "u1"),
        *_CLOCK,
    ]
)
"""A trade, and the head of every record of price levels: 48 bytes."""


def _ladder(levels: int) -> np.dtype[np.void]:
    return np.dtype([*TRADE.descr, ("levels", LEVEL, (levels,))])


MBP_10 = _ladder(10)
"""Ten best levels a side: 368 bytes."""

MBP_1 = _ladder(1)
"""Best level a side: 80 bytes."""

TBBO = MBP_1
"""A trade with the best level a side before it: laid out as :data:`MBP_1`."""

OHLCV = np.dtype(
    [
        *_HEADER,
        ("open", "<i8"),
        ("high", "<i8"),
        ("low", "<i8"),
        ("close", "<i8"),
        ("volume", "<i8"),
    ]
)
"""A bar: 56 bytes."""
