"""`tapemill prove`: whether something is more than chance, told plainly when it is not."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Annotated

import typer

from tapemill.cli.options import (
    Config,
    End,
    Json,
    LakePath,
    Start,
    Workplace,
    open_workplace,
    parse_range,
)
from tapemill.cli.output import count, print_json, print_line, print_table
from tapemill.cli.prove_levels import LEVELS_HELP, levels

if TYPE_CHECKING:
    import datetime as dt

    import polars as pl

    from tapemill.proof import Placebo, Study, StudyParameters, Verdict

FLOW_HELP = """Study what prices did after the scan and the composite labels spoke.

\b
Examples:
  tapemill prove flow
  tapemill prove flow --start 2021-01-04 --end 2021-12-31 --horizon 5 --horizon 20
  tapemill prove flow --top 10 --cost-bps 8 --json

Enters at the first open after an evening's 18:00, leaves at the close of the horizon's last
session, takes off the equal-weight market and costs on both sides. Intervals know that returns
overlap; p is corrected for the number of horizons. The same study runs on other dates and in other
names beside it. A null is called a null. Stores nothing.
"""

app = typer.Typer(
    help="Judge whether a signal predicts anything, or a level is more than a price.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

TITLES = {
    "scan": "Names of the scan",
    "labels": "Beginnings of composite labels",
}


app.command("levels", help=LEVELS_HELP)(levels)


@app.command("flow", help=FLOW_HELP)
def flow(
    start: Start = None,
    end: End = None,
    horizon: Annotated[
        list[int] | None,
        typer.Option(min=1, max=250, help="Sessions held; repeatable.  [default: 1, 5, 10, 20]"),
    ] = None,
    q_below: Annotated[
        float, typer.Option("--q", min=0.0, max=1.0, help="Names of the scan with q below it.")
    ] = 0.10,
    top: Annotated[
        int | None,
        typer.Option(min=1, help="The first names of each side of each evening instead of q."),
    ] = None,
    cost_bps: Annotated[
        float, typer.Option("--cost-bps", min=0.0, help="Cost of each side, basis points.")
    ] = 5.0,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="Evenings and prices known at this moment or date's end."),
    ] = None,
    as_json: Json = False,
    lake: LakePath = None,
    config: Config = None,
) -> None:
    """Study the events of flow."""
    from tapemill.flow.events import eligible_names, label_events, scan_events
    from tapemill.lake.asof import as_of_moment
    from tapemill.proof import StudyParameters, event_study, judge

    first, last = parse_range(start, end)
    moment = as_of_moment(as_of) if as_of else None
    place = open_workplace(config, lake)
    chosen = StudyParameters(
        horizons=tuple(sorted(set(horizon or (1, 5, 10, 20)))), cost_bps=cost_bps
    )
    prices, warnings = _prices(place, first, last, chosen, moment)
    given = {
        "scan": scan_events(place.lake, first, last, q_below=q_below, top=top, as_of=moment),
        "labels": label_events(place.lake, first, last, as_of=moment),
    }
    eligible = eligible_names(place.lake, first, last, as_of=moment)
    studies = {
        name: event_study(events, prices, chosen, eligible=eligible)
        for name, events in given.items()
    }
    verdicts = {name: judge(study) for name, study in studies.items()}
    if as_json:
        told = {
            name: {"verdict": dataclasses.asdict(verdicts[name]), **dataclasses.asdict(study)}
            for name, study in studies.items()
        }
        print_json({**told, "warnings": warnings})
        return
    for name, study in studies.items():
        _show(name, study, verdicts[name])
    for warning in warnings:
        print_line(f"careful: {warning}", "yellow")
    print_line("FINRA publishes no direction of trades: buying and selling are inferred.", "dim")


def _prices(
    place: Workplace,
    first: dt.date | None,
    last: dt.date | None,
    chosen: StudyParameters,
    moment: dt.datetime | None,
) -> tuple[pl.DataFrame, list[str]]:
    """Opens and closes with splits removed, far enough around the evenings asked for; warnings."""
    import datetime as dt

    import polars as pl

    columns = ["symbol", "session", "open", "close"]
    dataset = "silver.equity_bars_1d"
    if dataset not in place.lake.datasets():
        schema = {"symbol": pl.String, "session": pl.Date, "open": pl.Float64, "close": pl.Float64}
        step = "`tapemill fetch` or `tapemill import` daily bars, then `tapemill build`"
        return pl.DataFrame(schema=schema), [f"there are no daily bars: {step}"]
    looked_up = "reference.adjustments" in place.lake.datasets()
    # Two calendar days a session cover weekends and holidays.
    before = dt.timedelta(days=2 * chosen.regime_sessions)
    after = dt.timedelta(days=2 * max(chosen.horizons) + 10)
    rows = place.lake.scan(
        dataset,
        start=first - before if first else None,
        end=last + after if last else None,
        as_of=moment,
        adjust="split" if looked_up else None,
    )
    found = rows.select(*columns, "quality").collect()
    return found.select(columns), [] if looked_up else _unadjusted(found)


def _unadjusted(prices: pl.DataFrame) -> list[str]:
    """What to say of prices that no split was taken out of, where none was ever looked up."""
    import polars as pl

    from tapemill.contracts.silver import Quality

    traded = prices.filter(pl.col("quality") & int(Quality.ADJUSTED) == 0)["symbol"].n_unique()
    if not traded:
        return []
    return [
        f"no splits were ever looked up, so the prices of {count(traded)} names are as traded and "
        "a split counts as a return: `tapemill fetch splits`, then `tapemill build`"
    ]


def _show(name: str, study: Study, verdict: Verdict) -> None:
    columns = ["sessions", "events", "dates", "gross", "net", "95 % net", "p (Holm)", "hit"]
    columns += ["other dates", "p dates", "other names", "p names", "detail"]
    rows = [
        (
            one.sessions,
            count(one.gross.events),
            count(one.gross.dates),
            _bps(one.gross.mean),
            _bps(one.net),
            f"{_bps(one.net_low)} … {_bps(one.net_high)}",
            _chance(one.adjusted_p),
            _percent(one.hit_frac),
            *_placebo(one.other_dates),
            *_placebo(one.other_names),
            one.reason or _left(one.open_events, one.unpriced, one.early),
        )
        for one in study.horizons
    ]
    title = f"{TITLES[name]}: basis points an event, {study.parameters.cost_bps:g} a side off net"
    print_table(title, columns, rows, right=columns[:-1])
    judged = [part for part in study.slices if part.judged]
    if judged:
        print_table(
            "By regime, side and tier (these explain, they do not decide)",
            ["kind", "value", "sessions", "events", "net", "q"],
            [
                (
                    part.kind,
                    part.value,
                    part.sessions,
                    count(part.gross.events),
                    _bps(part.net),
                    _chance(part.q_value),
                )
                for part in judged
            ],
            right=["sessions", "events", "net", "q"],
        )
    print_line(
        f"{count(study.events)} events; {count(study.names)} priced names over "
        f"{count(study.sessions)} sessions; {count(study.unknown_names)} events without prices, "
        f"{count(study.outside)} outside them"
    )
    print_line(verdict.words, {"signal": "green", "null": "yellow"}.get(verdict.outcome, "dim"))
    print_line()


def _placebo(control: Placebo) -> tuple[str, str]:
    return _bps(control.mean), _chance(control.p_value)


def _left(still_open: int, unpriced: int, early: int) -> str:
    parts = [(still_open, "still open"), (unpriced, "without a price"), (early, "left early")]
    return ", ".join(f"{count(number)} {what}" for number, what in parts if number)


def _bps(value: float) -> str:
    return "–" if math.isnan(value) else f"{1e4 * value:+.1f}"


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.0f} %"


def _chance(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.3f}"
