"""A year of cells of one symbol: loading, saving, and streaming many of them as matrices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, delete, select

from tapemill.lake.control.blobs import (
    SLOTS,
    blob_crc,
    decode_counts,
    encode_counts,
    require_sound,
)
from tapemill.lake.control.cells import SessionSlots
from tapemill.lake.control.engine import Database
from tapemill.lake.control.schema import ledger_counts, ledger_states

__all__ = ["Page", "Pages", "stream_counts", "stream_states"]

_SYMBOLS_AT_ONCE = 100


@dataclass
class Page:
    """One year of cells: uint8 states, uint32 rows, uint16 versions, each [366]."""

    states: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.uint32]
    versions: npt.NDArray[np.uint16]


class Pages:
    """Whole pages, for changing cells."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(
        self, connection: Connection, keys: set[tuple[str, str, int]]
    ) -> dict[tuple[str, str, int], Page]:
        """Pages of (dataset, symbol, year); those not stored yet are all pending."""
        pages = {key: _blank() for key in sorted(keys)}
        for dataset in sorted({key[0] for key in keys}):
            symbols = sorted({key[1] for key in keys if key[0] == dataset})
            years = sorted({key[2] for key in keys if key[0] == dataset})
            for row in _state_rows(connection, dataset, symbols, years):
                page = pages.get((dataset, row.symbol, row.year))
                if page is not None:
                    require_sound(dataset, row.symbol, row.year, row.states, row.crc)
                    page.states = np.frombuffer(row.states, dtype=np.uint8).copy()
            for row in _count_rows(connection, dataset, symbols, years):
                page = pages.get((dataset, row.symbol, row.year))
                if page is not None:
                    page.rows, page.versions = _counts(dataset, row)
        return pages

    def save(self, connection: Connection, pages: dict[tuple[str, str, int], Page]) -> None:
        """Write pages back with their checksums."""
        states, counts = [], []
        for (dataset, symbol, year), page in pages.items():
            key = {"dataset": dataset, "symbol": symbol, "year": year}
            blob = page.states.tobytes()
            crc = blob_crc(dataset, symbol, year, blob)
            states.append({**key, "states": blob, "crc": crc})
            blob = encode_counts(page.rows, page.versions)
            crc = blob_crc(dataset, symbol, year, blob)
            counts.append({**key, "counts": blob, "crc": crc})
        self._database.upsert(connection, ledger_states, states, sealed=True)
        self._database.upsert(connection, ledger_counts, counts, sealed=True)

    def symbols(self, connection: Connection, dataset: str) -> list[str]:
        """Symbols of the dataset that have a page, sorted."""
        column = ledger_states.c.symbol
        statement = select(column).where(ledger_states.c.dataset == dataset).distinct()
        return sorted(connection.execute(statement).scalars())

    def drop(self, connection: Connection, dataset: str) -> None:
        """Forget every page of a dataset."""
        for table in (ledger_states, ledger_counts):
            connection.execute(delete(table).where(table.c.dataset == dataset))


def stream_states(
    connection: Connection, dataset: str, symbols: Sequence[str], slots: SessionSlots
) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Blocks (first symbol's place, uint8 states [symbol, session]), each verified."""
    years = sorted(slots.by_year)
    for start in range(0, len(symbols), _SYMBOLS_AT_ONCE):
        block = list(symbols[start : start + _SYMBOLS_AT_ONCE])
        places = {symbol: place for place, symbol in enumerate(block)}
        cells = np.zeros((len(block), slots.count), dtype=np.uint8)
        rows = _state_rows(connection, dataset, block, years)
        for _, symbol, year, states, crc in rows:
            require_sound(dataset, symbol, year, states, crc)
        year_of = np.array([row[2] for row in rows], dtype=np.int64)
        place_of = np.array([places[row[1]] for row in rows], dtype=np.int64)
        pages = np.frombuffer(b"".join(row[3] for row in rows), dtype=np.uint8)
        _scatter(pages.reshape(-1, SLOTS), year_of, place_of, slots, cells)
        yield start, cells


def stream_counts(
    connection: Connection, dataset: str, symbols: Sequence[str], slots: SessionSlots
) -> Iterator[tuple[int, npt.NDArray[np.uint32], npt.NDArray[np.uint16]]]:
    """Blocks (first symbol's place, uint32 rows, uint16 versions, each [symbol, session])."""
    years = sorted(slots.by_year)
    for start in range(0, len(symbols), _SYMBOLS_AT_ONCE):
        block = list(symbols[start : start + _SYMBOLS_AT_ONCE])
        places = {symbol: place for place, symbol in enumerate(block)}
        rows = np.zeros((len(block), slots.count), dtype=np.uint32)
        versions = np.zeros((len(block), slots.count), dtype=np.uint16)
        for row in _count_rows(connection, dataset, block, years):
            page_rows, page_versions = _counts(dataset, row)
            columns, days = slots.by_year[row.year]
            rows[places[row.symbol], columns] = page_rows[days]
            versions[places[row.symbol], columns] = page_versions[days]
        yield start, rows, versions


def _scatter(
    pages: npt.NDArray[np.uint8],
    year_of: npt.NDArray[np.int64],
    place_of: npt.NDArray[np.int64],
    slots: SessionSlots,
    cells: npt.NDArray[np.uint8],
) -> None:
    for year, (columns, days) in slots.by_year.items():
        (chosen,) = np.nonzero(year_of == year)
        if len(chosen):
            cells[np.ix_(place_of[chosen], columns)] = pages[np.ix_(chosen, days)]


def _state_rows(
    connection: Connection, dataset: str, symbols: Sequence[str], years: Sequence[int]
) -> Sequence[Any]:
    table = ledger_states.c
    statement = select(table.dataset, table.symbol, table.year, table.states, table.crc).where(
        table.dataset == dataset, table.year.between(years[0], years[-1])
    )
    found: list[Any] = []
    for start in range(0, len(symbols), _SYMBOLS_AT_ONCE):
        chosen = table.symbol.in_(symbols[start : start + _SYMBOLS_AT_ONCE])
        found.extend(connection.execute(statement.where(chosen)).all())
    return found


def _count_rows(
    connection: Connection, dataset: str, symbols: Sequence[str], years: Sequence[int]
) -> Iterator[Any]:
    table = ledger_counts.c
    statement = select(table.dataset, table.symbol, table.year, table.counts, table.crc).where(
        table.dataset == dataset, table.year.between(years[0], years[-1])
    )
    for start in range(0, len(symbols), _SYMBOLS_AT_ONCE):
        chosen = table.symbol.in_(symbols[start : start + _SYMBOLS_AT_ONCE])
        for row in connection.execute(statement.where(chosen)).all():
            if row.year in years:
                yield row


def _counts(dataset: str, row: Any) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint16]]:
    _, symbol, year, counts, crc = row
    require_sound(dataset, symbol, year, counts, crc)
    return decode_counts(counts)


def _blank() -> Page:
    return Page(
        np.zeros(SLOTS, dtype=np.uint8),
        np.zeros(SLOTS, dtype=np.uint32),
        np.zeros(SLOTS, dtype=np.uint16),
    )
