"""A process that forks workers, the vendor they fetch from, and files to import."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from acceptance.fork_server import ForkServer
from acceptance.journey import FIRST, LAST, NOW
from acceptance.lakes import Vendor
from tapemill.clock import calendar
from tapemill.world import Market, Sandbox, SandboxThread


@pytest.fixture(scope="module")
def fork_server(tmp_path_factory):
    # Budgets of lakes in buckets are shared in the home folder.
    server = ForkServer({"HOME": str(tmp_path_factory.mktemp("home"))})
    yield server
    server.close()


@pytest.fixture(scope="module")
def vendor():
    market = Market(7, symbols=4, start=date(2025, 11, 3), end=LAST)
    with SandboxThread(Sandbox(market, now_ns=NOW, plan="paid")) as thread:
        yield Vendor(thread.sandbox, thread.base_url)


@pytest.fixture(scope="module")
def bar_files(tmp_path_factory):
    """Files of minute bars to import, each the first half hour of five sessions."""
    folder, sessions = tmp_path_factory.mktemp("files"), calendar("XNYS").session_dates(FIRST, LAST)
    paths = []
    for number, days in enumerate((sessions[:5], sessions[5:])):
        stamps = [f"{day} 09:{minute}:00" for day in days for minute in range(30, 60)]
        count = pl.int_range(len(stamps), eager=True).cast(pl.Float64)
        prices = dict.fromkeys(("open", "high", "low", "close"), 100 + count % 7)
        path = folder / f"bars-{number}.csv"
        pl.DataFrame({"timestamp": stamps, **prices, "volume": count + 1}).write_csv(path)
        paths.append(str(path))
    return paths
