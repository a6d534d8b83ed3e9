"""Prints and quotes of a session whose every side is known, drawn into the market's minute bars.

Prices, volumes and extremes of the regular prints follow the bars: the first print of a minute is
at its open, the last at its close, and sizes add up to its volume. Each print's true aggressor is
kept beside it; the quotes stand where that aggressor found them.
"""

from __future__ import annotations

import dataclasses
from datetime import date
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tapemill.clock.sessions import Session
from tapemill.world.market import Market
from tapemill.world.seeds import stream

__all__ = ["QUOTE_SCHEMA", "TRADE_SCHEMA", "Tape", "draw_tape"]

TRADE_SCHEMA: Final = pl.Schema(
    {
        "conditions": pl.List(pl.Int64()),
        "correction": pl.Int64(),
        "exchange": pl.Int64(),
        "id": pl.String(),
        "participant_timestamp": pl.Int64(),
        "price": pl.Float64(),
        "sequence_number": pl.Int64(),
        "sip_timestamp": pl.Int64(),
        "size": pl.Float64(),
        "tape": pl.Int64(),
        "trf_id": pl.Int64(),
        "trf_timestamp": pl.Int64(),
    }
)
"""A print as the vendor sends it; times in nanoseconds UTC."""

QUOTE_SCHEMA: Final = pl.Schema(
    {
        "ask_exchange": pl.Int64,
        "ask_price": pl.Float64,
        "ask_size": pl.Float64,
        "bid_exchange": pl.Int64,
        "bid_price": pl.Float64,
        "bid_size": pl.Float64,
        "participant_timestamp": pl.Int64,
        "sequence_number": pl.Int64,
        "sip_timestamp": pl.Int64,
        "tape": pl.Int64,
    }
)
"""A national best bid and offer as the vendor sends it."""

_MINUTE_NS: Final = 60_000_000_000
_PRINTS: Final = {"mega": 16, "mid": 8, "illiquid": 4}
"""Prints of a minute at the most: a model of a tape, not its full length."""
_EXCHANGES: Final = np.array([1, 8, 10, 11, 12, 15, 19, 21])
_TRF: Final = 4
_TRF_IDS: Final = np.array([201, 202, 203])
_FORM_T, _ODD_LOT, _SWEEP = 12, 37, 14
_OPENING, _CLOSING = 17, 8
_OFF_MARKET: Final = (2, 10, 22, 53)
"""Average price, derivatively priced, prior reference price, qualified contingent trade."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Tape:
    """Ticks of one ticker and session.

    Attributes
    ----------
    trades : pl.DataFrame
        :data:`TRADE_SCHEMA` and the truth: ``side`` (Int8, +1 the buyer was the aggressor, -1 the
        seller, 0 nobody: auctions and prints away from the market) and ``kind`` (``quote``,
        ``midpoint``, ``retail``, ``auction``, ``off_market``, ``cancelled``).
    quotes : pl.DataFrame
        :data:`QUOTE_SCHEMA`.
    """

    trades: pl.DataFrame
    quotes: pl.DataFrame


@dataclasses.dataclass
class _Prints:
    """Columns of the prints while they are drawn."""

    stamp: Ints
    price: Floats
    size: Floats
    side: NDArray[np.int8]
    kind: NDArray[np.str_]
    low: Floats
    high: Floats
    trf: NDArray[np.bool_]


def draw_tape(market: Market, ticker: str, session: date) -> Tape:
    """Draw the prints and quotes of a ticker's session; equal arguments give equal ticks.

    Raises
    ------
    UnknownNameError
        If the ticker never traded here.
    """
    bars = market.minute_bars(ticker, session)
    if bars.is_empty():
        return Tape(_no_trades(), QUOTE_SCHEMA.to_frame())
    hours = market.session(session)
    spec = market.spec(ticker)
    draw = stream(market.seed, "ticks", spec.symbol, session.toordinal())
    prints = _minutes(draw, bars, _PRINTS[spec.tier])
    _choose_sides(draw, prints)
    _choose_kinds(draw, prints, hours)
    quotes = _quotes(draw, prints)
    return Tape(_trades(draw, prints, hours), quotes)


def _no_trades() -> pl.DataFrame:
    return pl.DataFrame(schema={**TRADE_SCHEMA, "side": pl.Int8, "kind": pl.String})


def _minutes(draw: np.random.Generator, bars: pl.DataFrame, most: int) -> _Prints:
    """Times, prices and sizes inside the bars."""
    count = np.clip(bars["n"].to_numpy(), 1, most)
    bar = np.repeat(np.arange(bars.height), count)
    first = np.r_[0, np.cumsum(count)[:-1]]
    place = np.arange(bar.size) - first[bar]
    o, h, low, c = (bars[name].to_numpy()[bar] for name in ("o", "h", "l", "c"))
    offset = np.sort(draw.random(bar.size) + bar)  # sorted within each bar: bars do not overlap
    stamp = bars["t"].to_numpy()[bar] * 1_000_000 + (
        (offset - bar) * (_MINUTE_NS - 2_000_000_000) + 1_000_000_000
    ).astype(np.int64)
    share = place / np.maximum(count[bar] - 1, 1)
    # Now and then two prints share a nanosecond; the sequence number keeps their order.
    twin = np.flatnonzero((draw.random(bar.size) < 0.005) & (place > 0))
    stamp[twin] = stamp[twin - 1]
    straight = o + (c - o) * share
    noise = draw.standard_normal(bar.size) * (h - low) * 0.25
    price = np.clip(np.round(straight + noise, 2), low, h)
    price[first] = bars["o"].to_numpy()
    ends = first + count - 1
    many = count >= 2
    price[ends[many]] = bars["c"].to_numpy()[many]
    for name, rank in (("h", 1), ("l", 2)):
        roomy = count >= 4
        price[(first + rank)[roomy]] = bars[name].to_numpy()[roomy]
    return _Prints(
        stamp,
        price,
        _sizes(draw, bars["v"].to_numpy(), bar, first, count),
        np.zeros(bar.size, np.int8),
        np.full(bar.size, "quote", "U10"),
        low,
        h,
        np.zeros(bar.size, bool),
    )


def _sizes(
    draw: np.random.Generator, volume: Floats, bar: Ints, first: Ints, count: Ints
) -> Floats:
    """Whole shares that add up to the bar's volume; its fraction of a share goes to the last."""
    weight = draw.exponential(1.0, bar.size) ** 2 + 0.02
    total = np.add.reduceat(weight, first)
    size = np.floor(volume[bar] * weight / total[bar])
    rest = volume - np.add.reduceat(size, first)
    size[first + count - 1] += np.round(rest, 6)
    return size


def _choose_sides(draw: np.random.Generator, prints: _Prints) -> None:
    """Aggressors come in runs, and prices move with them."""
    moved = np.sign(np.diff(prints.price, prepend=prints.price[:1]))
    fresh = np.where(draw.random(moved.size) < 0.5, 1, -1)
    side = np.where((moved != 0) & (draw.random(moved.size) < 0.7), moved, fresh)
    prints.side[:] = side.astype(np.int8)


def _choose_kinds(draw: np.random.Generator, prints: _Prints, hours: Session) -> None:
    """Who trades where: auctions, off-exchange prints inside the quote, prints away from it."""
    n = prints.stamp.size
    prints.trf[:] = draw.random(n) < 0.42
    luck = draw.random(n)
    inside = prints.trf & (prints.price > prints.low + 0.005) & (prints.price < prints.high - 0.005)
    retail = inside & (luck < 0.35)
    improved = np.round(draw.integers(1, 5, n) * 0.0005, 4)
    prints.price[retail] -= (prints.side * improved)[retail]
    prints.kind[retail] = "retail"
    midpoint = inside & (luck >= 0.35) & (luck < 0.5)
    prints.price[midpoint] -= (prints.side * 0.005)[midpoint]
    prints.kind[midpoint] = "midpoint"
    away = prints.trf & (luck > 0.97) & ~retail & ~midpoint
    prints.kind[away], prints.side[away] = "off_market", 0
    prints.price[:] = np.round(prints.price, 4)
    regular = (prints.stamp >= hours.open_ns) & (prints.stamp < hours.close_ns)
    places = np.flatnonzero(regular)
    for place in (places[0], places[-1]) if places.size else ():
        prints.kind[place], prints.side[place], prints.trf[place] = "auction", 0, False


def _quotes(draw: np.random.Generator, prints: _Prints) -> pl.DataFrame:
    """A quote before each print on which its aggressor traded, one after it, and flicker."""
    sided = np.flatnonzero(prints.side != 0)
    price, side, kind = prints.price[sided], prints.side[sided], prints.kind[sided]
    mid = kind == "midpoint"
    # The aggressor's side of the quote is the whole cent at or beyond the price paid.
    touch = np.where(side > 0, np.ceil(price * 100 - 1e-6), np.floor(price * 100 + 1e-6))
    width = np.where(mid, 1, draw.integers(1, 4, sided.size))
    bid = np.where(side > 0, touch - width, touch) / 100
    ask = np.where(side > 0, touch, touch + width) / 100
    gap = np.diff(prints.stamp, prepend=prints.stamp[:1] - 1_000_000_000)[sided]
    before = prints.stamp[sided] - np.maximum((gap * draw.uniform(0.1, 0.9, gap.size)), 1).astype(
        np.int64
    )
    seen = draw.random(sided.size) > 0.03  # the others reach the tape too late to be of use
    after = prints.stamp[sided]  # of the same nanosecond: the effect of the print, not its cause
    flicker = draw.random(sided.size) < 0.3
    lonely = draw.random(sided.size) < 0.002
    stamps = np.concatenate([before[seen], after, before[flicker] - 1])
    bids = np.concatenate([bid[seen], bid - 0.01 * (side < 0), np.where(lonely, 0.0, bid)[flicker]])
    asks = np.concatenate([ask[seen], ask + 0.01 * (side > 0), ask[flicker] + 0.01])
    order = np.argsort(stamps, kind="stable")
    n = order.size
    return pl.DataFrame(
        {
            "ask_exchange": draw.choice(_EXCHANGES, n),
            "ask_price": np.round(asks[order], 4),
            "ask_size": draw.integers(1, 20, n) * 100.0,
            "bid_exchange": draw.choice(_EXCHANGES, n),
            "bid_price": np.round(bids[order], 4),
            "bid_size": draw.integers(1, 20, n) * 100.0,
            "participant_timestamp": stamps[order] - draw.integers(1_000, 400_000, n),
            "sequence_number": np.arange(1, n + 1) * 3,
            "sip_timestamp": stamps[order],
            "tape": np.full(n, 3),
        },
        schema=QUOTE_SCHEMA,
    )


def _trades(draw: np.random.Generator, prints: _Prints, hours: Session) -> pl.DataFrame:
    """The vendor's rows; one in five hundred is repeated as a print that was cancelled."""
    n = prints.stamp.size
    regular = (prints.stamp >= hours.open_ns) & (prints.stamp < hours.close_ns)
    stamp = prints.stamp
    off = prints.kind == "off_market"
    price = np.where(off, np.round(prints.price * (1 + draw.normal(0, 0.01, n)), 4), prints.price)
    rows = pl.DataFrame(
        {
            "conditions": _conditions(draw, prints, regular, hours),
            "correction": np.zeros(n, np.int64),
            "exchange": np.where(prints.trf, _TRF, draw.choice(_EXCHANGES, n)),
            "id": [str(1_000 + place) for place in range(n)],
            "participant_timestamp": stamp - draw.integers(1_000, 900_000, n),
            "price": price,
            "sequence_number": np.arange(1, n + 1) * 10,
            "sip_timestamp": stamp,
            "size": prints.size,
            "tape": np.full(n, 3),
            "trf_id": draw.choice(_TRF_IDS, n),
            "trf_timestamp": stamp - draw.integers(500, 1_000, n),
            "side": prints.side,
            "kind": prints.kind.tolist(),
        },
        schema={**TRADE_SCHEMA, "side": pl.Int8, "kind": pl.String},
    )
    on_exchange = pl.Series(~prints.trf)
    rows = rows.with_columns(
        pl.when(on_exchange).then(None).otherwise(pl.col("trf_id", "trf_timestamp")).name.keep()
    )
    wrong = rows.filter(pl.Series(draw.random(n) < 0.002)).with_columns(
        correction=pl.lit(1, dtype=pl.Int64),
        price=(pl.col("price") * 1.2).round(2),
        sequence_number=pl.col("sequence_number") + 1,
        id=pl.col("id") + "-c",
        side=pl.lit(0, dtype=pl.Int8),
        kind=pl.lit("cancelled"),
    )
    return pl.concat([rows, wrong]).sort("sip_timestamp", "sequence_number")


def _conditions(
    draw: np.random.Generator, prints: _Prints, regular: NDArray[np.bool_], hours: Session
) -> list[list[int] | None]:
    code = draw.choice(_OFF_MARKET, prints.stamp.size)
    swept = draw.random(prints.stamp.size) < 0.2
    noon = (hours.open_ns + hours.close_ns) // 2
    found: list[list[int] | None] = []
    for place, kind in enumerate(prints.kind.tolist()):
        codes = [] if regular[place] else [_FORM_T]
        if kind == "off_market":
            codes.append(int(code[place]))
        elif kind == "auction":
            codes.append(_OPENING if prints.stamp[place] < noon else _CLOSING)
        elif swept[place] and not prints.trf[place]:
            codes.append(_SWEEP)
        if prints.size[place] < 100:
            codes.append(_ODD_LOT)
        found.append(codes or None)
    return found
