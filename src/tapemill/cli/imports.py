"""`tapemill import`: files that are already here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tapemill.cli.options import Config, Json, LakePath, open_workplace
from tapemill.cli.output import count, print_json, print_line, print_table, print_warning
from tapemill.errors import FileFormatError, UsageError

HELP = """Import files into bronze; each file is kept by its content, twice changes nothing.

KIND is finra-short (CNMS, per-facility and exchange files), finra-otc (weekly off-exchange volume),
finra-interest (short interest), memberships (CSV: group, kind, symbol, weight, valid_from,
valid_to), massive-minute or massive-daily (flat files, csv.gz), bars (CSV or Parquet through a
column map), or dbn (order data, trades, bars, definitions, statistics and status of Databento).

\b
Examples:
  tapemill import finra-short files/CNMSshvol2021*.txt
  tapemill import bars SPY_1m.parquet --map symbol=SPY --map time=timestamp --map zone=UTC
  tapemill import bars SPY_1m.parquet --suggest
  tapemill import finra-otc OTC_ats_2025-12-15.csv
  tapemill import finra-otc weekly.csv --map week=2025-11-10 --map summary=OTC_W_SMBL
  tapemill import dbn glbx-mdp3-20240102.mbo.dbn.zst definitions/
  tapemill import dbn part.dbn.frag --schema mbp-10
"""


def run(
    kind: Annotated[str, typer.Argument(help="What the files are.", metavar="KIND")],
    paths: Annotated[list[Path], typer.Argument(help="Files or folders.", metavar="PATH")],
    column_map: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            help="KEY=VALUE of the column map, or an option of KIND; repeat.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    map_file: Annotated[
        Path | None, typer.Option("--map-file", help="Column map as a TOML file.", metavar="FILE")
    ] = None,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Propose a column map for the first file and stop.")
    ] = False,
    schema: Annotated[
        str | None,
        typer.Option(
            "--schema", help="dbn: what a fragment without metadata holds.", metavar="SCHEMA"
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="dbn: land files anew that are known already.")
    ] = False,
    as_json: Json = False,
    lake: LakePath = None,
    config: Config = None,
) -> None:
    """Read files into the lake."""
    if kind == "dbn":
        _refuse({"--map": column_map, "--map-file": map_file, "--suggest": suggest}, kind)
        from tapemill.cli.import_dbn import import_dbn

        import_dbn(_expand(paths), schema, again=again, as_json=as_json, lake=lake, config=config)
        return
    _refuse({"--schema": schema, "--again": again}, kind)
    from tapemill.intake import import_files, parse_column_map

    if suggest:
        from tapemill.vendors.columnmap import suggest as propose

        lines = propose(_expand(paths)[0])
        print_json(lines) if as_json else print_line("\n".join(f"--map {line}" for line in lines))
        return
    options = parse_column_map(kind, column_map or [], map_file)
    place = open_workplace(config, lake, create=True)
    from tapemill.cli.progress import StepProgress

    with StepProgress(f"import {kind}", quiet=as_json) as bar:
        report = import_files(
            place.lake,
            place.settings,
            place.clock,
            kind,
            _expand(paths),
            options,
            progress=None if as_json else bar.step,
        )
    facts = report.summary()
    if as_json:
        print_json(facts)
    else:
        rows = [
            ("files read", count(facts["files"])),
            ("already known", count(facts["known"])),
            ("rows landed", count(facts["rows"])),
            ("rows in quarantine", count(facts["quarantined"])),
            ("sessions", _sessions(facts)),
            ("symbols", count(facts["symbols"])),
        ]
        print_table("Imported", ["what", "value"], rows, right=["value"])
        for note in facts["notes"]:
            print_line(note)
    for failure in facts["failed"]:
        print_warning(failure)
    if facts["failed"]:
        raise FileFormatError(
            f"{len(facts['failed'])} files could not be imported",
            where=", ".join(failure.split(":", 1)[0] for failure in facts["failed"][:5]),
            next_step="the reason stands beside each file; the others are imported",
        )


def _refuse(options: dict[str, object], kind: str) -> None:
    """Raise UsageError for an option that this kind of file does not take."""
    for name, value in options.items():
        if value:
            raise UsageError(
                f"{name} means nothing for files of kind {kind}",
                where=f"tapemill import {kind}",
                next_step="leave it out; `tapemill import --help` tells which kind takes what",
            )


def _sessions(facts: dict[str, Any]) -> str:
    first, last = facts["first_session"], facts["last_session"]
    return f"{first} to {last}" if first else "none"


def _expand(paths: list[Path]) -> list[Path]:
    """Files as given, folders as the files in them, sorted."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(
                entry for entry in path.rglob("*") if entry.is_file() and entry.name[0] != "."
            )
        elif path.exists():
            files.append(path)
        else:
            raise UsageError(
                "there is no such file or folder", where=str(path), next_step="check the path"
            )
    if not files:
        raise UsageError(
            "the folder holds no files",
            where=", ".join(str(path) for path in paths),
            next_step="name the folder or the files to import",
        )
    return files
