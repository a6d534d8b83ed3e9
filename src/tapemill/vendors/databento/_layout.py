"""Which records there are, how long each is in each version, and how its bytes lie.

A record says its own type and length, so its version follows from the two: an instrument definition
of 360 bytes is of DBN 1. Records of live sessions may carry eight bytes more (`ts_out`, when the
vendor's server sent them).

Source: Databento, DBN encoding, versions 1 to 3.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from tapemill.book.records import MBO, MBP_1, MBP_10, OHLCV, TRADE
from tapemill.errors import UsageError, did_you_mean
from tapemill.vendors.databento._library import dbn_library

__all__ = ["HEADER_BYTES", "SCHEMAS", "TS_OUT_BYTES", "Layout", "accepted", "kind_of", "layout_of"]

HEADER_BYTES = 16
TS_OUT_BYTES = 8

_KIND: dict[int, str] = {
    0x00: "trades",
    0x01: "mbp-1",
    0x0A: "mbp-10",
    0x11: "ohlcv",
    0x12: "status",
    0x13: "definition",
    0x14: "imbalance",
    0x15: "error",
    0x16: "symbol_mapping",
    0x17: "system",
    0x18: "statistics",
    0x20: "ohlcv",
    0x21: "ohlcv",
    0x22: "ohlcv",
    0x23: "ohlcv",
    0x24: "ohlcv",
    0xA0: "mbo",
    0xB1: "cmbp-1",
    0xC0: "cbbo",
    0xC1: "cbbo",
    0xC2: "tcbbo",
    0xC3: "bbo",
    0xC4: "bbo",
}
_GATEWAY_RTYPES = frozenset({0x15, 0x16, 0x17})
"""Errors, mappings and system messages may stand in a file of any schema."""

_BARS = {"ohlcv-1s": 0x20, "ohlcv-1m": 0x21, "ohlcv-1h": 0x22, "ohlcv-1d": 0x23, "ohlcv-eod": 0x24}
SCHEMAS: dict[str, frozenset[int]] = {
    "mbo": frozenset({0xA0}),
    "mbp-1": frozenset({0x01}),
    "mbp-10": frozenset({0x0A}),
    "tbbo": frozenset({0x01}),
    "trades": frozenset({0x00}),
    # Files of before 2023 mark bars of every length with the one type 0x11.
    **{name: frozenset({rtype, 0x11}) for name, rtype in _BARS.items()},
    "definition": frozenset({0x13}),
    "statistics": frozenset({0x18}),
    "status": frozenset({0x12}),
    "imbalance": frozenset({0x14}),
    "cmbp-1": frozenset({0xB1}),
    "cbbo-1s": frozenset({0xC0}),
    "cbbo-1m": frozenset({0xC1}),
    "tcbbo": frozenset({0xB1, 0xC2}),
    "bbo-1s": frozenset({0xC3}),
    "bbo-1m": frozenset({0xC4}),
    "mixed": frozenset(_KIND),
}
"""Record types that a file of a schema may hold beside messages of the gateway."""


class Layout(NamedTuple):
    """How the records of one type and length lie.

    Attributes
    ----------
    kind : str
        ``"mbo"``, ``"definition"`` …
    version : int
        Least DBN version that writes them so.
    dtype : np.dtype
        Packed, without `ts_out`.
    """

    kind: str
    version: int
    dtype: np.dtype[np.void]


def kind_of(rtype: int, schema: str) -> str:
    """Kind of a record type; in a file of trades with quotes it is that of the schema."""
    return schema if schema in ("tbbo", "tcbbo") and rtype in (0x01, 0xB1) else _KIND[rtype]


def _packed(record: Any) -> np.dtype[np.void]:
    # One letter as a number, and clocks signed, as in tapemill.book.records.
    known = {"action": "u1", "side": "u1"}
    fields = [
        (name, known.get(name, code) if code == "S1" else code) for name, code in record._dtypes
    ]
    return np.dtype(fields)


@functools.cache
def _layouts() -> dict[tuple[int, int], Layout]:
    """Layouts by (record type, length in bytes without `ts_out`)."""
    library = dbn_library()
    own = {0xA0: MBO, 0x00: TRADE, 0x01: MBP_1, 0x0A: MBP_10}
    bars = (0x11, 0x20, 0x21, 0x22, 0x23, 0x24)
    found = [(rtype, 1, dtype) for rtype, dtype in own.items()]
    found += [(rtype, 1, OHLCV) for rtype in bars]
    versioned: list[tuple[int, int, Any]] = [
        (0x12, 1, library.StatusMsg),
        (0x13, 1, library.InstrumentDefMsgV1),
        (0x13, 2, library.InstrumentDefMsgV2),
        (0x13, 3, library.InstrumentDefMsg),
        (0x14, 1, library.ImbalanceMsg),
        (0x15, 1, library.ErrorMsgV1),
        (0x15, 2, library.ErrorMsg),
        (0x16, 1, library.SymbolMappingMsgV1),
        (0x16, 2, library.SymbolMappingMsg),
        (0x17, 1, library.SystemMsgV1),
        (0x17, 2, library.SystemMsg),
        (0x18, 1, library.StatMsgV1),
        (0x18, 3, library.StatMsg),
        (0xB1, 1, library.CMBP1Msg),
        (0xC0, 1, library.CBBOMsg),
        (0xC1, 1, library.CBBOMsg),
        (0xC2, 1, library.CMBP1Msg),
        (0xC3, 1, library.BBOMsg),
        (0xC4, 1, library.BBOMsg),
    ]
    found += [(rtype, version, _packed(record)) for rtype, version, record in versioned]
    return {
        (rtype, dtype.itemsize): Layout(_KIND[rtype], version, dtype)
        for rtype, version, dtype in found
    }


def layout_of(rtype: int, length: int) -> tuple[Layout, bool]:
    """Layout of records of that type and length in bytes, and whether they carry `ts_out`.

    Raises
    ------
    KeyError
        There are no such records; :func:`accepted` says so beforehand.
    """
    plain = _layouts().get((rtype, length))
    if plain is not None:
        return plain, False
    return _layouts()[rtype, length - TS_OUT_BYTES], True


def accepted(schema: str, ts_out: bool | None) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which headers may stand in a file: bool of shape (256 record types, 256 length bytes).

    Parameters
    ----------
    schema : str
        A key of :data:`SCHEMAS`.
    ts_out : bool or None
        Whether every record carries `ts_out`; None: not known, both are accepted.

    Raises
    ------
    UsageError
        No such schema.
    """
    if schema not in SCHEMAS:
        raise UsageError(
            f"there is no DBN schema {schema!r}",
            where=f"known: {', '.join(SCHEMAS)}",
            next_step=did_you_mean(schema, SCHEMAS) or "name one of them",
        )
    table = np.zeros((256, 256), dtype=np.bool_)
    for rtype, length in _layouts():
        if rtype in SCHEMAS[schema] or rtype in _GATEWAY_RTYPES:
            if ts_out is not True:
                table[rtype, length // 4] = True
            if ts_out is not False:
                table[rtype, (length + TS_OUT_BYTES) // 4] = True
    return table
