"""The user's levels of other instruments, brought to the contract by the basis of both.

A level of an ETF, an index or another future stands where the two instruments' own minutes put it,
never at a fixed multiple: the ratio is learned from the closes of minutes in which both traded, as
they became known (a delayed feed's later than the contract's own), and each price carries its
error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from tapemill.levels.basis import BasisModel, projected_path
from tapemill.levels.inputs import MINUTE_NS, LevelInputs
from tapemill.levels.kinds import LevelKind, LevelPath
from tapemill.levels.user_levels import foreign_rows
from tapemill.settings.declaration import LevelsSettings

__all__ = ["PROJECTED_KINDS", "Unprojected", "known_pairs", "unprojected_levels"]

_SESSIONS = 10
"""Trade dates before this one whose minutes are paired: older ones weigh next to nothing in the
model (it halves the weight of noise after five regular sessions)."""
_OWN = pl.Schema({"ts_event": pl.Int64(), "close_ticks": pl.Float64()})


class Unprojected(NamedTuple):
    """A level of the user's file that could not be brought to the contract, and why."""

    symbol: str
    name: str
    reason: str


def known_pairs(inputs: LevelInputs, symbol: str) -> pl.DataFrame:
    """Minutes in which the contract and another instrument traded, in the order they were known.

    Parameters
    ----------
    inputs : LevelInputs
        Its `minutes`, `history` and `others`.
    symbol : str
        The other instrument.

    Returns
    -------
    pl.DataFrame
        ``ts_event``, ``from_price`` (of `symbol`), ``to_price`` (of the contract), points, and
        ``known_ns``: when both closes were known, ns UTC. Each minute as it was first told; one
        that came to be known after a later one is left out, so that what was known by a moment
        never depends on what came after it.
    """
    since = inputs.prior_globex[-_SESSIONS:]
    begin = since[0].open_ns if since else inputs.globex_open_ns
    frames = [
        frame.select(pl.col(name).cast(dtype) for name, dtype in _OWN.items())
        for frame in (inputs.history, inputs.minutes)
        if not frame.is_empty()
    ]
    own = pl.concat(frames) if frames else pl.DataFrame(schema=_OWN)
    own = own.filter(pl.col("ts_event") >= begin).select(
        "ts_event",
        price=pl.col("close_ticks") * inputs.tick_size,
        finished=pl.col("ts_event") + (MINUTE_NS + inputs.finish_lag_ns),
    )
    other = pl.DataFrame(schema={"ts_event": pl.Int64, "price": pl.Float64, "known_ns": pl.Int64})
    if not inputs.others.is_empty():
        other = inputs.others.filter(pl.col("symbol") == symbol).select(other.columns)
    pairs = other.rename({"price": "from_price"}).join(
        own.rename({"price": "to_price"}), on="ts_event"
    )
    prices = pl.col("from_price", "to_price")
    by_knowledge = (
        pairs.filter(pl.all_horizontal(prices.is_finite() & (prices > 0)))
        .with_columns(known_ns=pl.max_horizontal("known_ns", "finished"))
        .sort("known_ns", "ts_event", "from_price")
    )
    newest = pl.col("ts_event").cum_max().shift(1)
    return by_knowledge.filter(newest.is_null() | (pl.col("ts_event") > newest)).select(
        "ts_event", "from_price", "to_price", "known_ns"
    )


def _projected(inputs: LevelInputs, _settings: LevelsSettings) -> Iterator[LevelPath]:
    rows = _standing_rows(inputs).filter(pl.col("price").is_not_null())
    for (symbol,), own in rows.group_by("symbol", maintain_order=True):
        model = _model(inputs, str(symbol), known_pairs(inputs, str(symbol)))
        for row in own.iter_rows(named=True):
            path = projected_path(
                model,
                f"PROJECTED_USER_{symbol}_{row['name']}",
                row["price"],
                str(symbol),
                inputs.symbol,
                inputs.tick_size,
                *_bounds(inputs, row),
                f"levels.user_file: {symbol} at {row['price']:g}, by the basis of the closes of"
                " minutes in which both traded",
            )
            if len(path.at_ns) > 1:
                yield path


def _model(inputs: LevelInputs, symbol: str, pairs: pl.DataFrame) -> BasisModel:
    return BasisModel(symbol, inputs.symbol, finish_lag_ns=inputs.finish_lag_ns).fit(pairs)


def _bounds(inputs: LevelInputs, row: dict[str, int | None]) -> tuple[int, int]:
    """Between which moments of the trade date a row of the user's file stands."""
    close, end = inputs.globex_close_ns, row["valid_to_ns"]
    begin = max(row["valid_from_ns"] or 0, inputs.globex_open_ns)
    return begin, close if end is None else min(end, close)


def _standing_rows(inputs: LevelInputs) -> pl.DataFrame:
    """Rows of other instruments that stand at some moment of the trade date."""
    end = pl.col("valid_to_ns")
    return foreign_rows(inputs.user, inputs.symbol, inputs.root).filter(
        pl.col("valid_from_ns") < inputs.globex_close_ns,
        end.is_null() | (end > inputs.globex_open_ns),
    )


def unprojected_levels(inputs: LevelInputs) -> tuple[Unprojected, ...]:
    """Levels of other instruments that never stood on this contract and trade date, and why.

    Parameters
    ----------
    inputs : LevelInputs
        With the minutes of the trade date.

    Returns
    -------
    tuple of Unprojected
        In the order of the user's file; rows that do not reach into the trade date are not meant.
    """
    return tuple(
        Unprojected(row["symbol"], row["name"], reason)
        for row in _standing_rows(inputs).iter_rows(named=True)
        if (reason := _obstacle(inputs, row))
    )


def _obstacle(inputs: LevelInputs, row: dict[str, str | int | None]) -> str:
    symbol = str(row["symbol"])
    if row["price"] is None:
        return f"an anchor has no price to bring from {symbol} to {inputs.symbol}"
    if inputs.others.is_empty() or symbol not in inputs.others["symbol"]:
        return f"there are no minutes of {symbol} around this trade date"
    pairs = known_pairs(inputs, symbol)
    least = _model(inputs, symbol, pairs[:0]).least_pairs
    if len(pairs) < least:
        return (
            f"{symbol} and {inputs.symbol} traded in {len(pairs)} common minutes, the basis needs"
            f" {least}"
        )
    known = int(pairs["known_ns"][least - 1])
    if known >= _bounds(inputs, {k: v for k, v in row.items() if not isinstance(v, str)})[1]:
        return f"the basis of {symbol} and {inputs.symbol} was known only after the level's end"
    return ""


PROJECTED_KINDS = (
    LevelKind(
        name="PROJECTED_USER",
        group="user",
        description="A level of the user's own that stands on another instrument (an ETF, an"
        " index, another future), where the basis of both puts it.",
        formula="price · e^b, b the local level of log(price here / price there) over the closes of"
        " minutes in which both traded, see `BasisModel`; its error is 1.96 · e of b",
        known="At each minute, from the pairs of closes known by then (a delayed feed's later);"
        " from its valid_from to its valid_to",
        weight=1.0,
        build=_projected,
    ),
)
