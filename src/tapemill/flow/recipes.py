"""How the gold tables of flow are made: which evenings, from what, by which code."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence

import msgspec
import polars as pl

from tapemill.clock import calendar
from tapemill.contracts import contract
from tapemill.flow.composite import composite_rows
from tapemill.flow.daily import daily_rows
from tapemill.flow.evening import sessions_before
from tapemill.flow.fingerprints import evening_digests, joined_digests, window_digests
from tapemill.flow.groups import group_rows
from tapemill.flow.inputs import EveningInputs
from tapemill.flow.macro import macro_rows
from tapemill.flow.scan import scan_lookback, scan_rows
from tapemill.flow.signals import current_signals, new_revisions, register_version
from tapemill.flow.visible import READ_BEFORE, daily_lookback, evening_inputs
from tapemill.refine.recipe import Kitchen, Plan, Product, Recipe, digest_of
from tapemill.settings import FlowSettings, Settings

__all__ = ["GOLD_RECIPES"]

_SHARED = (
    "tapemill.clock.availability",
    "tapemill.contracts.flow_daily_metrics",
    "tapemill.contracts.flow_metric",
    "tapemill.contracts.flow_metrics",
    "tapemill.contracts.gold",
    "tapemill.flow.evening",
    "tapemill.flow.inputs",
    "tapemill.flow.panel",
    "tapemill.flow.robust",
    "tapemill.flow.short_rows",
    "tapemill.flow.surprise",
    "tapemill.flow.visible",
    "tapemill.refine.symbology",
)
"""Code behind every evening."""

_BLOCKS = (
    "tapemill.flow.daily",
    "tapemill.flow.short_block",
    "tapemill.flow.tape_block",
    "tapemill.flow.otc_block",
    "tapemill.flow.price_block",
    "tapemill.flow.interest_block",
)
"""Code behind a row of gold.flow_daily, and so behind a signal: a change is a new version."""

_SCAN_SEES = (
    "silver.short_volume",
    "silver.equity_bars_1d",
    "reference.adjustments",
    "silver.otc_weekly",
    "reference.memberships",
)
_DAILY_SEES = (
    "silver.short_volume",
    "silver.equity_bars_1d",
    "reference.adjustments",
    "silver.otc_weekly",
    "silver.short_interest",
    "silver.tape_5m",
)
"""What an evening is computed from."""

_MEMBERS = "reference.memberships"
_EVER = 36_500

_MACRO_LOOKBACK = 252


def _flow(settings: Settings) -> bytes:
    return msgspec.json.encode(settings.flow, order="deterministic")


def _days(units: Sequence[str]) -> list[datetime.date]:
    return sorted(datetime.date.fromisoformat(unit) for unit in units)


def _evenings(kitchen: Kitchen) -> list[datetime.date]:
    """Sessions that have any row of FINRA: they have an evening; another date has none."""
    made = kitchen.lake.control.builds.fingerprints("silver.short_volume")
    exchange = calendar("XNYS")
    first, last = exchange.coverage
    return [day for day in _days(list(made)) if first <= day <= last and exchange.is_session(day)]


def _reaches(sees: Sequence[str], lookback: int) -> dict[str, int]:
    """Dataset → calendar days before an evening that can change its row: generous, never short.

    Memberships have no end, and all of them count.
    """
    reach = lookback * 8 // 5 + 30 + READ_BEFORE.days
    return {name: _EVER if name == _MEMBERS else reach for name in sees}


def _from_inputs(
    target: str,
    sees: Sequence[str],
    lookback: Callable[[FlowSettings], int],
    kernel: Callable[[EveningInputs, Kitchen], pl.DataFrame],
    *,
    whole: bool,
) -> Callable[[Kitchen, str], Plan]:
    def plan(kitchen: Kitchen, version: str) -> Plan:
        sessions = lookback(kitchen.settings.flow)

        def make(units: Sequence[str]) -> Product:
            frames = [
                kernel(inputs, kitchen)
                for inputs in evening_inputs(
                    kitchen.lake, _days(units), lookback=sessions, whole=whole
                )
            ]
            return Product(pl.concat(frames) if frames else contract(target).empty())

        knobs = (version, _flow(kitchen.settings))
        return Plan(
            evening_digests(kitchen.lake, _evenings(kitchen), _reaches(sees, sessions), *knobs),
            make,
        )

    return plan


def _scan(inputs: EveningInputs, kitchen: Kitchen) -> pl.DataFrame:
    return scan_rows(inputs, kitchen.settings.flow)


def _daily(inputs: EveningInputs, kitchen: Kitchen) -> pl.DataFrame:
    return daily_rows(inputs, kitchen.settings.flow)


def _upstream(
    kitchen: Kitchen, dataset: str, days: Sequence[datetime.date], window: int
) -> pl.LazyFrame:
    """Rows of a gold table over the evenings and the `window` sessions before them."""
    sessions = sessions_before(days, window)
    rows = kitchen.lake.tables.scan(dataset, start=sessions[0], end=sessions[-1])
    return rows.filter(pl.col("session").is_between(sessions[0], sessions[-1]))


def _plan_macro(kitchen: Kitchen, version: str) -> Plan:
    def make(units: Sequence[str]) -> Product:
        days = _days(units)
        scan = _upstream(kitchen, "gold.flow_scan", days, _MACRO_LOOKBACK)
        return Product(macro_rows(scan, days, kitchen.settings.flow))

    made = kitchen.lake.control.builds.fingerprints("gold.flow_scan")
    return Plan(window_digests(made, _MACRO_LOOKBACK, version, _flow(kitchen.settings)), make)


def _plan_groups(kitchen: Kitchen, version: str) -> Plan:
    memberships = kitchen.lake.tables.scan(_MEMBERS).collect()
    window = kitchen.settings.flow.baseline_sessions

    def make(units: Sequence[str]) -> Product:
        days = _days(units)
        daily = _upstream(kitchen, "gold.flow_daily", days, window)
        return Product(group_rows(daily, memberships, days, kitchen.settings.flow))

    made = kitchen.lake.control.builds.fingerprints("gold.flow_daily")
    if memberships.is_empty():
        return Plan({}, make)
    listed = evening_digests(kitchen.lake, _days(list(made)), {_MEMBERS: _EVER})
    windows = window_digests(made, window, version, _flow(kitchen.settings))
    return Plan(joined_digests(windows, listed), make)


def _plan_composite(kitchen: Kitchen, version: str) -> Plan:
    """Labels carry over from evening to evening: an evening is stale when any before it is."""
    lake, flow = kitchen.lake, kitchen.settings.flow
    inference = register_version(lake, "gold.composite_signal", version, flow)
    digests: dict[str, str] = {}
    last = inference
    for unit, print_ in sorted(lake.control.builds.fingerprints("gold.flow_daily").items()):
        digests[unit] = last = digest_of(last, print_)

    def make(units: Sequence[str]) -> Product:
        days = _days(units)
        rows = lake.tables.scan("gold.flow_daily", start=days[0], end=days[-1])
        daily = rows.filter(pl.col("session").is_in(days)).collect()
        stored = current_signals(lake, inference)
        before = stored.filter(pl.col("session") < days[0]).collect()
        made = composite_rows(daily, before, flow)
        return Product(new_revisions(made, stored, inference, digests))

    return Plan(digests, make)


GOLD_RECIPES: dict[str, Recipe] = {
    recipe.target: recipe
    for recipe in (
        Recipe(
            "gold.flow_scan",
            _SCAN_SEES,
            "session",
            (
                *_SHARED,
                "tapemill.flow.affiliation",
                "tapemill.flow.eligibility",
                "tapemill.flow.significance",
                "tapemill.flow.novelty",
                "tapemill.flow.scan",
            ),
            _from_inputs("gold.flow_scan", _SCAN_SEES, scan_lookback, _scan, whole=False),
        ),
        Recipe(
            "gold.flow_macro",
            ("gold.flow_scan",),
            "session",
            (*_SHARED, "tapemill.flow.macro"),
            _plan_macro,
        ),
        Recipe(
            "gold.flow_daily",
            _DAILY_SEES,
            "session",
            (*_SHARED, *_BLOCKS),
            _from_inputs("gold.flow_daily", _DAILY_SEES, daily_lookback, _daily, whole=True),
        ),
        Recipe(
            "gold.flow_groups",
            ("gold.flow_daily", "reference.memberships"),
            "session",
            (*_SHARED, "tapemill.flow.groups"),
            _plan_groups,
        ),
        Recipe(
            "gold.composite_signal",
            ("gold.flow_daily",),
            "session",
            (
                *_SHARED,
                *_BLOCKS,
                "tapemill.flow.composite",
                "tapemill.flow.confidence",
                "tapemill.flow.labels",
            ),
            _plan_composite,
            append=True,
        ),
    )
}
"""Target → recipe; a recipe comes after those whose targets it reads."""
