"""`tapemill --help` starts in at most 0.25 s and loads neither polars nor numba.

The peer is the interpreter importing polars alone: what a careless start would cost.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

RUNS = 11
PROBE = (
    "import sys\n"
    "from tapemill.cli import main\n"
    "try:\n    main(['--help'])\n"
    "except SystemExit:\n    pass\n"
    "heavy = {'polars', 'numba', 'deltalake', 'duckdb', 'matplotlib', 'plotly', 'sqlalchemy'}\n"
    "print('HEAVY', sorted(heavy & set(sys.modules)))\n"
)


def seconds(command: list[str]) -> float:
    """Median wall seconds of a whole process."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    """Measure and print."""
    output = subprocess.run(
        [sys.executable, "-c", PROBE], check=True, capture_output=True, text=True
    ).stdout
    heavy = json.loads(output.rsplit("HEAVY ", 1)[1].replace("'", '"'))
    ours = seconds([sys.executable, "-m", "tapemill", "--help"])
    peer = seconds([sys.executable, "-c", "import polars"])
    result = {
        "name": "help_time",
        "ours": round(ours, 4),
        "peer": round(peer, 4),
        "ratio": round(peer / ours, 3),
        "limit": 0.25,
        "heavy_modules": heavy,
    }
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    main()
