"""Which symbol a numeric instrument id stood for, and when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tapemill.book.records import NO_TIME

__all__ = ["Mapping", "SymbolTable"]

ALWAYS = (-(2**63), 2**63 - 1)


class Mapping(NamedTuple):
    """One id that stands for one symbol from `start_ns` until before `end_ns` (UTC)."""

    instrument_id: int
    symbol: str
    start_ns: int
    end_ns: int


class SymbolTable:
    """Ids by time; what was said last wins where two mappings overlap."""

    def __init__(self, mappings: Iterable[Mapping] = ()) -> None:
        self._by_id: dict[int, list[Mapping]] = {}
        for mapping in mappings:
            self.add(mapping)

    def add(self, mapping: Mapping) -> None:
        """Take one mapping."""
        known = self._by_id.setdefault(mapping.instrument_id, [])
        # A live session repeats its mappings for hours.
        if not known or known[-1] != mapping:
            known.append(mapping)

    def add_records(self, records: np.ndarray[Any, np.dtype[np.void]]) -> None:
        """Take the symbol mappings of a live session (records of kind ``symbol_mapping``)."""
        for record in records:
            symbol = record["stype_out_symbol"].split(b"\0", 1)[0].decode("utf-8", "replace")
            if not symbol or symbol.isdigit():
                continue
            start, end = (int(record[name].astype(np.int64)) for name in ("start_ts", "end_ts"))
            self.add(
                Mapping(
                    int(record["instrument_id"]),
                    symbol,
                    ALWAYS[0] if start == NO_TIME else start,
                    ALWAYS[1] if end == NO_TIME else end,
                )
            )

    def symbol_of(self, instrument_id: int, ts_ns: int) -> str | None:
        """Symbol of an id at a moment (ns UTC); None if nothing says."""
        for mapping in reversed(self._by_id.get(instrument_id, ())):
            if mapping.start_ns <= ts_ns < mapping.end_ns:
                return mapping.symbol
        return None

    def __iter__(self) -> Iterator[Mapping]:
        for known in self._by_id.values():
            yield from known
