"""Direction of the tape in five minutes: from prints where there are, and from minute bars.

Both modes are kept side by side, told apart by ``mode``: days that have both calibrate the second.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import polars as pl

from tapemill.clock import calendar, known_at_expr
from tapemill.contracts import contract
from tapemill.contracts.columns import TAPE_SUMS
from tapemill.refine.versions import resolve_versions
from tapemill.tape import BulkRules, bulk_buy_share

__all__ = ["MINUTE_COLUMNS", "WARM_UP_SESSIONS", "minute_tape", "tick_tape", "warm_up"]

TARGET = "silver.tape_5m"
FIVE_MINUTES_NS = 300_000_000_000
WARM_UP_SESSIONS = 5
"""Sessions before a session that tell how much a minute's price usually moves."""

_WARM_UP_REACH = timedelta(days=21)
"""Surely holds so many sessions, whatever closed the exchange."""

MINUTE_COLUMNS = (
    "symbol",
    "ts_event",
    "session",
    "open",
    "close",
    "volume",
    "vwap",
    "trades",
    "source",
    "raw_sha256",
    "ordinal",
    "known_at",
    "superseded_at",
)
"""What :func:`minute_tape` reads of ``silver.equity_bars_1m``."""

_SUMS = tuple(column.name for column in TAPE_SUMS)
_VALUES = ("buy_volume", "sell_volume", "unclassified_volume", "prints", "dollar_volume")
_BUCKET = ("symbol", "session", "bucket")
_NEVER, _ALWAYS = np.iinfo(np.int64).max, np.iinfo(np.int64).min


@dataclasses.dataclass(frozen=True)
class _Snapshot:
    """Buckets as a given knowledge makes them; `moment` in µs UTC."""

    moment: int
    buckets: pl.DataFrame


def tick_tape(bronze: pl.DataFrame, *, feed_delay_minutes: int = 15) -> pl.DataFrame:
    """Versions of the five-minute sums of prints.

    Parameters
    ----------
    bronze : pl.DataFrame
        Rows of ``bronze.massive_tape_5m``, complete for their sessions.
    feed_delay_minutes : int
        Part of ``known_at``.

    Returns
    -------
    pl.DataFrame
        Rows of ``silver.tape_5m`` with mode ``tick``. All venues together are the sums of
        exchanges and facilities; nothing is told by bulk volume.
    """
    rule = known_at_expr("five_minute_end", feed_delay_minutes=feed_delay_minutes)
    versions = resolve_versions(
        bronze.with_columns(rule.alias("rule_known_at")),
        key=("symbol", "ts_event"),
        group=("symbol", "session"),
        values=_SUMS,
    )
    sides = {
        f"{side}_volume": pl.col(f"lit_{side}_volume") + pl.col(f"trf_{side}_volume")
        for side in ("buy", "sell", "unclassified")
    }
    return _shaped(versions.with_columns(mode=pl.lit("tick"), bulk_volume=pl.lit(0.0), **sides))


def minute_tape(
    bars: pl.DataFrame,
    sessions: Sequence[date],
    *,
    feed_delay_minutes: int = 15,
    rules: BulkRules | None = None,
) -> pl.DataFrame:
    """Versions of five-minute sums inferred from minute bars by bulk-volume classification.

    What a minute's change of price usually is comes from the :data:`WARM_UP_SESSIONS` exchange
    sessions before and the session's own earlier minutes, never from later ones. A restated bar
    makes a new version of every five minutes whose sums it changes, known when the restatement was.

    Parameters
    ----------
    bars : pl.DataFrame
        :data:`MINUTE_COLUMNS` of ``silver.equity_bars_1m``, regular hours, every version, of
        `sessions` and of the sessions before them (:func:`warm_up`).
    sessions : sequence of date
        Sessions to make.
    feed_delay_minutes : int
        Part of ``known_at``.
    rules : BulkRules, optional

    Returns
    -------
    pl.DataFrame
        Rows of ``silver.tape_5m`` with mode ``minute``: consolidated, so the columns of exchanges,
        facilities and single prints are null.
    """
    rules = rules or BulkRules()
    on_time = known_at_expr("bar_end", feed_delay_minutes=feed_delay_minutes)
    known = bars.filter(pl.col("volume").is_not_null()).with_columns(
        late=pl.col("known_at") > on_time
    )
    changed = known.filter(pl.col("late") | pl.col("superseded_at").is_not_null())
    contested = changed["symbol"].unique().sort().to_list()
    plain = _buckets(known.filter(~pl.col("symbol").is_in(contested)), sessions, rules)
    parts = [
        _with_rule(plain, feed_delay_minutes).with_columns(
            version=pl.lit(1, dtype=pl.Int16),
            known_at=pl.col("rule_known_at"),
            superseded_at=pl.lit(None, dtype=pl.Datetime("us", "UTC")),
        )
    ]
    for symbol in contested:
        mine = known.filter(pl.col("symbol") == symbol)
        parts.append(_versions(mine, sessions, rules, feed_delay_minutes))
    rows = pl.concat(parts, how="diagonal").with_columns(
        mode=pl.lit("minute"),
        ts_event=pl.col("bucket"),
        bulk_volume=pl.col("buy_volume") + pl.col("sell_volume"),
    )
    return _shaped(rows)


def warm_up(sessions: Sequence[date]) -> date:
    """First session whose bars :func:`minute_tape` reads to make `sessions`."""
    known = calendar("XNYS")
    day = min(sessions)
    earliest = max(known.coverage[0], day - _WARM_UP_REACH)
    return known.session_dates(earliest, day)[-1 - WARM_UP_SESSIONS :][0]


def _buckets(bars: pl.DataFrame, sessions: Sequence[date], rules: BulkRules) -> pl.DataFrame:
    """Five-minute sums of bars of which each minute is there once."""
    ordered = bars.sort("symbol", "ts_event")
    shares = np.full(ordered.height, np.nan)
    begin = 0
    for length in ordered.group_by("symbol", maintain_order=True).len()["len"].to_list():
        _share_of_symbol(ordered.slice(begin, length), sessions, rules, shares[begin:][:length])
        begin += length
    wanted = ordered.with_columns(share=pl.Series(shares, nan_to_null=True)).filter(
        pl.col("session").is_in(list(sessions))
    )
    volume, share = pl.col("volume"), pl.col("share")
    bought = (share * volume).fill_null(0.0)
    return (
        wanted.with_columns(
            bucket=pl.col("ts_event") // FIVE_MINUTES_NS * FIVE_MINUTES_NS,
            buy_volume=bought,
            sell_volume=pl.when(share.is_null()).then(0.0).otherwise(volume - bought),
            unclassified_volume=pl.when(share.is_null()).then(volume).otherwise(0.0),
        )
        .group_by(_BUCKET, maintain_order=True)
        .agg(
            pl.col("buy_volume", "sell_volume", "unclassified_volume").sum(),
            prints=_whole(pl.col("trades")),
            dollar_volume=_whole(pl.col("vwap") * volume),
            **{name: pl.col(name).last() for name in ("source", "raw_sha256", "ordinal")},
        )
    )


def _whole(column: pl.Expr) -> pl.Expr:
    """A sum that is null where a part of it is not known."""
    return pl.when(column.null_count() == 0).then(column.sum())


def _share_of_symbol(
    bars: pl.DataFrame, sessions: Sequence[date], rules: BulkRules, into: np.ndarray
) -> None:
    """Write the bought share of each minute of `sessions`, each made from a fresh state."""
    days = bars["session"].cast(pl.Int32).to_numpy()
    opens, closes, volumes = (bars[name].to_numpy() for name in ("open", "close", "volume"))
    first_of_day = np.r_[True, days[1:] != days[:-1]]
    epoch = date(1970, 1, 1)
    for session in sessions:
        low = np.searchsorted(days, (warm_up([session]) - epoch).days, side="left")
        own = np.searchsorted(days, (session - epoch).days, side="left")
        high = np.searchsorted(days, (session - epoch).days, side="right")
        if own == high:
            continue
        share, _ = bulk_buy_share(
            opens[low:high],
            closes[low:high],
            volumes[low:high],
            new_session=first_of_day[low:high],
            rules=rules,
        )
        into[own:high] = share[own - low :]


def _with_rule(buckets: pl.DataFrame, feed_delay_minutes: int) -> pl.DataFrame:
    rule = known_at_expr("five_minute_end", feed_delay_minutes=feed_delay_minutes)
    named = buckets.with_columns(ts_event=pl.col("bucket"))
    return named.with_columns(rule.alias("rule_known_at"))


def _versions(
    bars: pl.DataFrame, sessions: Sequence[date], rules: BulkRules, feed_delay_minutes: int
) -> pl.DataFrame:
    """Buckets of one symbol whose bars came late or were restated, one row a version."""
    known = bars["known_at"].dt.epoch("us").to_numpy()
    ended = bars["superseded_at"].dt.epoch("us").fill_null(_NEVER).to_numpy()
    late = bars["late"].to_numpy()
    moments = np.unique(np.r_[known[late], ended[ended != _NEVER]])
    snapshots = []
    for moment in (_ALWAYS, *moments.tolist()):
        there = (~late | (known <= moment)) & (ended > moment)
        snapshots.append(_Snapshot(moment, _buckets(bars.filter(there), sessions, rules)))
    return _with_rule(_change_points(snapshots, feed_delay_minutes), feed_delay_minutes)


def _change_points(snapshots: Sequence[_Snapshot], feed_delay_minutes: int) -> pl.DataFrame:
    """What each bucket was, from when to when; a bucket that vanishes ends without a successor."""
    buckets = pl.concat([one.buckets.select(_BUCKET) for one in snapshots]).unique()
    rows = pl.concat(
        [
            _with_rule(buckets, feed_delay_minutes)
            .join(one.buckets, on=_BUCKET, how="left")
            .with_columns(
                moment=pl.max_horizontal(
                    pl.col("rule_known_at").dt.epoch("us"), pl.lit(one.moment, dtype=pl.Int64)
                )
            )
            for one in snapshots
        ]
    )
    # Of several snapshots before the rule's moment the newest counts.
    rows = rows.unique([*_BUCKET, "moment"], keep="last", maintain_order=True)
    rows = rows.sort(*_BUCKET, "moment")
    changed = pl.any_horizontal(
        pl.col(name).ne_missing(pl.col(name).shift(1).over(_BUCKET)) for name in _VALUES
    )
    first = pl.int_range(pl.len()).over(_BUCKET) == 0
    kept = rows.filter(changed | first).with_columns(
        known_at=pl.from_epoch("moment", time_unit="us").dt.replace_time_zone("UTC"),
    )
    kept = kept.with_columns(superseded_at=pl.col("known_at").shift(-1).over(_BUCKET))
    kept = kept.filter(pl.col("buy_volume").is_not_null())
    numbered = pl.int_range(1, pl.len() + 1, dtype=pl.Int16).over(_BUCKET)
    return kept.with_columns(version=numbered)


def _shaped(rows: pl.DataFrame) -> pl.DataFrame:
    declared = contract(TARGET)
    rows = rows.with_columns(
        ts=(pl.col("ts_event") // 1000).cast(pl.Datetime("us", "UTC")),
        month=pl.col("session").dt.strftime("%Y-%m"),
    )
    absent = [pl.lit(None).alias(name) for name in _SUMS if name not in rows.columns]
    shaped = rows.with_columns(absent).select(declared.schema.names())
    return declared.conform(shaped).sort(*declared.order)
