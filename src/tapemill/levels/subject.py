"""Which contract is looked at on which trade date, and what its levels are made of."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from tapemill.clock import calendar
from tapemill.errors import ConfigError, ContractError
from tapemill.lake import Lake
from tapemill.levels.continuous import continuous, dominant_contracts
from tapemill.levels.inputs import HOLE_NS, LevelInputs
from tapemill.levels.projected_sources import other_minutes
from tapemill.levels.ticks import counted_in
from tapemill.levels.user_levels import foreign_rows, read_user_levels
from tapemill.refine.futures_sources import (
    OrderSource,
    order_sources,
    plan_feed,
    plan_trades,
    sessions_of_source,
)
from tapemill.settings import LevelsSettings

__all__ = [
    "Subject",
    "level_inputs",
    "other_instruments",
    "settlements_of",
    "subjects_of",
    "user_file_digest",
    "user_levels",
]

_CONTRACTS = "reference.futures_contracts"
_ROLLS = "reference.futures_rolls"
_MINUTES = "silver.futures_minutes"
_PROFILE = "silver.futures_profile"
_STATISTICS = "bronze.databento_statistics"
_SETTLEMENT = 3
_DELETED = 2
_HISTORY = 30
_NANO = 10**9


@dataclasses.dataclass(frozen=True)
class Subject:
    """A contract on a trade date.

    Attributes
    ----------
    symbol, root : str
    session : date
    tick_size : float
        Points.
    tick_value : float
        Value of one tick in the contract's currency; NaN where no definition tells it.
    sources : tuple of str
        What its book is read from: hash, from and to (ns UTC) of each stretch.
    start_ns : int
        From when the feed covers the trade date (ns UTC).
    """

    symbol: str
    root: str
    session: datetime.date
    tick_size: float
    tick_value: float
    sources: tuple[str, ...]
    start_ns: int


def subjects_of(
    lake: Lake, sources: Sequence[OrderSource]
) -> dict[datetime.date, tuple[Subject, ...]]:
    """Contracts by trade date: of each product the dominant outright, as known that morning.

    Where no earlier trade date tells which one that is, or the one it tells has expired since, the
    date's own volumes do: that chooses what is looked at and enters no feature.
    """
    if not lake.tables.exists(_CONTRACTS):
        return {}
    contracts = lake.tables.scan(_CONTRACTS).filter(pl.col("kind") == "outright").collect()
    rolls = lake.tables.scan(_ROLLS).collect() if lake.tables.exists(_ROLLS) else pl.DataFrame()
    days = sorted({day for source in sources for day in sessions_of_source(source)})
    found: dict[datetime.date, list[Subject]] = {day: [] for day in days}
    for (root,), rows in contracts.group_by("root", maintain_order=True):
        if not days or rolls.is_empty():
            continue
        chosen = dominant_contracts(lake, str(root), days[0], days[-1])
        own = rolls.filter(pl.col("root") == root).select("session", "symbol")
        known = {row["symbol"]: row for row in rows.iter_rows(named=True)}
        names = dict(own.iter_rows()) | {
            day: name
            for day, name in chosen.select("session", "symbol").iter_rows()
            if not _expired(known.get(name), day)
        }
        for day in days:
            subject = _subject(sources, known.get(names.get(day, "")), day)
            if subject is not None:
                found[day].append(subject)
    return {day: tuple(some) for day, some in found.items() if some}


def _expired(row: dict[str, object] | None, day: datetime.date) -> bool:
    """Whether a contract's last trading moment lies before a trade date."""
    last = None if row is None else row["expiration_ns"]
    return isinstance(last, int) and last < calendar("CMES").session(day).open_ns


def _subject(
    sources: Sequence[OrderSource], row: dict[str, object] | None, day: datetime.date
) -> Subject | None:
    if row is None:
        return None
    plan = plan_feed(sources, str(row["symbol"]), day)
    if not plan.segments:
        return None
    # The feed's own step: a contract's may be finer than what one of its files was read with.
    size, declared = plan.tick_nano / _NANO, row["tick_value"]
    step = float(str(row["tick_size"]))
    value = float(str(declared)) * size / step if declared is not None else math.nan
    return Subject(
        symbol=str(row["symbol"]),
        root=str(row["root"]),
        session=day,
        tick_size=size,
        tick_value=value,
        sources=tuple(
            f"{part.source.raw_sha256} {part.start_ns} {part.end_ns}" for part in plan.segments
        ),
        start_ns=plan.segments[0].start_ns,
    )


def level_inputs(lake: Lake, subject: Subject, settings: LevelsSettings) -> LevelInputs:
    """What was known of a contract before its trade date began.

    Minutes of earlier trade dates are those of the continuous series, brought to this contract by
    the gaps measured at the rolls: on the date after a roll too, when its own minutes are those of
    a contract that few traded. Where a gap was not measured they are the contract's own.
    """
    symbol, session = subject.symbol, subject.session
    exchange = calendar("CMES")
    last = exchange.previous(session)
    first = exchange.previous(session, _HISTORY)
    empty = lake.tables.scan(_MINUTES).filter(pl.lit(value=False)).collect()
    own = _own_minutes(lake, symbol, first, last)
    profile = pl.DataFrame()
    if lake.tables.exists(_PROFILE):
        profile = (
            lake.tables.scan(_PROFILE, start=first, end=last)
            .filter(pl.col("symbol") == symbol, pl.col("session").is_between(first, last))
            .sort("ts_event", "price_ticks")
            .collect()
        )
        profile = counted_in(profile, subject.tick_size, own)
    user = user_levels(settings)
    inputs = LevelInputs.for_session(
        symbol,
        subject.root,
        session,
        subject.tick_size,
        minutes=empty,
        history=_history(lake, subject, first, last, own),
        profile=profile,
        settlements=settlements_of(lake, symbol),
        user=user,
    )
    others = other_minutes(lake, other_instruments(user, subject), first, session)
    # A quiet start is no missing start: the feed was on.
    return dataclasses.replace(
        inputs, others=others, feed_start_ns=subject.start_ns, holes=_holes(lake, symbol, session)
    )


def _holes(lake: Lake, symbol: str, session: datetime.date) -> tuple[tuple[int, int], ...]:
    """Stretches between the files of a trade date of which none tells the trades."""
    parts = plan_trades(order_sources(lake), symbol, session).segments
    between = ((one.end_ns, after.start_ns) for one, after in itertools.pairwise(parts))
    return tuple((low, high) for low, high in between if high - low > HOLE_NS)


def _own_minutes(
    lake: Lake, symbol: str, first: datetime.date, last: datetime.date
) -> pl.DataFrame:
    rows = lake.tables.scan(_MINUTES, start=first, end=last).filter(
        pl.col("symbol") == symbol, pl.col("session").is_between(first, last)
    )
    return rows.sort("ts_event").collect()


def _history(
    lake: Lake,
    subject: Subject,
    first: datetime.date,
    last: datetime.date,
    own: pl.DataFrame,
) -> pl.DataFrame:
    """Minutes of the trade dates from `first` to `last`, in ticks of the subject."""
    otherwise = counted_in(own, subject.tick_size, own)
    if own.is_empty() and not lake.tables.exists(_MINUTES):
        return otherwise
    chosen = dominant_contracts(lake, subject.root, first, subject.session)
    known = chosen.filter(pl.col("decided") < subject.session)
    if chosen["symbol"].n_unique() < 2 or known.is_empty():
        return otherwise
    if known.select("session", "symbol").row(-1) != (subject.session, subject.symbol):
        return otherwise
    try:
        series = continuous(lake, subject.root, first, subject.session, adjust="difference")
    except ContractError:
        return otherwise  # a roll whose gap nobody measured
    rows = series.filter(pl.col("session") <= last).sort("ts_event").collect()
    # Gaps are in the steps of their dates: with several of those they cannot be added up.
    return rows if (rows["tick_size"] == subject.tick_size).all() else otherwise


def other_instruments(user: pl.DataFrame, subject: Subject) -> tuple[str, ...]:
    """Instruments other than the subject's on which there are levels of the user, sorted."""
    rows = foreign_rows(user, subject.symbol, subject.root)
    return tuple(rows.filter(pl.col("price").is_not_null())["symbol"].unique().sort())


def settlements_of(lake: Lake, symbol: str) -> pl.DataFrame:
    """Settlement prices of a contract: session, price, and from when each was known."""
    if not lake.tables.exists(_STATISTICS):
        return pl.DataFrame()
    rows = (
        lake.tables.scan(_STATISTICS)
        .filter(
            pl.col("symbol") == symbol,
            pl.col("stat_type") == _SETTLEMENT,
            pl.col("update_action").fill_null(1) != _DELETED,
            pl.col("price").is_not_null(),
            pl.col("ts_ref").is_not_null(),
        )
        .select("ts_ref", "price", known_ns=pl.col("ts_gateway"))
        .sort("known_ns")
        .collect()
    )
    # The venue gives the trade date itself as midnight UTC.
    day = pl.from_epoch(pl.col("ts_ref"), time_unit="ns").dt.date()
    return rows.select("price", "known_ns", session=day)


def user_levels(settings: LevelsSettings) -> pl.DataFrame:
    """The user's levels of all instruments; none without a file."""
    return read_user_levels(Path(settings.user_file)) if settings.user_file else pl.DataFrame()


def user_file_digest(settings: LevelsSettings) -> str:
    """Hash of the user's file of levels; empty without one.

    Raises
    ------
    ConfigError
        The file cannot be read.
    """
    if not settings.user_file:
        return ""
    try:
        content = Path(settings.user_file).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"the file of your own levels cannot be read: {error.strerror}",
            where=settings.user_file,
            next_step="correct levels.user_file, or leave it empty",
        ) from error
    return hashlib.sha256(content).hexdigest()
