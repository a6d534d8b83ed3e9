"""Fixtures and switches that every test folder shares."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

REPO_ROOT = Path(__file__).resolve().parents[1]

settings.register_profile(
    "tapemill",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("tapemill")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="also run the long versions")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--soak"):
        return
    skip = pytest.mark.skip(reason="long version: run `make soak`")
    for item in items:
        if "soak" in item.keywords:
            item.add_marker(skip)


def require_data(folder: Path, environment: dict[str, str]) -> Path:
    """`folder` if it is there; skip, or fail where the environment says it must be there."""
    if folder.is_dir():
        return folder.resolve()
    reason = f"no test data at {folder}: set TAPEMILL_TEST_DATA to the folder that holds it"
    required = environment.get("TAPEMILL_REQUIRE_DATA") == "1"
    if required and environment.get("CI", "").lower() == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """Folder of the checkout."""
    return REPO_ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real test data; read only, never copied into the project."""
    named = os.environ.get("TAPEMILL_TEST_DATA")
    folder = Path(named) if named else REPO_ROOT.parent / "shared" / "data"
    return require_data(folder, dict(os.environ))


@pytest.fixture(autouse=True)
def _secrets_of_this_test_only() -> Iterator[None]:
    """Forget afterwards the secrets a test made: "word" as a key would mask every later "word"."""
    from tapemill import secrets

    registry = secrets._REGISTRY
    spellings, pattern = set(registry._spellings), registry._pattern
    yield
    registry._spellings, registry._pattern = spellings, pattern
