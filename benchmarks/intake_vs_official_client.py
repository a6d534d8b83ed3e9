"""50,000-bar pages over HTTP to bronze, against the vendor's own client and a frame.

The job is the free plan's whole window of two symbols: two years of extended-hours minutes of SPY
and QQQ, 20 pages. A server process on loopback answers from memory. Ours: `tapemill.intake.fetch`:
keep each answer, parse, check, commit to bronze, settle the ledger. Peer: the official `massive`
client, `list_aggs`, then `pandas.DataFrame` of its objects and a time column, as its documentation
shows; it keeps nothing and checks nothing.

Each run is a process of its own, imports outside the timed part; the sides take turns after one
unmeasured run each, and medians are compared. `peak_mb` is the whole process, `rise_mb` what the
work adds to the imported libraries, `cpu` the processor seconds of the timed part. `parse_ms` is
one page from bytes to checked bronze columns alone.

Run: python benchmarks/intake_vs_official_client.py [rounds]
"""

from __future__ import annotations

import asyncio
import functools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

SYMBOLS = ("SPY", "QQQ")
BARS = 50_000
START, END = date(2024, 3, 4), date(2026, 2, 27)
NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
KEY = "benchmark-key-0000"


class Pages:
    """Extended-hours minutes of each symbol, as the vendor's pages.

    Each page is encoded once and answered from memory afterwards, so that the server's share is
    the same few milliseconds of copying for both sides.
    """

    def __init__(self) -> None:
        import numpy as np

        from tapemill.clock import calendar

        opens = calendar("XNYS").frame(START, END).get_column("open_ns").to_numpy() // 1_000_000
        # 04:00 to 20:00 New York: 330 minutes before the open to 630 after it.
        self._stamps = (opens[:, None] + 60_000 * np.arange(-330, 630)[None, :]).ravel()
        self._rows: dict[str, list[bytes]] = {}
        for number, symbol in enumerate(SYMBOLS):
            rng, size = np.random.default_rng(7 + number), len(self._stamps)
            close = np.round(480 + np.cumsum(rng.normal(0, 0.01, size)), 4).tolist()
            volume = rng.integers(100, 200_000, size).tolist()
            count = rng.integers(1, 900, size).tolist()
            self._rows[symbol] = [
                b'{"v":%d,"vw":%.4f,"o":%.4f,"c":%.4f,"h":%.4f,"l":%.4f,"t":%d,"n":%d}'
                % (v, c + 0.01, c, c, c + 0.05, c - 0.05, t, n)
                for t, c, v, n in zip(self._stamps.tolist(), close, volume, count, strict=True)
            ]
        self.page = functools.cache(self._page)

    def _page(self, base: str, path: str, cursor: str) -> bytes:
        """One page of the bars between the two New York dates of the path."""
        from tapemill.clock import eastern_ns

        symbol, (first, last) = path.split("/")[4], path.split("/")[-2:]
        low = eastern_ns(date.fromisoformat(first), 0) // 1_000_000
        high = eastern_ns(date.fromisoformat(last) + timedelta(days=1), 0) // 1_000_000
        begin, end = self._stamps.searchsorted([low, high]).tolist()
        begin = int(cursor) if cursor else begin
        stop = min(begin + BARS, end)
        following = f',"next_url":"{base}{path}?cursor={stop}"' if stop < end else ""
        size = stop - begin
        return (
            f'{{"ticker":"{symbol}","queryCount":{size},"resultsCount":{size},"adjusted":false,'
            '"results":['.encode()
            + b",".join(self._rows[symbol][begin:stop])
            + f'],"status":"OK","request_id":"r{begin}","count":{size}{following}}}'.encode()
        )


def serve() -> None:
    """Print the address, then answer until killed."""
    from aiohttp import web

    pages = Pages()

    async def answer(request: web.Request) -> web.Response:
        cursor = request.query.get("cursor", "")
        body = pages.page(f"http://{request.host}", request.path, cursor)
        return web.Response(body=body, content_type="application/json")

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/v2/aggs/ticker/{rest:.*}", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


def peak_mb() -> float:
    """Highest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ours(base: str) -> dict[str, float]:
    """Fetch into a new lake."""
    from tapemill.clock import FixedClock
    from tapemill.intake import fetch, plan_fetch
    from tapemill.lake import Lake
    from tapemill.settings import load_settings

    settings = load_settings(env={"MASSIVE_API_KEY": KEY}).override(
        {
            "massive.base_url": base,
            "massive.calls_per_minute": 100_000,
            "massive.calls_per_day": 0,
            "massive.rate_margin_seconds": 0.0,
        }
    )
    clock = FixedClock(int(NOW.timestamp()) * 1_000_000_000)
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake.open(Path(folder) / "lake", create=True, clock=clock)
        plan = plan_fetch(lake, settings, clock, "bars_1m", SYMBOLS, START, END)
        before, spent, begun = peak_mb(), time.process_time(), time.perf_counter()
        report = asyncio.run(fetch(lake, settings, clock, plan))
        seconds, cpu = time.perf_counter() - begun, time.process_time() - spent
        rise = peak_mb() - before
        rows = lake.tables.scan("bronze.massive_bars_1m").select("ts_event").collect().height
    if report.remaining or report.rows != rows:
        raise SystemExit(f"not everything came in: {report.summary()}")
    return {"seconds": seconds, "cpu": cpu, "rows": rows, "rise_mb": rise, "calls": report.calls}


def peer(base: str) -> dict[str, float]:
    """The official client, unmodified but for its base address."""
    import pandas as pd
    from massive import RESTClient

    client = RESTClient(api_key=KEY, base=base)
    before, spent, begun = peak_mb(), time.process_time(), time.perf_counter()
    frames = []
    for symbol in SYMBOLS:
        bars = list(
            client.list_aggs(
                symbol, 1, "minute", START.isoformat(), END.isoformat(),
                adjusted=False, sort="asc", limit=BARS,
            )
        )  # fmt: skip
        one = pd.DataFrame(bars)
        one["timestamp"] = pd.to_datetime(one["timestamp"], unit="ms", utc=True)
        frames.append(one.assign(symbol=symbol))
    frame = pd.concat(frames, ignore_index=True)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - spent
    return {"seconds": seconds, "cpu": cpu, "rows": len(frame), "rise_mb": peak_mb() - before}


def parse(base: str) -> dict[str, float]:
    """One page, from bytes to checked bronze columns."""
    from urllib.request import urlopen

    from tapemill.vendors import WireAnswer, interpret
    from tapemill.vendors.massive import minute_bars

    with urlopen(f"{base}/v2/aggs/ticker/SPY/range/1/minute/{START}/{END}") as response:
        wire = WireAnswer(200, {}, response.read())
    request, seconds, rows = minute_bars("SPY", START, END), [], 0
    for _ in range(9):
        begun = time.perf_counter()
        answer = interpret(request, wire, now_ns=int(NOW.timestamp()) * 1_000_000_000)
        seconds.append(time.perf_counter() - begun)
        rows = 0 if answer.frame is None else answer.frame.height
    return {"seconds": sorted(seconds)[4], "rows": rows}


def measured(side: str, base: str) -> dict[str, float]:
    """Run one side in a process of its own."""
    run = subprocess.run(
        [sys.executable, __file__, side, base], check=True, capture_output=True, text=True
    )
    result: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return result


def main(rounds: int) -> None:
    server = subprocess.Popen(
        [sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        base = server.stdout.readline().strip()
        runs: dict[str, list[dict[str, float]]] = {"ours": [], "peer": []}
        for turn in range(rounds + 1):
            for side, results in runs.items():
                result = measured(side, base)
                if turn:  # the first of each warms the disk's and the server's caches
                    results.append(result)
        page = measured("parse", base)
    finally:
        server.terminate()
        server.wait()
    if len({run["rows"] for results in runs.values() for run in results}) != 1:
        raise SystemExit(f"rows differ: {runs}")

    def median(side: str, value: str) -> float:
        return statistics.median(run[value] for run in runs[side])

    pages = median("ours", "calls")
    result = {
        "name": "intake_vs_official_client",
        "ours": round(median("ours", "seconds"), 3),
        "peer": round(median("peer", "seconds"), 3),
        "ratio": round(median("peer", "seconds") / median("ours", "seconds"), 2),
        "peak_mb": round(median("ours", "peak_mb")),
        "peer_peak_mb": round(median("peer", "peak_mb")),
        "memory_ratio": round(median("ours", "peak_mb") / median("peer", "peak_mb"), 3),
        "rise_mb": round(median("ours", "rise_mb")),
        "peer_rise_mb": round(median("peer", "rise_mb")),
        "rise_ratio": round(median("ours", "rise_mb") / median("peer", "rise_mb"), 3),
        "cpu": round(median("ours", "cpu"), 3),
        "peer_cpu": round(median("peer", "cpu"), 3),
        "ms_per_page": round(median("ours", "seconds") / pages * 1000, 1),
        "parse_ms": round(page["seconds"] * 1000, 1),
        "rows": int(median("ours", "rows")),
        "pages": int(pages),
        "rounds": rounds,
    }
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    side = sys.argv[1] if len(sys.argv) > 1 else ""
    if side == "serve":
        serve()
    elif side in ("ours", "peer", "parse"):
        outcome = {"ours": ours, "peer": peer, "parse": parse}[side](sys.argv[2])
        outcome["peak_mb"] = peak_mb()
        print(json.dumps(outcome))
    else:
        main(int(side or 3))
