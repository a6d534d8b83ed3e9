"""Every claim of order data and levels in one run: each part prints its own RESULT lines.

- level_features, level_features_mbo: plain DBN to features of levels (`tape_parts/features.py`)
- zst_to_silver, zst_to_silver_mbo: a compressed file into a lake (`tape_parts/landing.py`)
- day_end_to_end: import, then gold.episodes of the date (`tape_parts/whole.py`)
- incremental: a live date, record by record, 40 levels (`tape_parts/live.py`)

A session of made order flow is written to a temporary folder first. Each part is a process of its
own, so that one's memory is not the other's peak, and runs once on a small session before, so that
no compiler is measured. Peers run on a smaller session and are scaled by records where it says so.

Run: python benchmarks/tape.py [claim …] [--records N] [--full]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tapemill.world.order_book import write_day

CLAIMS = {
    "level_features": ("features.py", "mbp-10", "dbn"),
    "level_features_mbo": ("features.py", "mbo", "dbn"),
    "zst_to_silver": ("landing.py", "mbp-10", "dbn.zst"),
    "zst_to_silver_mbo": ("landing.py", "mbo", "dbn.zst"),
    "day_end_to_end": ("whole.py", "mbp-10", "dbn.zst"),
    "incremental": ("live.py", "mbp-10", "dbn"),
}
USUAL, FULL = 5_000_000, 20_000_000
SMALL = 60_000
SLICES = {"features.py": 2_000_000, "whole.py": 500_000}
"""Records of the session that peers are measured on."""


def made(folder: Path, schema: str, ending: str, records: int) -> Path:
    path = folder / f"{schema}-{records}.{ending}"
    if not path.exists():
        write_day(path, schema, records)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("claims", nargs="*", choices=[[], *CLAIMS], default=[])
    parser.add_argument("--records", type=int, default=USUAL)
    parser.add_argument("--full", action="store_true", help=f"{FULL:,} records")
    parser.add_argument("--folder", type=Path, help="keep the made files here and use them again")
    asked = parser.parse_args()
    records = FULL if asked.full else asked.records
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        for claim in asked.claims or CLAIMS:
            script, schema, ending = CLAIMS[claim]
            print(f"== {claim}", flush=True)
            run = [sys.executable, "-W", "ignore", Path(__file__).parent / "tape_parts" / script]
            small, part, whole = (
                made(folder, schema, ending, min(count, records))
                for count in (SMALL, SLICES.get(script, SMALL), records)
            )
            subprocess.run([*run, claim, small, small], check=True, stdout=subprocess.DEVNULL)
            subprocess.run([*run, claim, whole, part], check=True)


if __name__ == "__main__":
    main()
