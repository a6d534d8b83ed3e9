"""`tapemill lake`: compaction, history and digests of the tables at rest."""

from __future__ import annotations

from typing import Annotated

import typer

from tapemill.cli.options import Config, Json, LakePath, open_workplace
from tapemill.cli.output import count, print_json, print_table, size

app = typer.Typer(
    help="Look after the tables at rest: compact, history, digest.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_Dataset = Annotated[str | None, typer.Argument(help="Dataset; all of them without one.")]


@app.command()
def compact(
    dataset: _Dataset = None, as_json: Json = False, lake: LakePath = None, config: Config = None
) -> None:
    """Bound the number of small files; readers and history stay intact.

    \b
    Example:
      tapemill lake compact bronze.massive_bars_1m
    """
    place = open_workplace(config, lake)
    reports = place.lake.compact(dataset)
    if as_json:
        print_json([vars_of(line) for line in reports])
        return
    rows = [
        (
            line.dataset,
            count(line.files_before),
            count(line.files_after),
            size(line.bytes_before),
            size(line.bytes_after),
        )
        for line in reports
    ]
    columns = ["dataset", "files before", "files after", "before", "after"]
    print_table("Compacted", columns, rows, right=columns[1:])


@app.command()
def history(
    dataset: Annotated[str, typer.Argument(help="Dataset.")],
    limit: Annotated[int, typer.Option(help="Newest commits to show.")] = 20,
    as_json: Json = False,
    lake: LakePath = None,
    config: Config = None,
) -> None:
    """List the commits of one table, newest first.

    \b
    Example:
      tapemill lake history silver.equity_bars_1m
    """
    place = open_workplace(config, lake)
    commits = place.lake.history(dataset)[:limit]
    if as_json:
        print_json(commits)
        return
    columns = [
        "version",
        "when (UTC)",
        "operation",
        "rows",
        "files added",
        "files removed",
        "writer",
    ]
    rows = [
        (
            line["version"],
            line["at"],
            line["operation"],
            line["rows"],
            line["files_added"],
            line["files_removed"],
            line["writer"],
        )
        for line in commits
    ]
    print_table(dataset, columns, rows, right=["version", "rows", "files added", "files removed"])


@app.command()
def digest(
    dataset: _Dataset = None, as_json: Json = False, lake: LakePath = None, config: Config = None
) -> None:
    """Print a content hash per table; equal data, equal hash.

    How the rows are laid out in files does not matter.

    \b
    Example:
      tapemill lake digest silver.equity_bars_1m
    """
    place = open_workplace(config, lake)
    names = [dataset] if dataset else place.lake.datasets()
    rows = [(name, place.lake.digest(name)) for name in names]
    if as_json:
        print_json(dict(rows))
        return
    print_table("Content", ["dataset", "sha256"], rows)


def vars_of(line: object) -> dict[str, int | str]:
    """The fields of a compaction report line."""
    fields = ("dataset", "files_before", "files_after", "bytes_before", "bytes_after")
    return {name: getattr(line, name) for name in fields}
