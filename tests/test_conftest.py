"""The switches of the test run itself."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from hypothesis import settings

from conftest import require_data


def test_missing_data_skips_unless_the_run_promises_it(tmp_path) -> None:
    missing = tmp_path / "none"
    for environment in ({}, {"CI": "true"}, {"TAPEMILL_REQUIRE_DATA": "1"}):
        with pytest.raises(pytest.skip.Exception, match="set TAPEMILL_TEST_DATA"):
            require_data(missing, environment)
    with pytest.raises(pytest.fail.Exception, match="set TAPEMILL_TEST_DATA"):
        require_data(missing, {"CI": "true", "TAPEMILL_REQUIRE_DATA": "1"})
    assert require_data(tmp_path, {}) == tmp_path.resolve()


def test_hypothesis_searches_the_same_way_each_time() -> None:
    profile = settings()
    assert (profile.derandomize, profile.deadline, profile.database) == (True, None, None)


@pytest.mark.parametrize(
    ("option", "expected"), [((), "1 passed, 1 skipped"), (("--soak",), "2 p")]
)
def test_soak_runs_only_when_asked(tmp_path, repo_root, option, expected: str) -> None:
    shutil.copy(repo_root / "tests" / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = soak: long\n")
    (tmp_path / "test_it.py").write_text(
        "import pytest\n@pytest.mark.soak\ndef test_long(): pass\ndef test_short(): pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *option],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert expected in done.stdout
