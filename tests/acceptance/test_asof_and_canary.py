"""The future never changes an earlier read, and a key never shows where it does not belong."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import zstandard
from polars.testing import assert_frame_equal

from acceptance.refinery import DAYS, LAST, MINUTES, NOW, SHORTS, Refinery
from tapemill.clock import eastern_ns
from tapemill.contracts import contract
from tapemill.lake import Lake
from tapemill.world import Fault, Market, Reply, Sandbox, SandboxThread

pytestmark = pytest.mark.acceptance

# -- as of ---------------------------------------------------------------------------------------

START = date(2026, 1, 5)
CUTS = 1_000
FUTURES = 12
EVENTS = "reference.adjustments"
SYMBOLS = ["NVDA", "GNUS", "KO"]
READS = [
    (MINUTES, None),
    (MINUTES, "split"),
    (MINUTES, "total_return"),
    (DAYS, None),
    (DAYS, "split"),
    (DAYS, "total_return"),
    (SHORTS, None),
    (EVENTS, None),
]
UTC_US = pl.Datetime("us", "UTC")


def moment(day: date, hour: int) -> datetime:
    return datetime.fromtimestamp(eastern_ns(day, hour) / 1e9, UTC)


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """Fetched in three stages with late and revised rows, both splits and all dividends.

    Returns the folders of the lake as it stood after each stage, and the stages' moments.
    """
    folder = tmp_path_factory.mktemp("asof")
    market = Market(7, symbols=["SPY", *SYMBOLS], start=START, end=LAST)
    faults = [
        Fault(
            kind="late_data",
            symbols=["KO", "NVDA"],
            sessions=[date(2026, 1, 14), date(2026, 1, 22)],
        ),
        Fault(
            kind="revised_data",
            symbols=["KO", "GNUS", "NVDA"],
            sessions=[date(2026, 1, 15), date(2026, 1, 23)],
        ),
    ]
    stages = [date(2026, 1, 20), date(2026, 1, 27), date(2026, 2, 9)]
    copies = []
    with Refinery(folder, market) as place:
        for stage in stages:
            place.at(eastern_ns(stage, 9))
            place.sandbox.faults.replace(faults)
            end = stage - timedelta(days=1)
            lanes = ("bars_1m", "bars_1d", "splits", "dividends", "short_volume")
            place.fetch(*lanes, symbols=SYMBOLS, start=START, end=end, again=True)
            place.build()
            copies.append(folder / f"after-{stage}")
            shutil.copytree(folder / "lake", copies[-1])
    return copies, [moment(stage, 9) for stage in stages]


@pytest.fixture(scope="module")
def whole(history):
    lake = Lake.open(history[0][-1])
    yield lake
    lake.close()


def read(lake, what, cut, symbol):
    dataset, adjust = what
    frame = lake.scan(dataset, [symbol], as_of=cut, adjust=adjust, strict_symbols=False).collect()
    return frame.sort(frame.columns[:3])


def test_the_history_holds_what_the_cuts_are_to_be_tried_on(whole):
    """Late rows, restated rows, splits and dividends: without them the test would prove nothing."""
    bars = whole.tables.scan(MINUTES).collect()
    assert bars.filter(pl.col("version") == 2).height > 30
    late = (pl.col("version") == 1) & (pl.col("known_at") - pl.col("ts") > pl.duration(days=1))
    assert bars.filter(late).height > 60
    events = whole.tables.scan(EVENTS).collect()
    assert {"split", "dividend"} <= set(events["kind"])
    assert {"NVDA", "GNUS"} <= set(events.filter(pl.col("kind") == "split")["symbol"])
    assert whole.tables.scan(SHORTS).filter(pl.col("version") == 2).collect().height > 0


def without_future(frame: pl.DataFrame, cut: datetime) -> pl.DataFrame:
    """Rows after the cut never came, so nothing that they replaced was ever replaced."""
    return frame.filter(pl.col("known_at") <= cut).with_columns(
        superseded_at=pl.when(pl.col("superseded_at") <= cut).then("superseded_at")
    )


def permuted_future(frame: pl.DataFrame, cut: datetime, rng: np.random.Generator) -> pl.DataFrame:
    """Values of the rows after the cut, dealt out anew."""
    past, future = (frame.filter(test) for test in (_past(cut), ~_past(cut)))
    values = [
        name for name in ("open", "close", "volume", "short_volume", "split_to") if name in frame
    ]
    order = rng.permutation(future.height)
    return pl.concat([past, future.with_columns(future.select(values)[order])])


def added_future(frame: pl.DataFrame, cut: datetime, rng: np.random.Generator) -> pl.DataFrame:
    """More rows after the cut: restatements of the past, wildly different."""
    past = frame.filter(_past(cut) & pl.col("superseded_at").is_null())
    few = past[np.sort(rng.choice(past.height, min(past.height, 40), replace=False)).tolist()]
    came = pl.lit(cut, dtype=UTC_US) + pl.duration(seconds=int(rng.integers(1, 90_000)))
    values = [n for n in ("open", "high", "low", "close", "short_volume", "split_to") if n in frame]
    news = few.with_columns(
        (pl.col(values).cast(pl.Float64) * 3).cast(pl.Float64),
        known_at=came.cast(UTC_US),
        version=(pl.col("version") + 5).cast(pl.Int16),
    ).cast({name: frame.schema[name] for name in values})
    keys = few.select("raw_sha256", "ordinal", "symbol", _touched=pl.lit(value=True))
    marked = frame.join(
        keys, on=["raw_sha256", "ordinal", "symbol"], how="left", maintain_order="left"
    ).with_columns(
        superseded_at=pl.when(pl.col("_touched") & pl.col("superseded_at").is_null())
        .then(came.cast(UTC_US))
        .otherwise("superseded_at")
    )
    return pl.concat([marked.drop("_touched"), news])


def _past(cut: datetime) -> pl.Expr:
    return pl.col("known_at") <= cut


def test_a_thousand_cuts_do_not_see_the_future(history, whole, tmp_path):
    """Rows after a cut are deleted, permuted or added to; no read up to the cut may notice."""
    rng = np.random.default_rng(20260209)
    first, last = moment(date(2026, 1, 8), 9), moment(LAST, 20)
    span = int((last - first).total_seconds())
    stored = {name: whole.tables.scan(name).collect() for name in (MINUTES, DAYS, SHORTS, EVENTS)}
    compared = seen = noticed = 0
    for number in range(FUTURES):
        # Later cuts leave the earlier ones more room: each is tried on its own past.
        border = first + timedelta(seconds=int(rng.integers(span // 4, span)))
        folder = tmp_path / f"future-{number}"
        shutil.copytree(history[0][-1], folder)
        other = Lake.open(folder)
        for name, frame in stored.items():
            if number % 3 == 0:
                changed = without_future(frame, border)
            elif number % 3 == 1:
                changed = permuted_future(frame, border, rng)
            else:
                changed = added_future(frame, border, rng)
            if name == EVENTS and changed.is_empty():
                continue
            other.tables.replace(name, contract(name).conform(changed), writer=f"future-{number}")
        room = int((border - first).total_seconds())
        for _ in range(-(-CUTS // FUTURES)):
            cut = first + timedelta(seconds=int(rng.integers(0, room + 1)))
            what = READS[int(rng.integers(len(READS)))]
            symbol = SYMBOLS[int(rng.integers(len(SYMBOLS)))]
            ours, theirs = (read(lake, what, cut, symbol) for lake in (whole, other))
            assert_frame_equal(ours, theirs, check_exact=True)
            compared += 1
            seen += not ours.is_empty()
        # After the border the change is there to be seen, or nothing was put to the test.
        told = last + timedelta(days=30)
        noticed += not all(
            read(whole, (name, None), told, "KO").equals(read(other, (name, None), told, "KO"))
            for name in (MINUTES, SHORTS)
        )
        other.close()
    assert compared >= CUTS
    assert noticed == FUTURES
    assert seen > 0.7 * compared


def test_what_came_in_later_fetches_changes_no_earlier_read(history, whole):
    """The same through the whole path: each stage's lake against the last one's."""
    copies, moments = history
    rng = np.random.default_rng(7)
    first = moment(date(2026, 1, 8), 9)
    for copy, now in zip(copies[:-1], moments[:-1], strict=True):
        then = Lake.open(copy)
        for _ in range(60):
            room = int((now - first).total_seconds())
            cut = first + timedelta(seconds=int(rng.integers(0, room + 1)))
            what = READS[int(rng.integers(len(READS)))]
            symbol = SYMBOLS[int(rng.integers(len(SYMBOLS)))]
            ours, theirs = (read(lake, what, cut, symbol) for lake in (then, whole))
            assert_frame_equal(ours, theirs, check_exact=True)
        then.close()


# -- the canary ----------------------------------------------------------------------------------

KEY = "canaryKey0Qx7Lm2Vb9Tz4Rw8Ye1Ui6"
CLIENT, CLIENT_SECRET = "canary-client-id", "canarySecret5Hn3Jk8Pd2Fs7Ga1Lz0Xc"
CANARIES = [text.encode() for text in (KEY, CLIENT_SECRET)]


class EchoingSandbox(Sandbox):
    """Now and then answers with what it was sent: in error pages, messages, headers, next_url."""

    def __init__(self, *arguments, **more) -> None:
        super().__init__(*arguments, **more)
        self.asked = []
        self.echoes = []

    def exchange(self, call):
        answer = super().exchange(call)
        self.asked.append(call)
        sent = call.headers.get("authorization", "") + call.body.decode()
        number = len(self.asked)
        if number % 5 == 1:
            return self._echo(500, "text/html", f"<html>{sent} failed</html>")
        if number % 5 == 2:
            document = {"status": "ERROR", "error": f"something broke for {sent}"}
            return self._echo(200, "application/json", json.dumps(document))
        if number % 5 == 3:
            return self._echo(200, "application/json", '{"status":"OK","key":"' + sent)
        if number % 5 == 4 and b'"results"' in answer.body and b"next_url" not in answer.body:
            key = sent.removeprefix("Bearer ")
            cursor = f'"next_url":"{call.base_url}{call.path}?cursor=abc&apiKey={key}",'.encode()
            return self._echo(200, "application/json", b"{" + cursor + answer.body[1:])
        return answer

    def _echo(self, status, media, body):
        body = body.encode() if isinstance(body, str) else body
        self.echoes.append(body)
        return Reply(status, body, {"content-type": media, "x-echo": KEY})


class RefusingSandbox(EchoingSandbox):
    """Knows no key, and says which one it does not know."""

    def exchange(self, call):
        self.asked.append(call)
        sent = call.headers.get("authorization", "")
        document = {"status": "ERROR", "error": f"Unknown API Key {sent}", "request_id": KEY}
        return self._echo(401, "application/json", json.dumps(document))


@pytest.fixture(scope="module")
def haunted(tmp_path_factory):
    """A fetch of every lane against echoing vendors, its files and everything it said."""
    folder = tmp_path_factory.mktemp("canary")
    market = Market(5, symbols=["SPY", "KO"], start=date(2026, 2, 2), end=LAST)
    sandbox = EchoingSandbox(
        market,
        now_ns=NOW,
        plan="paid",
        api_keys=(KEY,),
        clients={CLIENT: CLIENT_SECRET},
        require_oauth=True,
    )
    said = {}
    with SandboxThread(sandbox) as thread:
        for form in ("json", "console"):
            config = folder / f"{form}.toml"
            config.write_text(_config(thread.base_url, as_json=form == "json"))
            common = ["--config", str(config), "--lake", str(folder / "lake")]
            window = ["--start", "2026-02-02", "--end", "2026-02-06"]
            said[form] = _tapemill(
                ["config", "show", "--config", str(config)],
                ["fetch", "bars_1m", "--symbols", "SPY,KO", *window, *common],
                ["fetch", "bars_1d", *window, *common],
                ["fetch", "short_volume", "--via", "api", *window, *common],
                ["build", *common],
                ["check", "--figure", str(folder / "figure"), *common],
                ["status", *common],
                ["why", "bronze.massive_bars_1m", "KO", "2026-02-04", *common],
                ["sql", "select * from ops.answers", *common],
                ["sql", "select * from ops.calls", *common],
            )
        again = ["fetch", "bars_1m", "--symbols", "SPY,KO", *window, *common, "--again"]
    with SandboxThread(RefusingSandbox(market, now_ns=NOW)) as thread:
        config.write_text(_config(thread.base_url, as_json=False))
        said["refused"] = _tapemill(again)
        said["crash"] = _tapemill(again, before=_CRASH)
    return folder, sandbox, said


_MAIN = """
import json, sys
from tapemill.cli import main
for words in json.loads(sys.argv[1]):
    try:
        main(words)
    except SystemExit as left:
        print("exit", left.code, file=sys.stderr)
"""
_CRASH = """
import tapemill.intake.attempt as attempt
def headers(request, settings, token):
    real = settings.massive.api_key.reveal()
    raise RuntimeError(f"unforeseen, with Authorization: Bearer {real} in hand")
attempt.headers = headers
"""


def _config(base_url: str, *, as_json: bool) -> str:
    return f"""
[massive]
base_url = "{base_url}"
plan = "starter"
calls_per_minute = 5000
rate_margin_seconds = 0
[finra]
cdn_url = "{base_url}"
api_url = "{base_url}"
token_url = "{base_url}/fip/rest/ews/oauth2/access_token"
calls_per_minute = 5000
rate_margin_seconds = 0
[retry]
attempts = 5
first_wait_seconds = 0.01
longest_wait_seconds = 0.02
[breaker]
first_probe_seconds = 0.01
longest_probe_seconds = 0.02
[logs]
json = {str(as_json).lower()}
level = "DEBUG"
[clock]
now = "2026-02-09T09:00:00-05:00"
"""


def _tapemill(*verbs: list[str], before: str = "") -> subprocess.CompletedProcess[bytes]:
    """Commands one after the other in a process with the keys in its environment."""
    environment = {
        **os.environ,
        "MASSIVE_API_KEY": KEY,
        "FINRA_CLIENT_ID": CLIENT,
        "FINRA_CLIENT_SECRET": CLIENT_SECRET,
    }
    return subprocess.run(
        [sys.executable, "-c", before + _MAIN, json.dumps(verbs)],
        env=environment,
        capture_output=True,
        timeout=120,
        check=False,
    )


def test_the_vendors_did_echo_and_the_run_did_reach_them(haunted):
    """Without echoes, refusals and a crash the silence of the logs would prove nothing."""
    _, sandbox, said = haunted
    assert len(sandbox.echoes) >= 20
    assert sum(any(canary in body for canary in CANARIES) for body in sandbox.echoes) >= 10
    paths = {call.path for call in sandbox.asked}
    assert any("/range/1/minute/" in path for path in paths)
    assert any("oauth2" in path for path in paths)
    assert any("/grouped/" in path for path in paths)
    assert b"unforeseen" in said["crash"].stderr
    assert b"Traceback" in said["crash"].stderr
    assert b"MASSIVE_API_KEY" in said["refused"].stderr + said["refused"].stdout
    assert b"****" in said["json"].stdout
    assert b"[debug" in said["console"].stderr
    assert b'"level":"debug"' in said["json"].stderr.replace(b" ", b"")


def test_the_key_travels_in_headers_only(haunted):
    _, sandbox, _ = haunted
    carried = 0
    for call in sandbox.asked:
        text = f"{call.method} {call.path} {dict(call.query)}".encode() + call.body
        assert not any(canary in text for canary in CANARIES), call.path
        others = {k: v for k, v in call.headers.items() if k != "authorization"}
        assert not any(canary in str(others).encode() for canary in CANARIES)
        carried += KEY in call.headers.get("authorization", "")
    assert carried > 5
    massive = [c for c in sandbox.asked if c.path.startswith(("/v2", "/v3"))]
    assert all("apikey" not in {k.lower() for k in c.query} for c in massive)


def test_nothing_that_was_said_holds_a_key(haunted):
    _, _, said = haunted
    for name, run in said.items():
        for stream in (run.stdout, run.stderr):
            found = [canary for canary in _spelled() if canary in stream]
            assert not found, (name, stream[max(0, stream.find(found[0]) - 300) :][:600])


def _spelled() -> list[bytes]:
    """Keys as they are, and as they look in hexadecimal."""
    return [*CANARIES, *(canary.hex().encode() for canary in CANARIES)]


def test_no_file_holds_a_key_but_bodies_in_which_the_vendor_wrote_it(haunted):
    """A raw object is the vendor's answer, byte for byte: what it echoes, it wrote itself."""
    folder, sandbox, _ = haunted
    files = guilty = 0
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        files += 1
        content = path.read_bytes()
        if path.suffix == ".zst":
            body = zstandard.ZstdDecompressor().decompressobj().decompress(content)
            if any(canary in body for canary in CANARIES):
                guilty += 1
                assert body in sandbox.echoes or b"Unknown API Key" in body, path
            continue
        assert not any(canary in content for canary in _spelled()), path
        if path.suffix == ".parquet":
            frame = pl.read_parquet(path)
            text = str(frame.select(pl.col(pl.String)).to_dicts()).encode()
            assert not any(canary in text for canary in CANARIES), path
    assert files > 20
    assert guilty <= len(sandbox.echoes)


def test_the_control_state_holds_no_key(haunted):
    folder, _, _ = haunted
    lake = Lake.open(folder / "lake")
    frames = lake.control.frames()
    lake.close()
    assert frames["ops.answers"].height > 5
    assert frames["ops.calls"].height > 20
    for name, frame in frames.items():
        text = str(frame.select(pl.col(pl.String)).to_dicts())
        assert not re.search(f"{KEY}|{CLIENT_SECRET}", text), name
