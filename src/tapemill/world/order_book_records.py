"""Layouts of order records, the schemas that follow from the two full feeds, and merging."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal

import numpy as np

from tapemill.errors import UnknownNameError, did_you_mean

__all__ = ["DTYPES", "derive", "feed_behind", "merge"]

Array = Any

_HEAD = [
    ("length", "u1"),
    ("rtype", "u1"),
    ("publisher_id", "<u2"),
    ("instrument_id", "<u4"),
    ("ts_event", "<u8"),
]
_BODY = [
    ("price", "<i8"),
    ("size", "<u4"),
    ("action", "S1"),
    ("side", "S1"),
    ("flags", "u1"),
    ("depth", "u1"),
    ("ts_recv", "<u8"),
    ("ts_in_delta", "<i4"),
    ("sequence", "<u4"),
]


def _ladder(levels: int) -> list[tuple[str, str]]:
    return [
        (f"{side}_{what}_{place:02}", kind)
        for place in range(levels)
        for what, kind in (("px", "<i8"), ("sz", "<u4"), ("ct", "<u4"))
        for side in ("bid", "ask")
    ]


DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "mbo": np.dtype(
        [
            *_HEAD,
            ("order_id", "<u8"),
            ("price", "<i8"),
            ("size", "<u4"),
            ("flags", "u1"),
            ("channel_id", "u1"),
            ("action", "S1"),
            ("side", "S1"),
            ("ts_recv", "<u8"),
            ("ts_in_delta", "<i4"),
            ("sequence", "<u4"),
        ]
    ),
    "mbp-10": np.dtype(_HEAD + _BODY + _ladder(10)),
    "mbp-1": np.dtype(_HEAD + _BODY + _ladder(1)),
    "tbbo": np.dtype(_HEAD + _BODY + _ladder(1)),
    "trades": np.dtype(_HEAD + _BODY),
}
"""Layout of the records of each schema, as in DBN (`length` counts units of four bytes)."""

_RTYPE = {"mbp-1": 1, "tbbo": 1, "trades": 0}


def feed_behind(schema: str) -> Literal["mbo", "mbp-10"]:
    """Return the full feed from which a schema is cut.

    Raises
    ------
    UnknownNameError
        For a schema that the world does not make.
    """
    if schema not in DTYPES:
        raise UnknownNameError(
            f"the world makes no {schema!r} records",
            where=f"it makes {', '.join(DTYPES)}",
            next_step=did_you_mean(schema, DTYPES),
        )
    return "mbo" if schema == "mbo" else "mbp-10"


def derive(schema: str, blocks: Iterable[Array]) -> Iterator[Array]:
    """Yield records of `schema` from blocks (uint8) of the feed behind it.

    mbp-1 keeps the records that change the best prices, and trades; tbbo and trades the trades.
    """
    best: Array = np.zeros(1, "V32")
    for raw in blocks:
        if schema in ("mbo", "mbp-10"):
            yield raw.view(DTYPES[schema]).reshape(-1)
            continue
        wide = raw.view(DTYPES["mbp-10"]).reshape(-1)
        words = raw.reshape(-1, DTYPES["mbp-10"].itemsize)
        keep = wide["action"] == b"T"
        if schema == "mbp-1":
            tops = np.ascontiguousarray(words[:, 48:80]).view("V32").reshape(-1)
            keep |= np.concatenate([best, tops[:-1]]) != tops if tops.size else keep
            best = tops[-1:].copy() if tops.size else best
        dtype = DTYPES[schema]
        narrow = np.ascontiguousarray(words[keep, : dtype.itemsize]).view(dtype).reshape(-1)
        narrow["length"], narrow["rtype"] = dtype.itemsize // 4, _RTYPE[schema]
        yield narrow


def merge(parts: Sequence[Array]) -> Array:
    """Put the records of several instruments into one channel's order.

    Ordered by `ts_recv`, ties in the order of `parts`. The channel's sequence grows with each
    packet by as much as it did in its own part, so that gaps of the feed stay visible.
    """
    every = np.concatenate(parts)
    steps = [np.diff(part["sequence"].astype(np.int64), prepend=600) for part in parts]
    order = np.argsort(every["ts_recv"], kind="stable")
    merged = every[order]
    sequence = 600 + np.cumsum(np.concatenate(steps)[order])
    merged["sequence"] = sequence.astype(np.uint32)
    return merged
