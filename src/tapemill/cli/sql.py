"""`tapemill sql`: every table as a DuckDB view."""

from __future__ import annotations

from typing import Annotated

import typer

from tapemill.cli.options import Config, Json, LakePath, open_workplace
from tapemill.cli.output import print_json, print_table

HELP = """Run one SELECT over the lake; every table is a view.

\b
Examples:
  tapemill sql "show tables"
  tapemill sql "select symbol, count(*) from silver.equity_bars_1m group by 1"

`silver.x` holds current versions, `silver.x_versions` all of them; calls, incidents and builds are
`ops.calls`, `ops.incidents`, `ops.builds`. `show tables` lists what there is.
"""


def run(
    query: Annotated[str, typer.Argument(help="One SELECT, WITH, DESCRIBE or SHOW statement.")],
    rows: Annotated[int, typer.Option(help="Rows to draw; --json prints all.")] = 50,
    as_json: Json = False,
    lake: LakePath = None,
    config: Config = None,
) -> None:
    """Run a query and print its rows."""
    place = open_workplace(config, lake)
    frame = place.lake.sql(query)
    if as_json:
        print_json(frame.to_dicts())
        return
    shown = frame.head(rows)
    numeric = [name for name, dtype in frame.schema.items() if dtype.is_numeric()]
    title = f"{frame.height:,} rows" + (f", first {rows}" if frame.height > rows else "")
    print_table(title, frame.columns, shown.iter_rows(), right=numeric)
