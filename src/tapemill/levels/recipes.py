"""How the gold tables of levels are made: one walk over a trade date gives all four.

`gold.episodes` is built last: where an episode is, its levels, features and outcomes are too.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable, Sequence

import msgspec
import polars as pl

from tapemill.contracts import contract
from tapemill.levels.fingerprints import Evidence, past_prints
from tapemill.levels.projected_sources import OTHER_MINUTES
from tapemill.levels.shelf import Shelf
from tapemill.levels.subject import (
    Subject,
    level_inputs,
    other_instruments,
    subjects_of,
    user_file_digest,
    user_levels,
)
from tapemill.refine.futures_sources import order_sources
from tapemill.refine.recipe import Kitchen, Plan, Product, Recipe, digest_of

__all__ = ["LEVEL_RECIPES"]

_READ = (
    "reference.futures_contracts",
    "reference.futures_rolls",
    "silver.futures_minutes",
    "silver.futures_profile",
)
_HISTORY = 30
"""Trade dates before one that its levels look back on."""
_MODULES = (
    "tapemill.book._minutes",
    "tapemill.book.events",
    "tapemill.book.minutes",
    "tapemill.contracts.level_context",
    "tapemill.contracts.level_physics",
    "tapemill.contracts.levels",
    *(
        f"tapemill.levels.{name}"
        for name in (
            "_context",
            "_episodes",
            "_episodes_layout",
            "_outcomes",
            "_physics_book",
            "_physics_gather",
            "_physics_layout",
            "_physics_walk",
            "_physics_windows",
            "_resting",
            "_trade_places",
            "arrivals",
            "basis",
            "basis_kernel",
            "context",
            "continuous",
            "day",
            "episodes",
            "feed",
            "fingerprints",
            "inputs",
            "kinds",
            "kinds_bars",
            "kinds_extremes",
            "kinds_prior",
            "kinds_profile",
            "kinds_vwap",
            "labels",
            "moving",
            "outcomes",
            "outcomes_rows",
            "physics",
            "placebo",
            "profile",
            "projected",
            "projected_sources",
            "registry",
            "round_numbers",
            "rows",
            "states",
            "subject",
            "ticks",
            "trades",
            "user_levels",
            "volatility",
            "zones",
            "zones_kernel",
        )
    ),
    "tapemill.refine.futures_sources",
    "tapemill.refine.futures_rows",
)
_SHELF = Shelf()


def _plan(target: str) -> Callable[[Kitchen, str], Plan]:
    def plan(kitchen: Kitchen, version: str) -> Plan:
        sources = order_sources(kitchen.lake)
        subjects = subjects_of(kitchen.lake, sources)
        evidence = Evidence(kitchen.lake, sources)
        knobs = (
            version,
            msgspec.json.encode(kitchen.settings.levels, order="deterministic"),
            user_file_digest(kitchen.settings.levels),
        )
        made = [kitchen.lake.control.builds.fingerprints(name) for name in _READ[2:]]
        others = [kitchen.lake.control.builds.fingerprints(name) for name in OTHER_MINUTES]
        user = user_levels(kitchen.settings.levels)
        prints: dict[str, str] = {}
        for session, found in subjects.items():
            past = past_prints(made, session, _HISTORY)
            if any(other_instruments(user, subject) for subject in found):
                # A level of another instrument stands by that one's minutes of the date itself too.
                for one in others:
                    days = [day for day in sorted(one) if day <= session.isoformat()]
                    past += [(day, one[day]) for day in days[-_HISTORY - 1 :]]
            prints[session.isoformat()] = digest_of(*knobs, *map(evidence.of, found), *past)
        # A date that has lost its contract (another one turned out dominant) loses its rows too.
        for unit in kitchen.lake.control.builds.fingerprints(target).keys() - prints.keys():
            prints[unit] = digest_of("nothing to look at")

        def make(units: Sequence[str]) -> Product:
            frames = [contract(target).empty()]
            for unit in units:
                for subject in subjects.get(datetime.date.fromisoformat(unit), ()):
                    key = digest_of(prints[unit], subject.symbol)
                    frames.append(
                        _SHELF.get(key, target, functools.partial(_made, kitchen, subject))
                    )
            return Product(pl.concat(frames).sort(contract(target).order))

        return Plan(prints, make)

    return plan


def _made(kitchen: Kitchen, subject: Subject) -> dict[str, pl.DataFrame]:
    """All four tables of one contract and trade date."""
    from tapemill.levels.day import whole_day  # numba is slow to import
    from tapemill.levels.feed import open_feed, read_trades
    from tapemill.levels.labels import label_day

    settings = kitchen.settings.levels
    inputs = level_inputs(kitchen.lake, subject, settings)
    trades = read_trades(kitchen.lake, subject.symbol, subject.session)
    feed = open_feed(kitchen.lake, subject.symbol, subject.session)
    day = whole_day(inputs, settings, trades, feed.chunks())
    outcomes = label_day(
        day,
        trades,
        settings,
        close_ns=inputs.globex_close_ns,
        tick_value=subject.tick_value,
    )
    return {
        "gold.levels": day.levels,
        "gold.episode_features": day.features,
        "gold.episode_outcomes": outcomes,
        "gold.episodes": day.episodes,
    }


def _recipe(target: str, *more: str) -> Recipe:
    inputs = tuple(dict.fromkeys((*_READ, *OTHER_MINUTES, *more)))
    return Recipe(target, inputs, "session", _MODULES, _plan(target))


LEVEL_RECIPES = {
    recipe.target: recipe
    for recipe in (
        _recipe("gold.levels"),
        _recipe("gold.episode_features"),
        _recipe("gold.episode_outcomes"),
        _recipe("gold.episodes", "gold.levels", "gold.episode_features", "gold.episode_outcomes"),
    )
}
