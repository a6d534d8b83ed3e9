"""`tapemill demo`: the whole way, from HTTP answers to a report, on a synthetic market."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tapemill.cli.options import Json, Workplace
from tapemill.cli.output import print_json, print_line

if TYPE_CHECKING:
    from tapemill.world import Market

HELP = """Run the whole way on a synthetic market: sandbox, fetch, build, check, report.

Example: tapemill demo --folder demo

No keys and no network are needed. 8 symbols x 25 sessions of minutes, two years of daily bars and
60 sessions of FINRA short volume go through real HTTP into a lake under the folder. Kill it at any
moment and run it again: it resumes, and the data comes out byte-identical.
"""

SEED = 7
EVENING = dt.date(2026, 6, 30)
MINUTE_SYMBOLS = 8
MINUTE_SESSIONS = 25
SHORT_VOLUME_SESSIONS = 60
MARKET_SYMBOLS = 40


def run(
    folder: Annotated[Path, typer.Option(help="Where lake and report go.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Seed of the market.")] = SEED,
    null: Annotated[bool, typer.Option("--null", help="A pure martingale: no effects.")] = False,
    as_json: Json = False,
) -> None:
    """Walk the whole way once."""
    from tapemill.cli.demo_report import write_demo_report
    from tapemill.clock import calendar, eastern_ns
    from tapemill.clock.injected import SYSTEM_CLOCK, FixedClock
    from tapemill.lake import Lake
    from tapemill.logs import configure
    from tapemill.refine import build, check
    from tapemill.secrets import Secret
    from tapemill.settings import default_settings
    from tapemill.world import SANDBOX_KEY, Market, Sandbox, SandboxThread

    started = SYSTEM_CLOCK.monotonic()
    configure(json=False, level="ERROR")
    say = (lambda *_: None) if as_json else print_line
    say("SYNTHETIC DATA: a made-up market, served on loopback. No vendor is called.", "bold yellow")
    first = dt.date(EVENING.year - 2, EVENING.month, EVENING.day) + dt.timedelta(days=2)
    market = Market(seed, symbols=MARKET_SYMBOLS, start=first, end=EVENING, null=null)
    clock = FixedClock(eastern_ns(EVENING, 21))
    sessions = calendar("XNYS").session_dates(first, EVENING)
    with SandboxThread(Sandbox(market, now_ns=clock.now_ns(), plan="free")) as sandbox:
        settings = default_settings().override(
            {
                "lake.location": str(folder / "lake"),
                "massive.base_url": sandbox.base_url,
                "massive.api_key": Secret(SANDBOX_KEY, "MASSIVE_API_KEY"),
                "massive.calls_per_minute": 60_000,
                "massive.calls_per_day": 0,
                "finra.cdn_url": sandbox.base_url,
                "finra.api_url": sandbox.base_url,
                "finra.calls_per_minute": 60_000,
            }
        )
        lake = Lake.open(settings.lake.location, create=True, clock=clock)
        place = Workplace(settings, clock, lake)
        fetched = _fetch_all(place, market, sessions, quiet=as_json)
        wire = sandbox.sandbox.calls.count()
    say("\nBuild", "bold")
    built = build(lake, settings, clock)
    checked = check(lake, settings, clock)
    facts: dict[str, Any] = {
        "synthetic": True,
        "folder": str(folder),
        "fetched": fetched,
        "wire_calls": wire,
        "build": built.summary(),
        "check": checked.summary(),
        "digests": {name: lake.digest(name) for name in lake.datasets()},
    }
    facts["report"] = str(write_demo_report(folder / "report", lake, market, checked, facts))
    facts["seconds"] = round(SYSTEM_CLOCK.monotonic() - started, 1)
    if as_json:
        print_json(facts)
    else:
        _show(facts)


def _fetch_all(
    place: Workplace, market: Market, sessions: list[dt.date], *, quiet: bool
) -> list[dict[str, Any]]:
    """Every dataset of the demo, through the same path as `tapemill fetch`."""
    from tapemill.cli.fetch import run_fetch, show_report
    from tapemill.intake import plan_fetch

    last = sessions[-1]
    symbols = list(market.symbols)[:MINUTE_SYMBOLS]
    jobs: list[tuple[str, list[str] | None, dt.date]] = [
        ("tickers", None, last),
        ("splits", None, sessions[0]),
        ("dividends", None, sessions[0]),
        ("bars_1d", None, sessions[0]),
        ("bars_1m", symbols, sessions[-MINUTE_SESSIONS - 1]),  # the plan ends the day before
        ("short_volume", None, sessions[-SHORT_VOLUME_SESSIONS]),
    ]
    reports = []
    for dataset, wanted, start in jobs:
        plan = plan_fetch(place.lake, place.settings, place.clock, dataset, wanted, start, last)
        report = run_fetch(place, plan, quiet=quiet)
        if not quiet:
            print_line(f"\nFetch {dataset}", "bold")
            show_report(report)
        reports.append({"dataset": dataset, **report.summary()})
    return reports


def _show(facts: dict[str, Any]) -> None:
    from tapemill.cli.check import show
    from tapemill.cli.output import print_table

    show(facts["check"], limit=15)
    print_table("Content digests", ["dataset", "sha256"], sorted(facts["digests"].items()))
    print_line(
        f"wire calls {facts['wire_calls']} · builds {facts['build']['builds']} · "
        f"{facts['seconds']} s · SYNTHETIC DATA",
        "bold",
    )
    print_line(f"report: {facts['report']}", "bold")
