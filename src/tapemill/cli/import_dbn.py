"""`tapemill import dbn`: order data of Databento."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tapemill.cli.options import open_workplace
from tapemill.cli.output import count, print_json, print_line, print_table, print_warning
from tapemill.errors import FileFormatError

if TYPE_CHECKING:
    from tapemill.intake.order_files import OrderFile, OrderImportReport

__all__ = ["import_dbn"]

_FEW = 3


def import_dbn(
    files: list[Path],
    schema: str | None,
    *,
    again: bool,
    as_json: bool,
    lake: str | None,
    config: Path | None,
) -> None:
    """Import DBN files and tell what came of each.

    Raises
    ------
    FileFormatError
        A file could not be read, or not to its end; the others are imported.
    """
    from tapemill.cli.progress import StepProgress
    from tapemill.intake.orders import import_orders

    place = open_workplace(config, lake, create=True)
    with StepProgress("import dbn", quiet=as_json) as bar:

        def told(done: int, total: int, note: str) -> None:
            bar.step(done >> 20, max(total >> 20, 1), f"MiB of {note}")

        report = import_orders(
            place.lake,
            place.settings,
            place.clock,
            files,
            schema=schema,
            again=again,
            progress=None if as_json else told,
        )
    if as_json:
        print_json(report.summary())
    else:
        _print(report)
    if report.unsound:
        raise FileFormatError(
            f"{len(report.unsound)} of {len(report.files)} files are damaged or no DBN files",
            where=", ".join(file.name for file in report.unsound[:5]),
            next_step="what is sound is imported; fetch these files again and import them",
        )


def _print(report: OrderImportReport) -> None:
    rows = [
        (
            file.name,
            file.state,
            file.schema,
            _listed(file.symbols),
            count(file.records),
            count(sum(file.rows.values())),
            count(file.quarantined),
            _range(file),
        )
        for file in report.files
    ]
    heads = ["file", "state", "schema", "symbols", "records", "rows", "set aside", "received, ET"]
    print_table("Imported", heads, rows, right=["records", "rows", "set aside"])
    for line in dict.fromkeys(_tick(*item) for file in report.files for item in file.ticks.items()):
        print_line(line)
    for file in report.files:
        for note in file.notes:
            print_line(f"{file.name}: {note}")
    for file in report.unsound:
        print_warning(f"{file.name}: {file.failure or file.fault}")


def _tick(symbol: str, tick: Any) -> str:
    return f"{symbol}: tick {tick.nano / 1e9:g} ({tick.evidence})"


def _listed(symbols: list[str]) -> str:
    more = len(symbols) - _FEW
    return ", ".join(symbols[:_FEW]) + (f" and {more:,} more" if more > 0 else "")


def _range(file: OrderFile) -> str:
    if file.first_ns is None or file.last_ns is None:
        return "none"
    import datetime as dt
    from zoneinfo import ZoneInfo

    first, last = (
        dt.datetime.fromtimestamp(ns // 10**9, ZoneInfo("America/New_York"))
        for ns in (file.first_ns, file.last_ns)
    )
    end = f"{last:%H:%M:%S}" if first.date() == last.date() else f"{last:%Y-%m-%d %H:%M:%S}"
    return f"{first:%Y-%m-%d %H:%M:%S} to {end}"
