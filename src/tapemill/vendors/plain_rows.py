"""The fastest way from a JSON array to columns, for rows of nothing but plain numbers.

Bars as the vendor sends them have the same keys in the same order in every row. Then what is left
of the text without its digits is one row's skeleton, repeated, which is compared byte by byte: no
other field, null, text, exponent or sign can hide in it. What is left without the keys are lines of
numbers that a CSV reader takes apart outside the interpreter's lock, at half the price of structs.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import polars as pl

from tapemill.vendors.struct_columns import POLARS_TYPES, Shape

__all__ = ["plain_columns"]

_DIGITS = b"0123456789."
_SEPARATORS = bytes.maketrans(b"[}", b",\n")
# Small enough that what is made of a piece is still in the cache when it is used.
_PIECE_BYTES = 1 << 20
_NUMBERS = {"number": pl.Float64(), "integer": pl.Int64()}


def plain_columns(array: msgspec.Raw, shape: Shape) -> pl.DataFrame | None:
    """Columns of an array of equally built rows of plain numbers, or None if it is not one.

    Parameters
    ----------
    array : msgspec.Raw
        Part of a document that was decoded: valid JSON, so a number needs no check of its form.
    shape : tuple of (str, Family, bool)
        Name, family and whether the field may be absent or null.

    Returns
    -------
    pl.DataFrame or None
        One column a field, in the order of `shape`; absent optional ones are null.
    """
    text = bytes(array)
    keys = _keys(text, shape)
    if not keys:
        return None
    families = {name: family for name, family, _ in shape}
    # Each line begins with the bracket or comma before its row: a column without values.
    schema = {"": pl.String(), **{key: _NUMBERS[families[key]] for key in keys}}
    row = b",{%b}" % b",".join(b'"%b":' % key.encode() for key in keys)
    names = bytes(set(row) - set(b",}"))
    frames = []
    for piece in _pieces(text):
        skeleton = piece.translate(None, _DIGITS)
        count = len(skeleton) // len(row)
        if skeleton[1:] != (row * count)[1:]:
            return None
        lines = piece.translate(_SEPARATORS, names)
        try:
            frame = pl.read_csv(lines, has_header=False, schema=schema)
        except pl.exceptions.ComputeError:  # an integer with decimals, or beyond 64 bits
            return None
        if frame.height != count or any(frame[key].null_count() for key in keys):
            return None
        frames.append(frame)
    absent = [
        pl.lit(None, dtype=POLARS_TYPES[family]).alias(name)
        for name, family, _ in shape
        if name not in keys
    ]
    return pl.concat(frames, rechunk=True).with_columns(absent).select(list(families))


def _pieces(text: bytes) -> Iterator[bytes]:
    """Slices of whole rows, each with the bracket or comma before its first one."""
    position, end = 0, len(text) - 1
    while position < end:
        cut = text.find(b"},", position + _PIECE_BYTES)
        cut = end if cut < 0 else cut + 1
        yield text[position:cut]
        position = cut


def _keys(text: bytes, shape: Shape) -> list[str]:
    """Keys of the first row, if they fit `shape` and their values can be plain numbers."""
    try:
        first = msgspec.json.decode(text[1 : text.find(b"}") + 1])
    except msgspec.DecodeError:
        return []
    if not isinstance(first, dict):
        return []
    numeric = {name for name, family, _ in shape if family in _NUMBERS}
    required = {name for name, _, optional in shape if not optional}
    return list(first) if required <= first.keys() <= numeric else []
