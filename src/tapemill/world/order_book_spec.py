"""What an order-book world holds: instruments, hours, rates, planted levels and interruptions."""

from __future__ import annotations

import enum
import itertools
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from tapemill.errors import UsageError, did_you_mean

__all__ = [
    "KINDS",
    "FuturesInstrument",
    "OrderBookSpec",
    "Outcome",
    "Pause",
    "Plant",
    "PlantKind",
    "check_spec",
]

PlantKind = Literal["null", "wall", "vacuum", "iceberg", "pinning"]

KINDS: Final[tuple[str, ...]] = ("null", "wall", "vacuum", "iceberg", "pinning")
"""Kinds of planted levels; the position is the code that the kernels use."""

_MOST_MOVES = 0.8
_MOST_REACH = 4_000


class Outcome(enum.IntEnum):
    """What an approach to a planted level came to."""

    OPEN = 0
    """The session ended first."""
    HOLD = 1
    """Price went `travel_ticks` back to where it came from."""
    BREAK = 2
    """Price went `travel_ticks` beyond the level."""
    PINNED = 3
    """Price stayed within `guard_ticks` of the level for `minutes`."""
    FREE = 4
    """A pinning level that did not attract."""


@dataclass(frozen=True, kw_only=True)
class FuturesInstrument:
    """One instrument as its definition describes it.

    Attributes
    ----------
    tick_nano : int
        Smallest price step in 1e-9 of the quoted unit.
    point_value : int
        Currency of one whole point of price.
    legs : tuple of str
        Symbols of a calendar spread, the bought one first; empty for an outright.
    """

    symbol: str = "ESH4"
    instrument_id: int = 17_077
    asset: str = "ES"
    tick_nano: int = 250_000_000
    point_value: int = 50
    expiration: date = date(2024, 3, 15)
    legs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plant:
    """A level with a known effect on price.

    An approach begins when price, having been `travel_ticks` away, trades within `touch_ticks` of
    the level. With `probability` a wall or iceberg holds, a vacuum breaks, a pinning level pins;
    else the opposite. The walk is conditioned on that outcome: it reaches `travel_ticks` on its
    side before it comes `guard_ticks` past the level on the other (a wall or iceberg that holds is
    never traded through at all). So every barrier from `guard_ticks` to `travel_ticks` sees the
    planted outcome. A ``null`` level is only watched.

    Attributes
    ----------
    level : int
        Price in ticks.
    size : int
        Contracts that rest there: of the wall, or the visible part of the iceberg.
    refills : int
        How often an iceberg shows its visible part anew.
    minutes : float
        How long a pinning level pins.
    """

    name: str
    kind: PlantKind
    level: int
    probability: float = 0.5
    travel_ticks: int = 24
    touch_ticks: int = 1
    guard_ticks: int = 3
    size: int = 400
    refills: int = 20
    minutes: float = 10.0


@dataclass(frozen=True, kw_only=True)
class Pause:
    """An interruption from `start_ns` to `end_ns` (ns UTC).

    ``halt``: nothing happens. ``gap``: the market goes on but the feed does not record it; when
    it returns, orders are missing. ``recovered_gap``: the same, and an mbo feed then clears the
    book and sends a snapshot.
    """

    kind: Literal["halt", "gap", "recovered_gap"]
    start_ns: int
    end_ns: int


@dataclass(frozen=True, kw_only=True)
class OrderBookSpec:
    """One instrument's order flow over some trade dates.

    Attributes
    ----------
    start_ticks : int
        Best bid at the start of the first date; later dates go on where the last one ended.
    hours : {"globex", "regular"}
        The whole session, or 09:30-16:00 New York of it.
    flat : bool
        Even rates all day, instead of bursts at the open and a lull at lunch.
    trades : int
        Trades of a full session; a shortened one has as many as fit.
    records_per_trade : float
        Records of the mbo feed for each trade.
    quiet_records : int
        Records of a session when `trades` is 0.
    sigma_minute : float
        Mean standard deviation of the price change in one minute, in ticks.
    depth : int
        Usual contracts at the best price.
    auction : bool
        The session opens with a print without aggressor.
    """

    instrument: FuturesInstrument = FuturesInstrument()
    trade_dates: tuple[date, ...] = (date(2023, 12, 26),)
    start_ticks: int = 19_200
    hours: Literal["globex", "regular"] = "globex"
    flat: bool = False
    trades: int = 20_000
    records_per_trade: float = 33.0
    quiet_records: int = 2_000
    sigma_minute: float = 3.0
    depth: int = 12
    auction: bool = True
    plants: tuple[Plant, ...] = ()
    pauses: tuple[Pause, ...] = ()


def check_spec(spec: OrderBookSpec, minutes: float) -> None:
    """Refuse a specification whose effects could not be told apart or could not happen.

    Raises
    ------
    UsageError
        Naming the plant or value concerned.
    """
    for plant in spec.plants:
        _check_plant(plant, spec.start_ticks)
    effects = sorted((p for p in spec.plants if p.kind != "null"), key=lambda p: p.level)
    for lower, upper in itertools.pairwise(effects):
        room = max(lower.travel_ticks, upper.travel_ticks)
        room += max(lower.touch_ticks, upper.touch_ticks) + 1
        if upper.level - lower.level < room:
            raise UsageError(
                f"levels {lower.name!r} and {upper.name!r} stand "
                f"{upper.level - lower.level} ticks apart",
                where=f"their effects reach {room} ticks",
                next_step="set them further apart or lower travel_ticks",
            )
    if spec.trades and move_probability(spec, minutes) > _MOST_MOVES:
        raise UsageError(
            f"{spec.trades} trades cannot move price by {spec.sigma_minute} ticks a minute",
            where=f"sigma_minute of {spec.instrument.symbol}",
            next_step="ask for more trades or a lower sigma_minute",
        )


def _check_plant(plant: Plant, start_ticks: int) -> None:
    if plant.kind not in KINDS:
        raise UsageError(
            f"unknown kind {plant.kind!r} of level {plant.name!r}",
            where=f"known kinds: {', '.join(KINDS)}",
            next_step=did_you_mean(plant.kind, KINDS),
        )
    if plant.guard_ticks < plant.touch_ticks + 2 or plant.travel_ticks <= plant.guard_ticks:
        raise UsageError(
            f"level {plant.name!r}: touch {plant.touch_ticks}, guard {plant.guard_ticks}, "
            f"travel {plant.travel_ticks} ticks",
            next_step="keep touch_ticks + 2 <= guard_ticks < travel_ticks",
        )
    if not 0.0 <= plant.probability <= 1.0:
        raise UsageError(
            f"level {plant.name!r} has probability {plant.probability}", next_step="use 0 to 1"
        )
    if abs(plant.level - start_ticks) > _MOST_REACH:
        raise UsageError(
            f"level {plant.name!r} stands at {plant.level}, price starts at {start_ticks}",
            next_step=f"keep levels within {_MOST_REACH} ticks of the start",
        )


def move_probability(spec: OrderBookSpec, minutes: float) -> float:
    """Share of trades that move price, so that steps of one tick give `sigma_minute`."""
    return spec.sigma_minute**2 * minutes / spec.trades
