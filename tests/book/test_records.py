"""The layouts of records are the vendor's own."""

from __future__ import annotations

import databento_dbn
import numpy as np
import pytest

from tapemill.book import records

PAIRS = [
    (records.MBO, databento_dbn.MBOMsg),
    (records.MBP_10, databento_dbn.MBP10Msg),
    (records.MBP_1, databento_dbn.MBP1Msg),
    (records.TBBO, databento_dbn.MBP1Msg),
    (records.TRADE, databento_dbn.TradeMsg),
    (records.OHLCV, databento_dbn.OHLCVMsg),
]


def flat(dtype: np.dtype) -> dict[str, tuple[int, int]]:
    """Field → (offset, bytes), ladders spelled out as the vendor does."""
    fields = {}
    for name in dtype.names:
        kind, offset = dtype.fields[name][:2]
        if name != "levels":
            fields[name] = (offset, kind.itemsize)
            continue
        for level in range(kind.shape[0]):
            for inner, (of, at) in kind.base.fields.items():
                at += offset + level * kind.base.itemsize
                fields[f"{inner}_{level:02d}"] = (at, of.itemsize)
    return fields


@pytest.mark.parametrize(("ours", "vendors"), PAIRS)
def test_every_field_lies_where_the_vendor_puts_it(ours, vendors):
    theirs = np.dtype(vendors._dtypes)
    assert flat(ours) == flat(theirs)
    assert ours.itemsize == theirs.itemsize


def test_no_field_mixes_signs_in_64_bits():
    """Compiled code makes a float of u8 and i8: a price must never become one."""
    for ours, _ in PAIRS:
        kinds = [ours.fields[name][0].base for name in ours.names if name != "levels"]
        assert not [kind for kind in kinds if kind == np.uint64]
