"""The vendor's own client against the sandbox."""

from __future__ import annotations

import base64
import datetime as dt
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tapemill.errors import (
    BadAnswerError,
    ConfigError,
    NotEntitledError,
    RateLimitedError,
    UsageError,
    VendorFaultError,
)
from tapemill.secrets import Secret
from tapemill.settings.declaration import DatabentoSettings
from tapemill.vendors.databento import DbnFile, _library
from tapemill.vendors.databento.client import FuturesRequest, cost_of, dataset_range, download
from tapemill.world import SANDBOX_KEY, Call, Fault, Market, Sandbox, SandboxThread
from vendors.databento.made import head, mapping, mbo_records, packed

DAY = 86_400 * 10**9
START = 1_704_153_600 * 10**9  # 2024-01-02
DAYS = [dt.date(2024, 1, day) for day in (2, 3, 4)]
COUNT = 300


def orders(day: int) -> np.ndarray:
    """Orders of two contracts over a day."""
    records = mbo_records(COUNT, seed=day)
    records["instrument_id"] = np.where(np.arange(COUNT) % 3 == 0, 202, 101)
    records["ts_recv"] = START + day * DAY + np.arange(COUNT) * (DAY // COUNT)
    records["action"], records["side"] = ord("A"), ord("B")
    return records


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of orders: one packed, one plain."""
    where = tmp_path_factory.mktemp("vendor")
    for day in (0, 1):
        table = [
            mapping(symbol, (DAYS[day], DAYS[day + 1], number))
            for symbol, number in (("ESH4", "101"), ("ESM4", "202"))
        ]
        span = {"start": START + day * DAY, "end": START + (day + 1) * DAY}
        data = head(mappings=table, **span) + orders(day).tobytes()
        name = f"day{day}.dbn.zst" if day == 0 else f"day{day}.dbn"
        (where / name).write_bytes(packed(data) if day == 0 else data)
    return where


@pytest.fixture(scope="module")
def sandbox(folder: Path) -> Iterator[SandboxThread]:
    start, end = dt.date(2024, 1, 2), dt.date(2024, 1, 5)
    market = Market(1, symbols=1, start=start, end=end)
    served = Sandbox(market, now_ns=START + 3 * DAY, dbn_folder=folder, licensed=("GLBX.MDP3",))
    with SandboxThread(served) as thread:
        yield thread


@pytest.fixture
def settings(sandbox: SandboxThread) -> Iterator[DatabentoSettings]:
    yield DatabentoSettings(
        base_url=sandbox.base_url,
        api_key=Secret(SANDBOX_KEY, "databento.api_key"),
        timeout_seconds=1.0,
    )
    sandbox.sandbox.faults.replace([])


def request(**changes: Any) -> FuturesRequest:
    options: dict[str, Any] = {
        "dataset": "GLBX.MDP3",
        "schema": "mbo",
        "symbols": ("ESH4",),
        "start_ns": START,
        "end_ns": START + 2 * DAY,
    }
    return FuturesRequest(**{**options, **changes})


def test_a_download_holds_exactly_what_was_asked(
    settings: DatabentoSettings, tmp_path: Path
) -> None:
    path = tmp_path / "esh4.mbo.dbn.zst"
    done = download(settings, request(end_ns=START + DAY + DAY // 2), path)
    assert (done.path, done.size, done.warnings) == (path, path.stat().st_size, ())
    whole = np.concatenate([orders(0), orders(1)])
    kept = (whole["instrument_id"] == 101) & (whole["ts_recv"] < START + DAY + DAY // 2)
    with DbnFile.open(path) as file:
        assert file.metadata.symbols == ("ESH4",)
        assert file.metadata.end_ns == START + DAY + DAY // 2
        assert file.symbol_of(101, START + DAY) == "ESH4"
        found = b"".join(chunk.records.tobytes() for chunk in file.chunks())
        assert file.fault is None
    assert found == whole[kept].tobytes()
    assert sorted(tmp_path.iterdir()) == [path]
    with pytest.raises(UsageError, match="exists already"):
        download(settings, request(), path)


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({"symbols": ("ALL_SYMBOLS",)}, 2 * COUNT),
        ({"symbols": ("ES.FUT",), "stype_in": "parent"}, 2 * COUNT),
        ({"symbols": ("202",), "stype_in": "instrument_id"}, 2 * COUNT // 3),
        ({"start_ns": START + DAY, "end_ns": START + DAY + 1}, 0),
        ({"symbols": ("ESM4",), "end_ns": START + DAY}, COUNT // 3),
    ],
)
def test_symbols_and_ranges(
    settings: DatabentoSettings, tmp_path: Path, changes: dict[str, Any], count: int
) -> None:
    done = download(settings, request(**changes), tmp_path / "some.dbn.zst")
    with DbnFile.open(done.path) as file:
        assert sum(len(chunk.records) for chunk in file.chunks()) == count


def test_cost_and_range_are_known_beforehand(settings: DatabentoSettings) -> None:
    assert cost_of(settings, request(symbols=("ALL_SYMBOLS",))) == 2 * COUNT * 56 / 2**30
    assert dataset_range(settings, "GLBX.MDP3") == {
        "start": "2024-01-02T00:00:00.000000000Z",
        "end": "2024-01-04T00:00:00.000000000Z",
        "schema": {
            "mbo": {
                "start": "2024-01-02T00:00:00.000000000Z",
                "end": "2024-01-04T00:00:00.000000000Z",
            }
        },
    }


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (Fault(kind="storm_429", options={"seconds": 7}), RateLimitedError, "429"),
        (Fault(kind="error_5xx"), VendorFaultError, "503"),
        (Fault(kind="error_5xx", options={"status": 504}), VendorFaultError, "timed out"),
        (Fault(kind="timeout", options={"seconds": 2.0}), VendorFaultError, "broke"),
        (Fault(kind="reset"), VendorFaultError, "broke"),
        (Fault(kind="cut_transfer"), VendorFaultError, "broke"),
        (Fault(kind="truncated_json"), VendorFaultError, "inside a frame"),
        (Fault(kind="truncated_json", options={"keep_frac": 0.0}), VendorFaultError, "nothing"),
        (Fault(kind="html_body"), BadAnswerError, "no DBN file"),
        (Fault(kind="ok_with_error_body"), BadAnswerError, "no DBN file"),
    ],
)
def test_faults_of_the_wire_become_our_errors(
    settings: DatabentoSettings,
    sandbox: SandboxThread,
    tmp_path: Path,
    fault: Fault,
    error: type[Exception],
    words: str,
) -> None:
    sandbox.sandbox.faults.replace([fault])
    with pytest.raises(error, match=words) as caught:
        download(settings, request(), tmp_path / "some.dbn.zst")
    assert list(tmp_path.iterdir()) == []
    if isinstance(caught.value, RateLimitedError):
        assert caught.value.retry_after == 7.0
    sandbox.sandbox.faults.replace([])
    assert download(settings, request(), tmp_path / "some.dbn.zst").size > 0


def test_an_answer_that_is_no_json_is_not_believed(
    settings: DatabentoSettings, sandbox: SandboxThread
) -> None:
    sandbox.sandbox.faults.replace(["html_body"])
    with pytest.raises(BadAnswerError, match="no JSON"):
        cost_of(settings, request())
    sandbox.sandbox.faults.replace(["ok_with_error_body"])
    with pytest.raises(BadAnswerError, match="a cost of"):
        cost_of(settings, request())
    with pytest.raises(BadAnswerError, match="a range of"):
        dataset_range(settings, "GLBX.MDP3")


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"dataset": "XNAS.ITCH"}, NotEntitledError, "license"),
        ({"symbols": ("NOPE",)}, UsageError, "symbols could be resolved"),
        ({"schema": "trades"}, UsageError, "mbo"),
        ({"schema": "mpo"}, UsageError, "schema"),
        ({"end_ns": START}, UsageError, "start is not before end"),
        ({"start_ns": START + 9 * DAY, "end_ns": START + 10 * DAY}, UsageError, "after"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_with_its_reason(
    settings: DatabentoSettings,
    tmp_path: Path,
    changes: dict[str, Any],
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        download(settings, request(**changes), tmp_path / "some.dbn.zst")
    assert list(tmp_path.iterdir()) == []


def test_keys_are_needed_right_and_never_shown(
    settings: DatabentoSettings, sandbox: SandboxThread, tmp_path: Path
) -> None:
    path = tmp_path / "some.dbn.zst"
    with pytest.raises(ConfigError) as unset:
        download(DatabentoSettings(base_url=sandbox.base_url), request(), path)
    assert "DATABENTO_API_KEY" in unset.value.next_step
    wrong = DatabentoSettings(
        base_url=sandbox.base_url, api_key=Secret("db-canary-0815", "databento.api_key")
    )
    with pytest.raises(NotEntitledError, match="Authentication failed") as refused:
        download(wrong, request(), path)
    assert "canary" not in str(refused.value) + repr(wrong)


def test_the_sandbox_wants_the_key_as_the_user_of_basic_authentication(
    sandbox: SandboxThread,
) -> None:
    def status(header: str) -> int:
        call = Call(
            "GET",
            "/v0/metadata.get_dataset_range",
            {"dataset": "GLBX.MDP3"},
            {"authorization": header},
        )
        return sandbox.sandbox.exchange(call).status

    coded = base64.b64encode(f"{SANDBOX_KEY}:".encode()).decode()
    assert status(f"Basic {coded}") == 200
    assert status(f"Bearer {coded}") == status("Basic %%%") == status("") == 401
    assert sandbox.sandbox.calls.count("databento") >= 4


def test_without_the_client_the_way_out_is_named(
    settings: DatabentoSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "databento", None)
    _library.client_library.cache_clear()
    with pytest.raises(UsageError) as caught:
        download(settings, request(), tmp_path / "some.dbn.zst")
    _library.client_library.cache_clear()
    assert caught.value.next_step == 'pip install "tapemill[databento]"'
