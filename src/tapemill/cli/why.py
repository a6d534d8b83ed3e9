"""`tapemill why`: the causal history of one cell."""

from __future__ import annotations

from typing import Annotated

import typer

from tapemill.cli.options import Config, Json, LakePath, open_workplace, parse_date
from tapemill.cli.output import print_json, print_line, print_table

HELP = """Print the full causal history of one cell: calls, answers, versions, quarantine, builds.

Example: tapemill why bars_1m SPY 2026-01-05

DATASET is a bronze or silver name, or the short name used by fetch.
"""


def run(
    dataset: Annotated[str, typer.Argument(help="Dataset.", metavar="DATASET")],
    symbol: Annotated[str, typer.Argument(help="Ticker.", metavar="SYMBOL")],
    session: Annotated[
        str, typer.Argument(help="Session, or a day of a week, YYYY-MM-DD.", metavar="SESSION")
    ],
    as_json: Json = False,
    lake: LakePath = None,
    config: Config = None,
) -> None:
    """Explain one cell."""
    from tapemill.report.story import tell_story

    day = parse_date(session, "SESSION")
    place = open_workplace(config, lake)
    story = tell_story(place.lake, dataset, symbol, day)
    facts = story.summary()
    if as_json:
        print_json(facts)
        return
    print_line(f"{facts['dataset']} · {symbol} · {session}", "bold")
    print_line(facts["verdict"])
    rows = [(event["at"], event["kind"], event["detail"]) for event in facts["events"]]
    print_table("History", ["when (UTC)", "event", "detail"], rows)
