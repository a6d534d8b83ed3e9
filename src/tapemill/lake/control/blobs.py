"""How a year of cells lies in the database: one slot per day of the year, with a checksum."""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from tapemill.errors import CorruptError

__all__ = ["SLOTS", "blob_crc", "decode_counts", "encode_counts", "require_sound"]

SLOTS = 366
"""Slots of a year's blob: day of the year from 0, so no calendar is needed to read it."""

_ROWS_BYTES = SLOTS * 4
_FAST = 1


def blob_crc(dataset: str, symbol: str, year: int, blob: bytes) -> int:
    """CRC-32 over a blob and its place, so that a blob in a wrong row is found as well."""
    place = f"{dataset}/{symbol}/{year}".encode("utf-8", "surrogateescape")
    return zlib.crc32(blob, zlib.crc32(place))


def require_sound(dataset: str, symbol: str, year: int, blob: bytes, crc: int) -> None:
    """Verify the blob of one year before anything is read from it.

    Raises
    ------
    CorruptError
        The blob differs from its checksum; the message names dataset, symbol and year.
    """
    if not isinstance(blob, bytes) or blob_crc(dataset, symbol, year, blob) != crc:
        raise CorruptError(
            f"the ledger of {dataset} {symbol} {year} differs from its checksum",
            where=f"ledger {dataset}/{symbol}/{year}",
            next_step="run `tapemill verify`, then restore the control state from a backup",
        )


def encode_counts(rows: npt.NDArray[np.uint32], versions: npt.NDArray[np.uint16]) -> bytes:
    """Rows and versions of one year, compressed: they repeat themselves."""
    plain = rows.astype("<u4").tobytes() + versions.astype("<u2").tobytes()
    return zlib.compress(plain, _FAST)


def decode_counts(blob: bytes) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint16]]:
    """Rows [366] and versions [366] of a blob that is known to be sound."""
    plain = zlib.decompress(blob)
    rows = np.frombuffer(plain[:_ROWS_BYTES], dtype="<u4").astype(np.uint32)
    versions = np.frombuffer(plain[_ROWS_BYTES:], dtype="<u2").astype(np.uint16)
    return rows, versions
