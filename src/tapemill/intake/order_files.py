"""What an import of order data tells: one entry a file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tapemill.errors import TapemillError
from tapemill.intake.order_landing import Origin, raw_key_of, with_provenance
from tapemill.intake.order_reading import OrderReading
from tapemill.intake.order_ticks import Tick
from tapemill.vendors.databento import DbnFile, DbnMetadata

__all__ = ["OrderFile", "OrderImportReport", "file_row", "in_order_of_need", "recorded_ticks"]

FILES = "bronze.databento_files"
_FIRST = ("definition", "statistics", "status")


@dataclasses.dataclass
class OrderFile:
    """What came of one file.

    Parameters
    ----------
    name : str
    state : str
        ``read``, ``read again`` (its rows took the place of others), ``known`` or ``failed``.
    sha256, schema : str
    records : int
        Records read.
    rows : dict
        Dataset → rows landed now.
    quarantined : int
        Records set aside.
    symbols : list of str
    first_ns, last_ns : int or None
        Range of receipts (ns UTC).
    ticks : dict
        Symbol → step (1e-9) and evidence.
    fault : str
        Why reading stopped early; what was before the fault has landed.
    failure : str
        Why nothing could be read.
    notes : list of str
    """

    name: str
    state: str = "failed"
    sha256: str = ""
    schema: str = ""
    records: int = 0
    rows: dict[str, int] = dataclasses.field(default_factory=dict)
    quarantined: int = 0
    symbols: list[str] = dataclasses.field(default_factory=list)
    first_ns: int | None = None
    last_ns: int | None = None
    ticks: dict[str, Tick] = dataclasses.field(default_factory=dict)
    fault: str = ""
    failure: str = ""
    notes: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class OrderImportReport:
    """What came of an import of order data.

    Parameters
    ----------
    files : list of OrderFile
        In the order in which they were read.
    """

    files: list[OrderFile] = dataclasses.field(default_factory=list)

    @property
    def unsound(self) -> list[OrderFile]:
        """Files that could not be read, or not to their end."""
        return [file for file in self.files if file.failure or file.fault]

    def summary(self) -> dict[str, Any]:
        """The report in plain values."""
        return {
            "files": [
                {**dataclasses.asdict(file), "ticks": {k: list(v) for k, v in file.ticks.items()}}
                for file in self.files
            ],
            "records": sum(file.records for file in self.files),
            "unsound": len(self.unsound),
        }


def in_order_of_need(
    paths: Sequence[Path], schema: str | None
) -> list[tuple[Path, TapemillError | None]]:
    """Files that others need (definitions) before the others; with the error of opening each."""
    judged: list[tuple[int, Path, TapemillError | None]] = []
    for path in paths:
        try:
            with DbnFile.open(path, schema=schema) as file:
                said = file.metadata.schema
        except TapemillError as error:
            judged.append((len(_FIRST) + 1, path, error))
            continue
        judged.append((_FIRST.index(said) if said in _FIRST else len(_FIRST), path, None))
    judged.sort(key=lambda entry: entry[0])
    return [(path, error) for _, path, error in judged]


def file_row(
    name: str,
    size: int,
    metadata: DbnMetadata,
    reading: OrderReading,
    fault: str,
    origin: Origin,
) -> pl.DataFrame:
    """The row of a file in ``bronze.databento_files``."""
    row = {
        "raw_key": raw_key_of(origin.sha256),
        "name": name,
        "dataset": metadata.dataset,
        "schema": metadata.schema,
        "dbn_version": metadata.version,
        "start_ns": metadata.start_ns,
        "end_ns": metadata.end_ns,
        "records": reading.records,
        "size_bytes": size,
        "first_gateway_ns": reading.first_ns,
        "last_gateway_ns": reading.last_ns,
        "symbols": ",".join(sorted(reading.symbols)),
        "mappings": _mappings(metadata),
        "ticks": json.dumps({name: list(tick) for name, tick in sorted(reading.ticks.items())}),
        "fault": fault,
        "ordinal": 0,
    }
    frame = pl.DataFrame([row], infer_schema_length=None).with_columns(
        pl.col("dbn_version").cast(pl.Int16),
        pl.col("start_ns", "end_ns", "first_gateway_ns", "last_gateway_ns").cast(pl.Int64),
    )
    return with_provenance(FILES, frame, origin)


def _mappings(metadata: DbnMetadata) -> str:
    found: dict[str, list[list[Any]]] = {}
    for mapping in sorted(metadata.mappings):  # the decoder gives them in any order
        found.setdefault(str(mapping.instrument_id), []).append(
            [mapping.symbol, mapping.start_ns, mapping.end_ns]
        )
    return json.dumps(found, separators=(",", ":"))


def recorded_ticks(rows: pl.DataFrame) -> dict[str, Tick]:
    """Symbol → step of a row of ``bronze.databento_files``."""
    texts: Iterable[str] = rows["ticks"]
    return {
        symbol: Tick(int(nano), str(evidence))
        for text in texts
        for symbol, (nano, evidence) in json.loads(text or "{}").items()
    }
