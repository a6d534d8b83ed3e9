"""Plain DBN to features of levels: `tapemill.levels.file_day`, nothing kept on disk.

Peer: the vendor's `DBNStore.to_ndarray` alone, which only decodes, on a smaller session, scaled by
records. Floor: every byte of the mapped file read once.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from made import count, inputs, peak_mb, result, timed

from tapemill.levels.file_day import file_day
from tapemill.settings import default_settings


def main() -> None:
    claim, path, part = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    settings, given = default_settings().levels, inputs()
    print("file to features, s:")
    ours, day = timed(lambda: file_day(path, given, settings), 3)
    peak, records = peak_mb(), count(path)
    decisions, levels = day.features.height, day.levels.height
    print(f"{records:,} records, {levels} levels, {decisions} decisions")
    del day

    words = np.memmap(path, np.uint8, "r")
    mapped = words[: len(words) // 8 * 8].view(np.int64)
    print("every byte read once, s:")
    floor, _ = timed(mapped.max, 3)

    import databento

    print("peer, s:")
    theirs, array = timed(lambda: databento.DBNStore.from_file(part).to_ndarray(), 3)
    theirs *= records / len(array)
    result(
        claim,
        records=records,
        ours=round(ours, 2),
        million_records_s=round(records / ours / 1e6, 2),
        peer=round(theirs, 2),
        ratio=round(theirs / ours, 1),
        floor_ratio=round(floor / ours, 2),
        peer_records=len(array),
        peak_mb=peak,
    )


if __name__ == "__main__":
    main()
