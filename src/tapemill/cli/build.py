"""`tapemill build`: bronze to silver and gold, only what changed."""

from __future__ import annotations

from typing import Annotated

import typer

from tapemill.cli.options import Config, Json, LakePath, open_workplace
from tapemill.cli.output import count, print_json, print_line, print_table

HELP = """Refine bronze into silver, reference and gold tables; only what changed is built.

\b
Examples:
  tapemill build
  tapemill build silver.equity_bars_1m
  tapemill build gold.flow_daily gold.composite_signal

Without targets everything is brought up to date. Running it again with nothing new builds nothing.
"""


def run(
    targets: Annotated[
        list[str] | None, typer.Argument(help="Datasets to bring up to date.", metavar="DATASET")
    ] = None,
    as_json: Json = False,
    lake: LakePath = None,
    config: Config = None,
) -> None:
    """Bring silver up to date."""
    from tapemill.cli.progress import StepProgress
    from tapemill.cli.recipes import build_all

    place = open_workplace(config, lake)
    with StepProgress("build", quiet=as_json) as bar:
        report = build_all(place, targets or None, None if as_json else bar.step)
    facts = report.summary()
    if as_json:
        print_json(facts)
        return
    columns = ["target", "units built", "units unchanged", "rows", "quarantined", "seconds"]
    rows = [
        (
            line["target"],
            count(line["built"]),
            count(line["skipped"]),
            count(line["rows"]),
            count(line["quarantined"]),
            f"{line['seconds']:.2f}",
        )
        for line in facts["targets"]
    ]
    print_table("Built", columns, rows, right=columns[1:])
    if not facts["builds"]:
        print_line("Nothing new: no build was needed.")
