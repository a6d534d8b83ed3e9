"""All recipes, in the order in which they are built."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence

import polars as pl

from tapemill.clock import CalendarName, calendar
from tapemill.refine.adjustments import adjustments
from tapemill.refine.bars import Refined, daily_bars, minute_bars
from tapemill.refine.coverage_plan import plan_coverage
from tapemill.refine.futures_contracts import CONTRACT_INPUTS, plan_contracts
from tapemill.refine.futures_minutes import MINUTE_INPUTS, plan_minutes, plan_profile
from tapemill.refine.futures_rolls import ROLL_INPUTS, plan_rolls
from tapemill.refine.inputs import (
    bronze_bars,
    content,
    hours,
    sessions_frame,
    sessions_of,
)
from tapemill.refine.instruments import instruments, symbol_changes
from tapemill.refine.memberships import memberships
from tapemill.refine.otc_weekly import otc_weekly
from tapemill.refine.recipe import Kitchen, Plan, Product, Recipe, digest_of
from tapemill.refine.short_interest import short_interest
from tapemill.refine.short_volume import short_volume
from tapemill.refine.symbols import symbols
from tapemill.refine.tape_plan import TAPE_INPUTS, plan_tape

__all__ = ["RECIPES", "unresolved_dividends"]

_MINUTES = ("bronze.massive_bars_1m", "bronze.imported_bars_1m")
_DAYS = ("bronze.massive_bars_1d", "bronze.imported_bars_1d")
_MEANING = ("tapemill.clock.availability", "tapemill.contracts.silver")
"""When facts are known and what columns hold: a change makes every session stale."""
_BAR_CODE = ("bars", "jumps", "versions", "inputs", *_MEANING)
_FUTURES_CODE = (
    "futures_minutes",
    "futures_rows",
    "futures_sources",
    "tapemill.book.minutes",
    "tapemill.book._minutes",
    "tapemill.clock.availability",
    "tapemill.contracts.orders",
)
_Kernel = Callable[[Kitchen, pl.DataFrame, pl.DataFrame], Refined]


def _bars(
    inputs: tuple[str, ...], calendar_name: CalendarName, kernel: _Kernel, *, futures: bool = False
) -> Callable[[Kitchen, str], Plan]:
    """Plan of a bar target: one unit a session."""

    def plan(kitchen: Kitchen, version: str) -> Plan:
        found = content(kitchen.lake, inputs)
        table = hours(calendar_name, sorted(found))
        settings = kitchen.settings
        knobs = (settings.massive.feed_delay_minutes, settings.checks.jump_mad_multiple)

        def make(units: Sequence[str]) -> Product:
            days = [datetime.date.fromisoformat(unit) for unit in units]
            bronze = bronze_bars(kitchen.lake, inputs, days, futures=futures)
            refined = kernel(kitchen, bronze, sessions_frame(calendar_name, days))
            return Product(refined.rows, refined.quarantined)

        return Plan(
            {
                day.isoformat(): digest_of(version, table[day], *knobs, print_)
                for day, print_ in found.items()
            },
            make,
        )

    return plan


def _equity_minutes(kitchen: Kitchen, bronze: pl.DataFrame, sessions: pl.DataFrame) -> Refined:
    return minute_bars(
        bronze,
        sessions,
        feed_delay_minutes=kitchen.settings.massive.feed_delay_minutes,
        jump_multiple=kitchen.settings.checks.jump_mad_multiple,
    )


def _futures_minutes(kitchen: Kitchen, bronze: pl.DataFrame, sessions: pl.DataFrame) -> Refined:
    return minute_bars(
        bronze,
        sessions,
        target="silver.futures_bars_1m",
        feed_delay_minutes=kitchen.settings.massive.feed_delay_minutes,
        jump_multiple=kitchen.settings.checks.jump_mad_multiple,
    )


def _equity_days(kitchen: Kitchen, bronze: pl.DataFrame, sessions: pl.DataFrame) -> Refined:
    delay = kitchen.settings.massive.feed_delay_minutes
    return daily_bars(bronze, sessions, feed_delay_minutes=delay)


def _plan_short_volume(kitchen: Kitchen, version: str) -> Plan:
    found = content(kitchen.lake, ("bronze.finra_short_volume",))

    def make(units: Sequence[str]) -> Product:
        days = [datetime.date.fromisoformat(unit) for unit in units]
        rows = sessions_of(kitchen.lake, "bronze.finra_short_volume", days)
        return Product(short_volume(rows.collect()))

    return Plan({day.isoformat(): digest_of(version, fp) for day, fp in found.items()}, make)


def _by_period(
    source: str, day: str, kernel: Callable[[pl.DataFrame], pl.DataFrame]
) -> Callable[[Kitchen, str], Plan]:
    """Plan of a target whose units are weeks or settlement dates, in column `day`."""

    def plan(kitchen: Kitchen, version: str) -> Plan:
        found = content(kitchen.lake, (source,))

        def make(units: Sequence[str]) -> Product:
            days = sorted(datetime.date.fromisoformat(unit) for unit in units)
            rows = kitchen.lake.tables.scan(source, start=days[0], end=days[-1])
            return Product(kernel(rows.filter(pl.col(day).is_in(days)).collect()))

        return Plan({one.isoformat(): digest_of(version, fp) for one, fp in found.items()}, make)

    return plan


def _plan_memberships(kitchen: Kitchen, version: str) -> Plan:
    imported = kitchen.lake.tables.scan("bronze.imported_memberships").collect()
    return _by_symbol(memberships(imported), version, "group")


def _plan_symbols(kitchen: Kitchen, version: str) -> Plan:
    seen = (
        kitchen.lake.tables.scan("silver.short_volume")
        .group_by("symbol")
        .agg(first_session=pl.col("session").min(), last_session=pl.col("session").max())
        .sort("symbol")
    )
    return _by_symbol(symbols(seen.collect()), version, "finra_symbol")


def _by_symbol(rows: pl.DataFrame, version: str, symbol: str = "symbol") -> Plan:
    """A plan whose units are symbols, each stale when its own rows came out different."""
    lines = rows.select(
        _unit=pl.col(symbol),
        _line=pl.concat_str(
            [pl.col(name).cast(pl.String).fill_null("\\N") for name in rows.columns], separator="|"
        ),
    )
    grouped = lines.group_by("_unit").agg(pl.col("_line")).sort("_unit")
    return Plan(
        {unit: digest_of(version, *text) for unit, text in grouped.iter_rows()},
        lambda units: Product(rows.filter(pl.col(symbol).is_in(list(units)))),
    )


def _plan_instruments(kitchen: Kitchen, version: str) -> Plan:
    tickers = kitchen.lake.tables.scan("bronze.massive_tickers").collect()
    return _by_symbol(instruments(tickers), version)


def _plan_symbol_changes(kitchen: Kitchen, version: str) -> Plan:
    listed = kitchen.lake.tables.scan("reference.instruments").collect()
    known = calendar("XNYS")
    rows = symbol_changes(listed, known.frame(*known.coverage).select("session"))
    return _by_symbol(rows, version, "old_symbol")


def _plan_adjustments(kitchen: Kitchen, version: str) -> Plan:
    return _by_symbol(_adjustments(kitchen)[0], version)


def unresolved_dividends(kitchen: Kitchen) -> pl.DataFrame:
    """Dividends that have no factor: ``symbol``, ``ex_date``, ``reason``."""
    return _adjustments(kitchen)[1]


def _adjustments(kitchen: Kitchen) -> tuple[pl.DataFrame, pl.DataFrame]:
    tables = kitchen.lake.tables
    splits = tables.scan("bronze.massive_splits").collect()
    dividends = tables.scan("bronze.massive_dividends").collect()
    closes = (
        tables.scan("silver.equity_bars_1d")
        .select("symbol", "session", "close", "known_at", "superseded_at")
        .collect()
    )
    known = calendar("XNYS")
    found = adjustments(splits, dividends, closes, known.frame(*known.coverage).select("session"))
    return found.rows, found.unresolved


RECIPES: dict[str, Recipe] = {
    recipe.target: recipe
    for recipe in (
        Recipe(
            "silver.equity_bars_1d",
            _DAYS,
            "session",
            _BAR_CODE,
            _bars(_DAYS, "XNYS", _equity_days),
        ),
        Recipe(
            "silver.equity_bars_1m",
            _MINUTES,
            "session",
            _BAR_CODE,
            _bars(_MINUTES, "XNYS", _equity_minutes),
        ),
        Recipe(
            "silver.futures_bars_1m",
            _MINUTES[1:],
            "session",
            _BAR_CODE,
            _bars(_MINUTES[1:], "CMES", _futures_minutes, futures=True),
        ),
        Recipe(
            "silver.tape_5m",
            TAPE_INPUTS,
            "session",
            (
                "tape",
                "tape_plan",
                *_BAR_CODE,
                "tapemill.tape.bulk",
                "tapemill.tape._bulk",
                "tapemill.contracts.columns",
            ),
            plan_tape,
        ),
        Recipe(
            "silver.short_volume",
            ("bronze.finra_short_volume",),
            "session",
            ("short_volume", "versions", "inputs", *_MEANING),
            _plan_short_volume,
        ),
        Recipe(
            "silver.otc_weekly",
            ("bronze.finra_otc_weekly",),
            "session",
            ("otc_weekly", "symbology", "versions", "inputs", *_MEANING),
            _by_period("bronze.finra_otc_weekly", "week_start", otc_weekly),
        ),
        Recipe(
            "silver.short_interest",
            ("bronze.finra_short_interest",),
            "session",
            ("short_interest", "symbology", "versions", "inputs", *_MEANING),
            _by_period("bronze.finra_short_interest", "settlement_date", short_interest),
        ),
        Recipe(
            "reference.memberships",
            ("bronze.imported_memberships",),
            "symbol",
            ("memberships", "symbology", "versions"),
            _plan_memberships,
        ),
        Recipe(
            "reference.symbols",
            ("silver.short_volume",),
            "symbol",
            ("symbols", "symbology"),
            _plan_symbols,
        ),
        Recipe(
            "reference.instruments",
            ("bronze.massive_tickers",),
            "symbol",
            ("instruments", "versions"),
            _plan_instruments,
        ),
        Recipe(
            "reference.symbol_changes",
            ("reference.instruments",),
            "symbol",
            ("instruments",),
            _plan_symbol_changes,
        ),
        Recipe(
            "reference.adjustments",
            ("bronze.massive_splits", "bronze.massive_dividends", "silver.equity_bars_1d"),
            "symbol",
            ("adjustments", "versions"),
            _plan_adjustments,
        ),
        Recipe(
            "reference.futures_contracts",
            CONTRACT_INPUTS,
            "symbol",
            ("futures_contracts", "futures_symbols"),
            plan_contracts,
        ),
        Recipe("silver.futures_minutes", MINUTE_INPUTS, "session", _FUTURES_CODE, plan_minutes),
        Recipe("silver.futures_profile", MINUTE_INPUTS, "session", _FUTURES_CODE, plan_profile),
        Recipe(
            "reference.futures_rolls",
            ROLL_INPUTS,
            "symbol",
            ("futures_rolls", "futures_symbols", "futures_contracts"),
            plan_rolls,
        ),
        Recipe(
            "silver.coverage",
            (
                "silver.equity_bars_1m",
                "silver.futures_bars_1m",
                "silver.equity_bars_1d",
                *_MINUTES,
                "ops.quarantine",
            ),
            "session",
            ("coverage", "coverage_states", "coverage_plan", "halts", "inputs"),
            plan_coverage,
        ),
    )
}
"""Target → recipe; a recipe comes after those whose targets it reads."""
