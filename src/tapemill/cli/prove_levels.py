"""`tapemill prove levels`: whether price did otherwise at levels than at random prices."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tapemill.cli.options import (
    Config,
    End,
    Json,
    LakePath,
    Start,
    open_workplace,
    parse_range,
)
from tapemill.cli.output import count, print_json, print_line, print_table

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

__all__ = ["LEVELS_HELP", "levels"]

LEVELS_HELP = """Compare what price did at levels with what it did at random prices beside them.

\b
Examples:
  tapemill prove levels
  tapemill prove levels --start 2024-01-02 --end 2024-03-28 --horizon 900 --barrier t8
  tapemill prove levels --kind VWAP --kind PRIOR_DAY_HIGH --outcome break --json

Reads the outcomes of approaches (`tapemill build gold.episodes`). For each kind of level: the part
of approaches that bounced (or broke), the same at the placebos of these levels in the same half
hours of the day, and the difference with its 95 % interval. Units are trade dates, or stretches of
time where there are under ten dates: overlapping approaches make no interval narrower. q corrects
for the number of kinds. An approach to a zone of several kinds counts for each. Where nothing is
shown, it says so. Stores nothing.
"""


def levels(
    start: Start = None,
    end: End = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="Kind of level; repeatable.  [default: all]")
    ] = None,
    symbol: Annotated[str | None, typer.Option(help="One contract.  [default: all]")] = None,
    outcome: Annotated[str, typer.Option(help="bounce, break or neither.")] = "bounce",
    horizon: Annotated[int, typer.Option(min=1, help="Seconds watched.")] = 240,
    barrier: Annotated[str, typer.Option(help="k0.5, k1, k2, t4, t8 …")] = "k1",
    delay: Annotated[int, typer.Option(min=0, help="Seconds from touch to decision.")] = 0,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Known at this moment or date's end.")
    ] = None,
    as_json: Json = False,
    lake: LakePath = None,
    config: Config = None,
) -> None:
    """Judge levels against their placebos."""
    from tapemill.lake.asof import as_of_moment
    from tapemill.levels.effects import effect_rows, read_outcomes
    from tapemill.proof import judge_effects, placebo_effects

    first, last = parse_range(start, end)
    moment = as_of_moment(as_of) if as_of else None
    place = open_workplace(config, lake)
    found = read_outcomes(
        place.lake,
        first,
        last,
        symbol=symbol,
        horizon=horizon,
        barrier=barrier,
        delay=delay,
        as_of=moment,
    )
    rows = effect_rows(found, outcome)
    effects = placebo_effects(_chosen(rows.by_kind, kind))
    together = placebo_effects(rows.together)
    verdict = judge_effects(effects)
    dates = found["session"].n_unique()
    warnings = _warnings(dates, in_stretches=rows.in_stretches)
    facts = {
        "outcome": outcome,
        "horizon_seconds": horizon,
        "barrier": barrier,
        "delay_seconds": delay,
        "dates": dates,
        "verdict": dataclasses.asdict(verdict),
        "kinds": effects.to_dicts(),
        "together": together.to_dicts(),
        "warnings": warnings,
    }
    if as_json:
        print_json(facts)
        return
    title = f"{outcome} within {horizon} s at {barrier}, decided {delay} s after the touch"
    _show(f"{title}: percent of approaches", [*effects.to_dicts(), *together.to_dicts()])
    unit = "stretches of them" if rows.in_stretches else "dates"
    print_line(f"{count(found.height)} outcomes on {count(dates)} trade dates; units are {unit}")
    print_line(verdict.words, {"shown": "green", "null": "yellow"}.get(verdict.outcome, "dim"))
    for warning in warnings:
        print_line(f"careful: {warning}", "yellow")


def _chosen(rows: pl.DataFrame, kinds: list[str] | None) -> pl.DataFrame:
    """Rows of the kinds asked for; all of them if none was."""
    import polars as pl

    if not kinds:
        return rows
    from tapemill.errors import UnknownNameError, did_you_mean

    wanted = [kind.upper() for kind in kinds]
    there = set(rows["kind"].to_list())
    for kind in wanted:
        if kind not in there:
            from tapemill.levels.registry import KIND_WEIGHTS  # numba is slow to import

            if kind not in KIND_WEIGHTS:
                raise UnknownNameError(
                    f"there is no kind of level {kind!r}",
                    next_step=did_you_mean(kind, KIND_WEIGHTS),
                )
    return rows.filter(pl.col("kind").is_in(wanted))


def _warnings(dates: int, *, in_stretches: bool) -> list[str]:
    if not dates:
        return ["there are no outcomes: `tapemill import dbn`, then `tapemill build gold.episodes`"]
    if in_stretches:
        return ["so few trade dates tell nothing of other dates"]
    return []


def _show(title: str, effects: list[dict[str, Any]]) -> None:
    columns = ["kind", "real", "placebo", "units", "rate", "95 %", "placebo rate"]
    columns += ["difference", "95 % of it", "q", "shrunk", "detail"]
    rows = [
        (
            one["kind"],
            count(one["n_real"]),
            count(one["n_placebo"]),
            count(one["units"]),
            _percent(one["real_frac"]),
            _range(one["real_low"], one["real_high"]),
            _percent(one["placebo_frac"]),
            _points(one["difference"]),
            _range(one["low"], one["high"], _points),
            _chance(one["q_value"]),
            _points(one["shrunk"]),
            one["note"] or _left(one),
        )
        for one in effects
    ]
    print_table(title, columns, rows, right=columns[1:-1])


def _left(one: dict[str, Any]) -> str:
    parts = [(one["left_out"], "censored"), (one["unmatched"], "at times without the other")]
    return ", ".join(f"{count(number)} {what}" for number, what in parts if number)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f}"


def _points(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:+.1f}"


def _range(
    low: float | None, high: float | None, spell: Callable[[float | None], str] = _percent
) -> str:
    return "–" if low is None else f"{spell(low)} … {spell(high)}"


def _chance(value: float | None) -> str:
    if value is None:
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.3f}"
