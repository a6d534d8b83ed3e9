"""What each evening was computed from, as a digest: an evening is stale when its digest moved.

A digest covers the facts that the evening could see and no others, so a file that is restated a
year later makes later evenings stale and leaves the earlier ones alone. Rows of silver follow from
raw objects and code: which objects, and how many rows of each became known when, says it all.
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

__all__ = ["Seen", "evening_digests", "seen", "window_digests"]


@dataclasses.dataclass(frozen=True)
class Seen:
    """Per day of a dataset: when parts of it became known, ascending, and their digests."""

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
                for known_at, part in self.parts[day]
                if known_at <= moment
            )
        )


def seen(lake: Lake, dataset: str) -> Seen:
    """Read which raw objects stand behind each day of a silver dataset, and since when."""
    day = day_column(contract(dataset))
    counted = (
        lake.tables.scan(dataset)
        .group_by(pl.col(day).alias("day"), "known_at", "raw_sha256")
        .len()
        .collect(engine="streaming")
        .sort("day", "known_at", "raw_sha256")
    )
    parts: dict[datetime.date, tuple[tuple[datetime.datetime, str], ...]] = {}
    for of_day, rows in itertools.groupby(counted.iter_rows(), key=lambda row: row[0]):
        parts[of_day] = tuple(
            (known_at, digest_of(of_day, known_at, *(f"{raw}:{n}" for _, _, raw, n in members)))
            for known_at, members in itertools.groupby(rows, key=lambda row: row[1])
        )
    return Seen(tuple(sorted(parts)), parts)


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
