"""`tapemill sandbox`: the vendors, on loopback, with a synthetic market behind them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from tapemill.cli.options import End, Start, parse_range
from tapemill.cli.output import print_line, print_table
from tapemill.errors import UsageError, did_you_mean

HELP = """Serve a synthetic market on loopback in the vendors' own protocols, faults on demand.

\b
Example:
  tapemill sandbox --port 8808 --fault storm_429 &
  TAPEMILL_MASSIVE_BASE_URL=http://127.0.0.1:8808 MASSIVE_API_KEY=sandbox-key \\
  tapemill fetch bars_1m AAA --start 2026-01-05 --end 2026-01-09

It speaks Massive REST and FINRA (files, Query API, OAuth), counts what reached the wire
(/_sandbox/calls) and is always labelled synthetic. --faults lists the switches. With --dbn it
serves the DBN files of a folder as Databento does: TAPEMILL_DATABENTO_BASE_URL, DATABENTO_API_KEY.
"""


PLANS = ("free", "paid")
EVENING = dt.date(2026, 6, 30)


def run(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 picks a free one.")] = 8808,
    seed: Annotated[int, typer.Option(help="Seed of the market.")] = 7,
    symbols: Annotated[int, typer.Option(help="Number of tickers.")] = 40,
    start: Start = None,
    end: End = None,
    plan: Annotated[str, typer.Option(help="Data plan to act: free or paid.")] = "paid",
    rate: Annotated[int, typer.Option(help="Calls a minute before 429; 0 = no limit.", min=0)] = 0,
    null: Annotated[bool, typer.Option("--null", help="A pure martingale: no effects.")] = False,
    dbn: Annotated[
        Path | None,
        typer.Option(
            "--dbn", help="Folder of DBN files that Databento has.", exists=True, file_okay=False
        ),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", help="Fault to switch on; repeat.", metavar="NAME"),
    ] = None,
    faults: Annotated[bool, typer.Option("--faults", help="List the faults and stop.")] = False,
) -> None:
    """Serve until interrupted."""
    from tapemill.clock import EASTERN, eastern_ns
    from tapemill.world import FAULTS, FaultPlan, Market, Sandbox, run_sandbox

    if faults:
        rows = [(name, kind.stage, kind.doc) for name, kind in sorted(FAULTS.items())]
        print_table("Faults", ["name", "where", "what it does"], rows)
        return
    if plan not in PLANS:
        raise UsageError(
            f"there is no plan {plan!r}",
            where="--plan",
            next_step="write --plan free or --plan paid",
        )
    for name in fault or []:
        if name not in FAULTS:
            raise UsageError(
                f"there is no fault {name!r}",
                where="--fault",
                next_step=did_you_mean(name, FAULTS) or "`tapemill sandbox --faults` lists them",
            )
    first, last = parse_range(start, end)
    last = last or EVENING
    first = first or last.replace(year=last.year - 2)
    sandbox = Sandbox(
        Market(seed, symbols=symbols, start=first, end=last, null=null),
        now_ns=eastern_ns(last, 21),
        plan="paid" if plan == "paid" else "free",
        rate_per_minute=rate or None,
        faults=FaultPlan(*(fault or [])),
        dbn_folder=dbn,
        port=port,
    )
    print_line(f"SYNTHETIC market of {symbols} tickers, {first} to {last}, seed {seed}", "yellow")
    evening = dt.datetime(last.year, last.month, last.day, 21, tzinfo=EASTERN).isoformat()
    print_line(f"set TAPEMILL_CLOCK_NOW={evening} to work at its evening")
    run_sandbox(sandbox, on_ready=lambda url: print_line(f"listening on {url} (Ctrl-C ends)"))
