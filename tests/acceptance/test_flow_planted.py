"""Known truth through the whole way: files of a made market in, a ranking of an evening out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import date

import numpy as np
import polars as pl
import pytest

from acceptance.shell import Shell
from tapemill.world.flow import flow_market

pytestmark = pytest.mark.acceptance

MARKET = flow_market(300, date(2024, 1, 2), 100, seed=11)
LAST = MARKET.sessions[-1]
HEADER = "Date|Symbol|ShortVolume|ShortExemptVolume|TotalVolume|Market\n"


def write(folder, market, sessions) -> list:
    """Consolidated files of some sessions, six decimals as FINRA writes them now."""
    folder.mkdir()
    rows = market.rows().with_columns(pl.col("symbol").str.replace(".", "/", literal=True))
    paths = []
    for day in sessions:
        lines = [
            f"{day:%Y%m%d}|{symbol}|{short:.6f}|0|{total:.6f}|B,Q,N\n"
            for symbol, _, short, total in rows.filter(pl.col("session") == day).iter_rows()
        ]
        path = folder / f"CNMSshvol{day:%Y%m%d}.txt"
        path.write_text(HEADER + "".join(lines) + f"{len(lines)}\n")
        paths.append(path)
    return paths


@pytest.fixture(scope="module")
def past(tmp_path_factory):
    """A lake that knows all but the last evening, to be copied."""
    folder = tmp_path_factory.mktemp("planted")
    shell = Shell(folder / "lake")
    shell.ok("import", "finra-short", *write(folder / "files", MARKET, MARKET.sessions[:-1]))
    shell.ok("build", "gold.flow_macro")
    return folder / "lake"


def scan_of(past, folder, market) -> dict:
    """The last evening's scan when it looked like this."""
    subprocess.run(["cp", "-r", past, folder / "lake"], check=True)
    shell = Shell(folder / "lake")
    shell.ok("import", "finra-short", *write(folder / "last", market, [LAST]))
    return shell.ok("scan", "flow", LAST, "--top", 1000)


def ranks(scan: dict) -> dict[str, tuple[str, int]]:
    lists = scan["lists"]
    return {row["symbol"]: (n, row["rank"]) for n in ("buying", "selling") for row in lists[n]}


@pytest.fixture(scope="module")
def plain(past, tmp_path_factory):
    return scan_of(past, tmp_path_factory.mktemp("plain"), MARKET)


def quiet_name(plain: dict) -> str:
    rows = plain["lists"]["buying"]
    return next(r["symbol"] for r in rows if r["z"] < 0.5 and r["volume_ratio"] > 0.8)


def test_a_planted_shift_of_four_sigma_ranks_in_the_top_ten(past, plain, tmp_path) -> None:
    name = quiet_name(plain)
    found = ranks(scan_of(past, tmp_path, MARKET.plant(name, LAST, 4.0)))
    assert found[name][0] == "buying"
    assert found[name][1] <= 10 < ranks(plain)[name][1]


def test_a_shift_of_the_whole_market_moves_no_rank(past, plain, tmp_path) -> None:
    name = quiet_name(plain)
    delta = 4 * MARKET.sigma[MARKET.symbols.index(name)]
    market = MARKET
    for symbol in (row["symbol"] for row in plain["lists"]["volume"]):
        sigma = MARKET.sigma[MARKET.symbols.index(symbol)]
        market = market.plant(symbol, LAST, delta / sigma)
    shifted = scan_of(past, tmp_path, market)
    # The name that is the median itself has z = 0 and no side; six decimals may give it one.
    before, after = ranks(plain), ranks(shifted)
    assert {symbol: after[symbol] for symbol in before} == before
    assert len(after) <= len(before) + 1
    assert shifted["market"]["peer_shift"] - plain["market"]["peer_shift"] == pytest.approx(
        delta, abs=1e-3
    )


def test_excluded_classes_never_rank_however_loud(past, plain, tmp_path) -> None:
    table = MARKET.symbol_table()
    loud = table.filter(~pl.col("security_class").is_in(["common", "class_share"]))
    market = MARKET
    t = market.sessions.index(LAST)
    for symbol in loud["symbol"]:
        row = market.symbols.index(symbol)
        if np.isfinite(market.total_volume[row, t]):
            market.short_volume[row, t] = 0.0
    try:
        found = ranks(scan_of(past, tmp_path, market))
    finally:
        # The market is shared: put it back as it was made.
        market.short_volume[:] = flow_market(300, date(2024, 1, 2), 100, seed=11).short_volume
    assert loud.height > 10
    assert not set(found) & set(loud["symbol"])


@pytest.mark.crash
def test_a_killed_build_of_gold_is_finished_by_the_next_one(past, tmp_path) -> None:
    """kill -9 at several moments of the first build; the content is that of an undisturbed one."""
    whole = Shell(tmp_path / "whole")
    files = write(tmp_path / "files", MARKET, MARKET.sessions)
    whole.ok("import", "finra-short", *files)
    broken = Shell(tmp_path / "broken")
    broken.ok("import", "finra-short", *files)
    whole.ok("build")
    for delay in (1.5, 3.0, 4.5):
        child = subprocess.Popen(
            [sys.executable, "-m", "tapemill", "build", "--lake", broken.lake],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TAPEMILL_LEASE_SECONDS": "1"},
        )
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        child.wait()
    time.sleep(1.2)
    broken.ok("build")
    for name in ("gold.flow_scan", "gold.flow_daily", "gold.flow_macro", "gold.composite_signal"):
        digests = [shell.ok("lake", "digest", name)[name] for shell in (whole, broken)]
        assert digests[0] == digests[1], name
    assert broken.ok("build")["builds"] == 0
    assert broken.run("verify")[0] == 0
