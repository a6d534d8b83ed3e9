"""Thrift's compact protocol, as far as Parquet's metadata need it.

Values are Python's: a `Struct` is a dict of field number → value, in ascending order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["I8", "I32", "I64", "Value", "encoded", "varint"]

_TRUE, _FALSE, _BYTE, _I32, _I64, _BINARY, _LIST, _STRUCT = 1, 2, 3, 5, 6, 8, 9, 12


class I8(int):
    """An 8-bit number."""


class I32(int):
    """A 32-bit number, or an enumeration."""


class I64(int):
    """A 64-bit number."""


Value = bool | I8 | I32 | I64 | bytes | Sequence["Value"] | Mapping[int, "Value"]


def varint(number: int) -> bytes:
    """A number that is not negative, seven bits a byte."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _zigzag(number: int) -> bytes:
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def _kind(value: Value) -> int:
    if isinstance(value, bool):
        return _TRUE if value else _FALSE
    kinds = ((I8, _BYTE), (I32, _I32), (I64, _I64), (bytes, _BINARY), (Mapping, _STRUCT))
    return next((kind for python, kind in kinds if isinstance(value, python)), _LIST)


def encoded(value: Value) -> bytes:
    """The bytes of a value."""
    if isinstance(value, bool):
        return b""  # it is in its field's header
    if isinstance(value, I8):
        return bytes([value & 0xFF])
    if isinstance(value, int):
        return _zigzag(value)
    if isinstance(value, bytes):
        return varint(len(value)) + value
    if isinstance(value, Mapping):
        return _struct(value)
    head = _kind(value[0]) if value else _STRUCT
    size = len(value)
    start = bytes([size << 4 | head]) if size < 15 else bytes([0xF0 | head]) + varint(size)
    return start + b"".join(encoded(one) for one in value)


def _struct(fields: Mapping[int, Value]) -> bytes:
    found, before = bytearray(), 0
    for number, value in fields.items():
        found.append((number - before) << 4 | _kind(value))
        found += encoded(value)
        before = number
    found.append(0)
    return bytes(found)
