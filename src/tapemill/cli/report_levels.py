"""`tapemill report levels`: one trade date with its book, its levels and what came of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tapemill.cli.options import Config, Json, LakePath, open_workplace, parse_date
from tapemill.cli.output import print_json, print_line, print_table
from tapemill.errors import DateError

if TYPE_CHECKING:
    import datetime as dt

    from tapemill.report.levels_report import LevelsReport

__all__ = ["HELP", "run"]

HELP = """Draw a futures trade date: price over the book, levels, approaches and what came of them.

\b
Examples:
  tapemill report levels 2023-12-26
  tapemill report levels 2023-12-26 --symbol ESH4 --level OVERNIGHT_HIGH --level ROUND
  tapemill report levels 2023-12-26 --from 18:00 --to 18:20
  tapemill report levels 2023-12-26 --as-of 2023-12-25T23:15:00Z --out reports

SESSION is the trade date: it begins at 18:00 New York of the evening before. Reads the tables of
levels (`tapemill build gold.episodes`) and replays the book. Each run is a folder named by its
trade date and the hash of what it shows: a page that needs no network, a picture, CSV and Parquet.
Placebo levels are hidden until the legend is clicked. --as-of shows what was known at a moment.
"""


def run(
    session: Annotated[str, typer.Argument(help="Trade date, YYYY-MM-DD.")],
    symbol: Annotated[
        str | None, typer.Option("--symbol", help="Contract.  [default: every one of the date]")
    ] = None,
    level: Annotated[
        list[str] | None,
        typer.Option("--level", help="Only this kind or id of level; may be repeated."),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Draw from this New York time.", metavar="HH:MM")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="Draw up to this New York time.", metavar="HH:MM")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of the reports.")] = Path("reports"),
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="What was known at this moment or by this date's end."),
    ] = None,
    as_json: Json = False,
    lake: LakePath = None,
    config: Config = None,
) -> None:
    """Write the report of a trade date."""
    from tapemill.report.levels_facts import symbols_of_session
    from tapemill.report.levels_report import write_levels_report

    day = parse_date(session, "SESSION")
    place = open_workplace(config, lake)
    names = symbols_of_session(place.lake, day, symbol)
    between = _between(day, start, end)
    made = [
        write_levels_report(
            place.lake,
            place.settings,
            day,
            name,
            out,
            wanted=tuple(level or ()),
            as_of=as_of,
            between=between,
        )
        for name in names
    ]
    facts = [_facts(one) for one in made]
    if as_json:
        print_json({"session": day, "reports": facts})
        return
    for one in facts:
        _show(one)


def _between(day: dt.date, start: str | None, end: str | None) -> tuple[int, int] | None:
    """A stretch of the trade date; 18:00 and later is the evening before."""
    if start is None and end is None:
        return None
    from tapemill.refine.futures_sources import session_window

    low, high = session_window(day)
    first = low if start is None else _moment(day, start, "--from")
    last = high if end is None else _moment(day, end, "--to")
    if last <= first:
        raise DateError(
            f"--to {end or 'the end'} is not after --from {start or 'the beginning'}",
            where="a trade date runs from 18:00 of the evening before to 17:00 New York",
            next_step="swap them",
        )
    return first, last


def _moment(day: dt.date, text: str, option: str) -> int:
    import datetime as dt

    from tapemill.clock import calendar, eastern_ns

    try:
        wall = dt.time.fromisoformat(text)
    except ValueError as error:
        raise DateError(
            f"{option} {text!r} is no time of day",
            where=str(error),
            next_step="write it as HH:MM, New York time, for example 09:30",
        ) from error
    # A trade date opens on the evening before the date in the calendar, or of Sunday.
    opened = calendar("CMES").session(day).open_ns
    evening = dt.datetime.fromtimestamp(opened / 1e9, dt.UTC).date() if wall.hour >= 18 else day
    return eastern_ns(evening, wall.hour, wall.minute)


def _facts(made: LevelsReport) -> dict[str, Any]:
    facts, effects = made.facts, made.effects
    real = facts.approaches
    touched = real.filter(real["touch_ns"].is_not_null())
    return {
        "symbol": facts.symbol,
        "folder": str(made.run.folder),
        "reused": made.run.reused,
        "files": [str(path) for path in made.run.files],
        "as_of": facts.as_of,
        "start_ns": facts.start_ns,
        "end_ns": facts.end_ns,
        "tick_size": facts.tick_size,
        "levels": facts.levels.filter(facts.levels["family"] == "real")["level_id"].n_unique(),
        "approaches": real.height,
        "touched": touched.height,
        "outcomes": dict(touched["outcome"].value_counts().sort("outcome").iter_rows()),
        "effect": {"outcome": effects.outcome, "words": effects.words},
        "notes": list(facts.notes),
    }


def _show(facts: dict[str, Any]) -> None:
    outcomes = ", ".join(f"{count} {name}" for name, count in facts["outcomes"].items())
    rows = [
        ("levels", str(facts["levels"])),
        ("approaches", f"{facts['approaches']}, {facts['touched']} touched"),
        ("after the touch", outcomes or "nothing was touched"),
        ("real minus placebo", facts["effect"]["words"]),
    ]
    print_table(facts["symbol"], ["what", "value"], rows)
    for note in facts["notes"]:
        if ": no " not in note:
            print_line(f"careful: {note}", "yellow")
    said = "the same run was there already" if facts["reused"] else "written"
    print_line(f"{facts['folder']} ({said})")
    for path in facts["files"]:
        if path.endswith((".html", ".png")):
            print_line(f"  {path}")
