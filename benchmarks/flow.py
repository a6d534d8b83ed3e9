"""Every claim of off-exchange flow in one run: each part prints its own RESULT lines.

- scan: 12,000 symbols × 500 evenings against vectorised pandas (`flow_parts/scan.py`)
- build: the same from a lake to committed gold, and one evening's lists (`flow_parts/build.py`)
- classify: 1 million trades against 10 million quotes, pandas merge_asof (`flow_parts/classify.py`)
- report: 60 names × 250 sessions (`flow_parts/pages.py`)

Each part is a process of its own, so that one's memory is not the other's peak.

Run: python benchmarks/flow.py [scan] [build] [classify] [report]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PARTS = ("scan", "build", "classify", "report")
SCRIPTS = {"report": "pages.py"}
"""Where the script's own name would hide the tests' package of that name."""


def main() -> None:
    wanted = sys.argv[1:] or PARTS
    unknown = set(wanted) - set(PARTS)
    if unknown:
        sys.exit(f"unknown parts: {', '.join(sorted(unknown))}; known: {', '.join(PARTS)}")
    for name in wanted:
        print(f"== {name}", flush=True)
        script = Path(__file__).parent / "flow_parts" / SCRIPTS.get(name, f"{name}.py")
        subprocess.run([sys.executable, "-W", "ignore", script], check=True)


if __name__ == "__main__":
    main()
