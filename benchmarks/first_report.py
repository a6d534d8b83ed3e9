"""From an empty folder to the demo's report, environment already built: at most 90 s.

Whole process: sandbox, HTTP, lake, build, check and report. There is no peer that does the same;
`ratio` is the limit divided by ours.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT_SECONDS = 90.0


def main() -> None:
    """Run the demo once and print what it took."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "tapemill", "demo", "--folder", f"{folder}/demo", "--json"],
            check=True,
            capture_output=True,
            text=True,
        )
        ours = time.perf_counter() - start
        facts = json.loads(done.stdout.splitlines()[-1])
        if not Path(facts["report"]).is_file():
            raise SystemExit("the demo left no report")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    result = {
        "name": "first_report",
        "ours": round(ours, 2),
        "limit": LIMIT_SECONDS,
        "ratio": round(LIMIT_SECONDS / ours, 3),
        "peak_mb": round(peak, 1),
    }
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    main()
