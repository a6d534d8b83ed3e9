"""Five-minute sums of classified prints: what stays when the prints are forgotten."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import polars as pl

from tapemill.contracts.columns import TAPE_SUMS
from tapemill.errors import ContractError
from tapemill.tape.classify import Classified
from tapemill.tape.prints import Floats, Int64s, Trades

__all__ = ["BLOCK_DOLLARS", "BLOCK_SHARES", "FIVE_MINUTES_NS", "OpenBucket", "close_bucket"]
__all__ += ["five_minute_sums", "running_sums"]

FIVE_MINUTES_NS = 300_000_000_000
BLOCK_SHARES = 10_000.0
BLOCK_DOLLARS = 200_000.0
_NAMES = [column.name for column in TAPE_SUMS]


@dataclasses.dataclass(frozen=True, eq=False)
class OpenBucket:
    """Five minutes that more prints may still join.

    Attributes
    ----------
    start : int
        Start of the five minutes, ns UTC.
    sums : ndarray of float64
        One value per column of ``contracts.columns.TAPE_SUMS``, in that order.
    """

    start: int
    sums: Floats


def _frame(starts: Int64s, sums: Floats) -> pl.DataFrame:
    columns: dict[str, Any] = {"ts_event": starts}
    columns |= {name: sums[:, k] for k, name in enumerate(_NAMES)}
    schema = {"ts_event": pl.Int64()} | {column.name: column.dtype for column in TAPE_SUMS}
    return pl.DataFrame(columns).cast(pl.Schema(schema))


def close_bucket(bucket: OpenBucket | None) -> pl.DataFrame:
    """Row of a bucket that no print will join any more; no row for None."""
    if bucket is None:
        return _frame(np.empty(0, np.int64), np.empty((0, len(_NAMES))))
    return _frame(np.array([bucket.start], np.int64), bucket.sums.reshape(1, -1))


def running_sums(
    trades: Trades,
    classified: Classified,
    bucket: OpenBucket | None = None,
    *,
    round_lot: float = 100.0,
) -> tuple[pl.DataFrame, OpenBucket | None]:
    """Sum one chunk of a tape, going on with the bucket that the chunk before left open.

    Sums run print by print, so that any chunking gives the same bits.

    Returns
    -------
    closed : pl.DataFrame
        As :func:`five_minute_sums`, for the buckets that a later print has closed.
    bucket : OpenBucket or None
        The last one, still open.

    Raises
    ------
    ContractError
        `classified` has another length, or the prints begin before the open bucket.
    """
    n = len(trades)
    if classified.side.size != n:
        raise ContractError(
            f"{n} trades with {classified.side.size} sides",
            next_step="sum the trades that were classified",
        )
    if n == 0:
        return close_bucket(None), bucket
    if bucket is not None and int(trades.ts[0]) < bucket.start:
        raise ContractError(
            f"a print at {trades.ts[0]} ns is before the open five minutes at {bucket.start} ns",
            next_step="feed the chunks in the order of time",
        )

    from tapemill.tape._sums import add_prints  # compiled: keep it out of start paths

    buckets = trades.ts // FIVE_MINUTES_NS
    rows = int(np.count_nonzero(np.diff(buckets))) + 2
    starts = np.zeros(rows, np.int64)
    sums = np.zeros((rows, len(_NAMES)))
    if bucket is not None:
        starts[0] = bucket.start
        sums[0] = bucket.sums
    last = add_prints(
        trades.ts, trades.price, trades.size, trades.trf, classified.side, classified.rung,
        classified.retail, round_lot, bucket is not None, starts, sums,
    )  # fmt: skip
    return _frame(starts[:last], sums[:last]), OpenBucket(int(starts[last]), sums[last].copy())


def five_minute_sums(
    trades: Trades, classified: Classified, *, round_lot: float = 100.0
) -> pl.DataFrame:
    """Sum classified prints of one symbol into five minutes.

    Parameters
    ----------
    trades : Trades
    classified : Classified
        Of these trades.
    round_lot : float
        Shares in a round lot of this symbol; smaller prints are odd lots.

    Returns
    -------
    pl.DataFrame
        ``ts_event`` (Int64, ns UTC, start of the five minutes) and the columns of
        ``contracts.columns.TAPE_SUMS``; one row per five minutes that hold a print.

    Raises
    ------
    ContractError
        `classified` has another length than `trades`.
    """
    closed, bucket = running_sums(trades, classified, round_lot=round_lot)
    return pl.concat([closed, close_bucket(bucket)])
