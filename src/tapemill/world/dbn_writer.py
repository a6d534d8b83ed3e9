"""DBN files (version 3, plain or zstd) of made-up records, with the vendor's metadata."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, BinaryIO

import numpy as np
import zstandard

from tapemill.world.order_book_spec import FuturesInstrument

__all__ = ["DATASET", "DbnWriter", "encode_definitions", "encode_metadata"]

DATASET = "GLBX.MDP3"

_PUBLISHER = 1
_LEVEL = 3
_SETTLEMENT_UTC = time(14, 30)
_MULTIPLIER_NANO = 1_000_000_000


class DbnWriter:
    """A DBN file that is written block by block; use it in a ``with`` statement.

    Parameters
    ----------
    path : Path
        File to make; zstd-compressed when its name ends in ``.zst``, unless `compress` says so.
    schema : str
        ``mbo``, ``mbp-10``, ``mbp-1``, ``trades``, ``tbbo``, ``definition``.
    instruments : sequence of FuturesInstrument
        What the metadata names and maps.
    start_ns, end_ns : int
        Range of the request (ns UTC).
    """

    def __init__(
        self,
        path: Path,
        *,
        schema: str,
        instruments: Sequence[FuturesInstrument],
        start_ns: int,
        end_ns: int,
        compress: bool | None = None,
    ) -> None:
        self._path = path
        self._head = encode_metadata(schema, instruments, start_ns, end_ns)
        self._compress = path.suffix == ".zst" if compress is None else compress
        self._file: BinaryIO | None = None
        self._out: Any = None

    def __enter__(self) -> DbnWriter:
        self._file = self._path.open("wb", buffering=0)
        self._out = self._file
        if self._compress:
            compressor = zstandard.ZstdCompressor(level=_LEVEL)
            self._out = compressor.stream_writer(self._file, closefd=False)
        self._out.write(self._head)
        return self

    def write(self, records: Any) -> None:
        """Append whole records, a contiguous array of any type."""
        octets: Any = np.ascontiguousarray(records).view(np.uint8).reshape(-1)
        view = memoryview(octets)
        while view.nbytes:
            done = self._out.write(view)
            if self._compress:
                return
            view = view[done:]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._compress and self._out is not None:
            self._out.close()
        if self._file is not None:
            self._file.close()


def encode_metadata(
    schema: str, instruments: Sequence[FuturesInstrument], start_ns: int, end_ns: int
) -> bytes:
    """Return the head of a DBN file: raw symbols mapped to instrument ids for each UTC date."""
    import databento_dbn as dbn

    first = datetime.fromtimestamp(start_ns // 1_000_000_000, UTC).date()
    last = datetime.fromtimestamp((end_ns - 1) // 1_000_000_000, UTC).date()
    mappings: Any = [
        SimpleNamespace(
            raw_symbol=instrument.symbol,
            intervals=[
                SimpleNamespace(
                    start_date=first,
                    end_date=last + timedelta(days=1),
                    symbol=str(instrument.instrument_id),
                )
            ],
        )
        for instrument in instruments
    ]
    # The stubs of databento_dbn declare the members of SType as plain strings.
    kinds: dict[str, Any] = {
        "stype_in": dbn.SType.RAW_SYMBOL,
        "stype_out": dbn.SType.INSTRUMENT_ID,
    }
    metadata = dbn.Metadata(
        dataset=DATASET,
        start=start_ns,
        end=end_ns,
        **kinds,
        schema=dbn.Schema.from_str(schema),
        symbols=[instrument.symbol for instrument in instruments],
        mappings=mappings,
        ts_out=False,
        version=3,
    )
    return metadata.encode()


def encode_definitions(instruments: Sequence[FuturesInstrument], ts_recv: int) -> bytes:
    """Return definitions as of `ts_recv` (ns UTC): one an outright, one a leg of a spread."""
    known = {instrument.symbol: instrument for instrument in instruments}
    parts = []
    for instrument in instruments:
        if not instrument.legs:
            parts.append(_definition(instrument, ts_recv))
        for place, symbol in enumerate(instrument.legs):
            parts.append(_definition(instrument, ts_recv, place, known[symbol]))
    return b"".join(parts)


def _definition(
    instrument: FuturesInstrument,
    ts_recv: int,
    leg_index: int = 0,
    leg: FuturesInstrument | None = None,
) -> bytes:
    import databento_dbn as dbn

    spread = leg is not None
    ends = _moment(instrument.expiration)
    values: dict[str, Any] = {
        "publisher_id": _PUBLISHER,
        "instrument_id": instrument.instrument_id,
        "ts_event": ts_recv - 12_996_000_000_000,
        "ts_recv": ts_recv,
        "min_price_increment": instrument.tick_nano,
        "display_factor": 10_000_000,
        "raw_symbol": instrument.symbol,
        "asset": instrument.asset,
        "security_type": "FUT",
        "instrument_class": (
            dbn.InstrumentClass.FUTURE_SPREAD if spread else dbn.InstrumentClass.FUTURE
        ),
        "security_update_action": dbn.SecurityUpdateAction.ADD,
        "expiration": ends,
        "activation": ends - 455 * 86_400_000_000_000,
        "raw_instrument_id": instrument.instrument_id,
        "inst_attrib_value": 271_371 if spread else 270_351,
        "market_depth_implied": 0,
        "market_depth": 10,
        "market_segment_id": 64,
        "max_trade_vol": 3_000,
        "min_trade_vol": 1,
        "appl_id": 310,
        "maturity_year": instrument.expiration.year,
        "maturity_month": instrument.expiration.month,
        "channel_id": 0,
        "currency": "USD",
        "group": instrument.asset,
        "exchange": "XCME",
        "cfi": "FMIXSX" if spread else "FFIXSX",
        "unit_of_measure": "CTRCT" if spread else "IPNT",
        "match_algorithm": dbn.MatchAlgorithm.FIFO,
        "user_defined_instrument": dbn.UserDefinedInstrument.NO,
        "leg_side": dbn.Side.NONE,
    }
    if leg is None:
        point = instrument.point_value
        values["unit_of_measure_qty"] = point * _MULTIPLIER_NANO
        # As CME sends it: one hundredth of a tick's worth, because of the display factor.
        values["min_price_increment_amount"] = instrument.tick_nano * point // 100
    else:
        values |= {
            "secsubtype": "EQ",
            "leg_count": len(instrument.legs),
            "leg_index": leg_index,
            "leg_instrument_id": leg.instrument_id,
            "leg_raw_symbol": leg.symbol,
            "leg_instrument_class": dbn.InstrumentClass.FUTURE,
            "leg_side": dbn.Side.BID if leg_index == 0 else dbn.Side.ASK,
            "leg_ratio_qty_numerator": 1,
            "leg_ratio_qty_denominator": 1,
            "leg_ratio_price_numerator": 1,
            "leg_ratio_price_denominator": 1,
        }
    return bytes(dbn.InstrumentDefMsg(**values))


def _moment(day: date) -> int:
    settled = datetime.combine(day, _SETTLEMENT_UTC, UTC)
    return int(settled.timestamp()) * 1_000_000_000
