"""A compressed DBN file into the silver order tables of a lake, durably, its raw object included.

Floor: bare zstd decoding of the same file on one core, nothing done with the bytes. The size ratio
is that of both order tables to the file.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import zstandard
from made import INSTRUMENT, SESSION, peak_mb, result, timed

from tapemill.clock import SYSTEM_CLOCK
from tapemill.intake.orders import import_orders
from tapemill.lake import Lake
from tapemill.settings import default_settings
from tapemill.world.order_book import OrderBookSpec, OrderBookWorld

ROUNDS = 3


def bare(path: Path) -> int:
    buffer, size = bytearray(1 << 20), 0
    with path.open("rb") as file:
        reader = zstandard.ZstdDecompressor().stream_reader(file, read_size=1 << 17)
        while got := reader.readinto(buffer):
            size += got
    return size


def definitions(folder: Path) -> Path:
    path = folder / "definitions.dbn"
    spec = OrderBookSpec(instrument=INSTRUMENT, trade_dates=(SESSION,))
    OrderBookWorld(1, spec).write_definitions(path)
    return path


def land(path: Path, folder: Path) -> tuple[float, int, int]:
    """Seconds, records and bytes of both tables."""
    lake = Lake.open(folder / "lake", create=True)
    settings = default_settings()
    import_orders(lake, settings, SYSTEM_CLOCK, [definitions(folder)])
    took, report = timed(lambda: import_orders(lake, settings, SYSTEM_CLOCK, [path]))
    assert not report.unsound, report
    tables = ("silver.futures_events", "silver.futures_depth")
    size = sum(int(lake.tables.files(name)["size_bytes"].sum()) for name in tables)
    assert lake.tables.rows(tables[0]) == report.files[0].records
    return took, report.files[0].records, size


def main() -> None:
    claim, path = sys.argv[1], Path(sys.argv[2])
    print("import, s:")
    landed = []
    for number in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            landed.append(land(path, Path(folder)))
        if not number:
            peak = peak_mb()
    ours, records, size = min(landed)
    print("bare zstd, s:")
    floor, plain = timed(lambda: bare(path), ROUNDS)
    packed = path.stat().st_size
    print(f"{packed / records:.1f} bytes a record packed, {plain / packed:.1f} times as many plain")
    result(
        claim,
        records=records,
        ours=round(ours, 2),
        floor=round(floor, 2),
        floor_ratio=round(floor / ours, 2),
        plain_gb_s=round(plain / ours / 1e9, 2),
        bare_gb_s=round(plain / floor / 1e9, 2),
        size_ratio=round(size / packed, 2),
        peak_mb=peak,
    )


if __name__ == "__main__":
    main()
