"""Laws of the house that a machine can watch: seams, locks, start-up, public names."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

CLOCK_READS = [
    "import time\n\n\ndef now() -> float:\n    return time.time()\n",
    "import time\n\n\ndef now() -> int:\n    return time.time_ns()\n",
    "from time import monotonic\n\n\ndef now() -> float:\n    return monotonic()\n",
    "import datetime\n\n\ndef now() -> object:\n    return datetime.datetime.now(datetime.UTC)\n",
    "import datetime as dt\n\n\ndef today() -> object:\n    return dt.date.today()\n",
    "import asyncio\n\n\nasync def wait() -> None:\n    await asyncio.sleep(1)\n",
]


def ruff(repo_root: Path, source: str, name: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--stdin-filename", name, "-"],
        input=source,
        capture_output=True,
        text=True,
        cwd=repo_root,
        check=False,
    )
    return done.stdout


@pytest.mark.parametrize("source", CLOCK_READS)
def test_reading_the_wall_clock_inside_the_pipeline_fails_lint(
    repo_root: Path, source: str
) -> None:
    assert "TID251" in ruff(repo_root, source, "src/tapemill/refine/made_up.py")
    assert "TID251" not in ruff(repo_root, source, "src/tapemill/clock/injected.py")


def test_a_broad_except_fails_lint(repo_root: Path) -> None:
    source = "def read() -> None:\n    try:\n        print\n    except Exception:\n        return\n"
    assert "BLE001" in ruff(repo_root, source, "src/tapemill/refine/made_up.py")


def test_locks_hold_hashes_and_no_addresses(repo_root: Path) -> None:
    for lock in sorted((repo_root / "requirements").glob("*.lock")):
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text, lock.name
        pins = re.findall(r"^[a-z0-9][\w.\-]*(?:\[[^\]]*\])?==", text, flags=re.MULTILINE)
        assert pins, lock.name
        assert text.count("--hash=sha256:") >= len(pins), lock.name


def test_importing_the_package_loads_nothing_heavy() -> None:
    probe = (
        "import sys, tapemill\n"
        "heavy = {'polars', 'deltalake', 'duckdb', 'matplotlib', 'plotly', 'sqlalchemy', 'numba'}\n"
        "print(sorted(heavy & set(sys.modules)), tapemill.Lake.__name__, 'polars' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] Lake True"


def test_no_machine_path_stands_in_the_sources(repo_root: Path) -> None:
    pattern = re.compile(r"/(?:root|work|home)/\w|pythonhosted|pypi\.org/simple")
    for path in [
        *repo_root.glob("src/**/*.py"),
        *repo_root.glob("docs/*.md"),
        repo_root / "README.md",
    ]:
        assert not pattern.search(path.read_text(encoding="utf-8")), path.name


def test_only_the_root_and_the_clock_are_public_at_the_top() -> None:
    import tapemill

    assert tapemill.__all__ == ["Lake", "__version__"]
    with pytest.raises(AttributeError, match="Leak"):
        tapemill.Leak  # noqa: B018
