"""What each evening was computed from, as a digest: an evening is stale when its digest moved.

A digest covers the facts that the evening could see and no others, so a file that is restated a
year later makes later evenings stale and leaves the earlier ones alone. It is made of the values
themselves, when they became known and when they ceased to hold: a row may vanish without a
successor, and one raw object may change what is made of another.
"""

from __future__ import annotations

import bisect
import dataclasses
import datetime
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from tapemill.contracts import contract
from tapemill.flow.evening import evening_of
from tapemill.lake.pruning import day_column
from tapemill.refine.recipe import digest_of

if TYPE_CHECKING:
    from tapemill.lake import Lake

__all__ = ["Seen", "evening_digests", "joined_digests", "seen", "window_digests"]

_UNREAD = (
    *("source", "raw_sha256", "ordinal", "version", "known_at", "superseded_at"),
    *("ts", "year", "month"),
    # Verdicts over other rows, which later arrivals change; no evening reads them.
    *("reconciled", "quality"),
)
_KINDS = {"reference.adjustments": "split"}
"""Rows that evenings read, where they do not read all: a dividend changes none."""
_ODD = 0x9E3779B97F4A7C15


@dataclasses.dataclass(frozen=True)
class Seen:
    """Per day of a dataset: when parts of it came or went, ascending, and their digests."""

    days: tuple[datetime.date, ...]
    parts: Mapping[datetime.date, tuple[tuple[datetime.datetime, str], ...]]

    def digest(self, moment: datetime.datetime, first: datetime.date, last: datetime.date) -> str:
        """Digest of everything known at `moment` about the days from `first` to `last`."""
        begin = bisect.bisect_left(self.days, first)
        end = bisect.bisect_right(self.days, last)
        return digest_of(
            *(
                part
                for day in self.days[begin:end]
                for happened, part in self.parts[day]
                if happened <= moment
            )
        )


def seen(lake: Lake, dataset: str) -> Seen:
    """Read what each day of a silver dataset holds, since when and until when."""
    declared = contract(dataset)
    rows = lake.tables.scan(dataset)
    if dataset in _KINDS:
        rows = rows.filter(pl.col("kind") == _KINDS[dataset])
    read = [name for name in declared.schema.names() if name not in _UNREAD]
    counted = (
        rows.select("known_at", "superseded_at", day=day_column(declared), hashed=_hash(read))
        .group_by("day", "known_at", "superseded_at")
        .agg(pl.len(), pl.col("hashed").sum())
        .collect(engine="streaming")
    )
    events = pl.concat(
        [
            counted.select("day", "len", "hashed", happened=name, gone=pl.lit(gone))
            for name, gone in (("known_at", False), ("superseded_at", True))
        ]
    )
    # What came together is one part, whatever became of its rows later.
    ordered = (
        events.drop_nulls("happened")
        .group_by("day", "happened", "gone")
        .agg(pl.col("len", "hashed").sum())
        .sort("day", "happened", "gone")
    )
    parts: dict[datetime.date, tuple[tuple[datetime.datetime, str], ...]] = {}
    lines = ordered.iter_rows()
    for day, of_day in itertools.groupby(lines, key=lambda row: row[0]):
        parts[day] = tuple(
            (happened, digest_of(day, happened, *(value for row in rows for value in row[2:])))
            for happened, rows in itertools.groupby(of_day, key=lambda row: row[1])
        )
    return Seen(tuple(sorted(parts)), parts)


def _hash(columns: Sequence[str]) -> pl.Expr:
    """64 bits of a row; sums of them tell sets of rows apart, in whatever order they are read."""
    hashed = pl.lit(0, dtype=pl.UInt64)
    for place, name in enumerate(columns):
        hashed = hashed * pl.lit(_ODD, dtype=pl.UInt64) + pl.col(name).hash(seed=place)
    return hashed


def evening_digests(
    lake: Lake,
    evenings: Sequence[datetime.date],
    datasets: Mapping[str, int],
    *knobs: object,
) -> dict[str, str]:
    """Digest per evening (ISO date) of what it could see.

    Parameters
    ----------
    lake : Lake
    evenings : sequence of date
    datasets : mapping of str to int
        Silver or reference dataset → calendar days before the evening that matter.
    knobs : object
        Code version and parameters.
    """
    known = {name: seen(lake, name) for name in datasets}
    found = {}
    for evening in evenings:
        moment = evening_of(evening)
        parts = (
            known[name].digest(moment, evening - datetime.timedelta(days=reach), evening)
            for name, reach in datasets.items()
        )
        found[evening.isoformat()] = digest_of(evening, *knobs, *parts)
    return found


def window_digests(made: Mapping[str, str], window: int, *knobs: object) -> dict[str, str]:
    """Digest per unit over the builds of the `window` units before it and of itself.

    `made` maps sessions (ISO dates) of an upstream target to the fingerprints of their builds.
    """
    units = sorted(made)
    return {
        unit: digest_of(*knobs, *(made[one] for one in units[max(0, place - window) : place + 1]))
        for place, unit in enumerate(units)
    }


def joined_digests(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, str]:
    """One digest a unit of two that have the same units."""
    return {unit: digest_of(digest, second[unit]) for unit, digest in first.items()}
