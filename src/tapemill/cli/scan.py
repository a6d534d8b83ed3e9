"""`tapemill scan`: what is unusual tonight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tapemill.cli.options import (
    Config,
    Json,
    LakePath,
    Symbols,
    Workplace,
    open_workplace,
    parse_date,
    parse_symbols,
)
from tapemill.cli.output import count, print_json, print_line, print_table
from tapemill.errors import ConflictError

if TYPE_CHECKING:
    import datetime as dt

    from tapemill.flow import ScanView

FLOW_HELP = """Rank the whole market's off-exchange short volume of one evening.

\b
Examples:
  tapemill import finra-short files/CNMSshvol*.txt
  tapemill scan flow 2021-01-15
  tapemill scan flow 2021-01-15 --symbols GME,AMC,BB
  tapemill scan flow 2021-01-15 --as-of 2021-02-01 --json

Three lists: buying and selling pressure read from the short share against each name's own past,
the market's move removed, and volume surprises. Everything is computed from what was known at 18:00
New York of that evening; --as-of takes a later moment, when restated files may have arrived. FINRA
publishes no direction of trades: buying and selling are inferences. q is the share of false alarms
to expect among the names up to this one.
"""

app = typer.Typer(
    help="Look for what is unusual on an evening.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.command("flow", help=FLOW_HELP)
def flow(
    session: Annotated[
        str | None, typer.Argument(help="Session, YYYY-MM-DD; the newest by default.")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="What was known at this moment or by this date's end."),
    ] = None,
    symbols: Symbols = None,
    top: Annotated[int, typer.Option(min=1, max=1000, help="Names a list.")] = 15,
    as_json: Json = False,
    lake: LakePath = None,
    config: Config = None,
) -> None:
    """Scan one evening."""
    from tapemill.flow import LISTS, scan_evening
    from tapemill.lake.asof import as_of_moment

    day = parse_date(session, "SESSION") if session else None
    place = open_workplace(config, lake)
    _build(place, quiet=as_json)
    view = scan_evening(
        place.lake,
        place.settings,
        day or _newest(place),
        as_of=as_of_moment(as_of) if as_of else None,
    )
    lists = {name: view.listed(name, top) for name in LISTS}
    wanted = parse_symbols(symbols)
    if wanted:
        lists = {"asked": view.named(wanted)}
    if as_json:
        facts = {"session": view.session, "as_of": view.as_of, "market": dict(view.market)}
        print_json({**facts, "warnings": list(view.warnings), "lists": lists})
        return
    _print_market(view)
    for name, rows in lists.items():
        _print_list(name, rows)
    print_line("FINRA publishes no direction of trades: buying and selling are inferred.", "dim")


def _build(place: Workplace, *, quiet: bool) -> None:
    """Bring the scan up to date: nothing to do but one evening on most days."""
    from tapemill.cli.progress import StepProgress
    from tapemill.cli.recipes import build_all

    with StepProgress("build", quiet=quiet) as bar:
        try:
            build_all(place, ["gold.flow_scan", "gold.flow_macro"], None if quiet else bar.step)
        except ConflictError:
            # Somebody else builds the same: what is there already can be read meanwhile.
            if not place.lake.tables.exists("gold.flow_scan"):
                raise


def _newest(place: Workplace) -> dt.date:
    import datetime as dt

    from tapemill.errors import LakeError

    made = place.lake.control.builds.fingerprints("gold.flow_scan")
    if not made:
        raise LakeError(
            "there is nothing to scan: the lake holds no FINRA short volume",
            where="bronze.finra_short_volume",
            next_step="`tapemill fetch short_volume --start …` (no key needed), or import files",
        )
    return dt.date.fromisoformat(max(made))


def _print_market(view: ScanView) -> None:
    market = view.market
    rows = [
        ("evening", f"{view.session} (as known {view.as_of:%Y-%m-%d %H:%M} UTC)"),
        ("names", f"{count(market['names'])} eligible of {count(market['rows'])} in the file"),
        (
            "short share",
            f"{_percent(market['short_share'])} {market['weighting']}-weighted"
            f"{_rank(market, 'share_percentile')}",
        ),
        ("breadth", f"{_points(market['breadth'])}{_rank(market, 'breadth_percentile')}"),
        (
            "dispersion of z",
            f"{_number(market['dispersion'])}{_rank(market, 'dispersion_percentile')}",
        ),
    ]
    rows += [("careful", warning) for warning in view.warnings]
    print_table("Off-exchange flow", ["what", "value"], rows)


def _print_list(name: str, rows: list[dict[str, Any]]) -> None:
    titles = {
        "buying": "Buying pressure (short share above its past)",
        "selling": "Selling pressure (short share below its past)",
        "volume": "Unusual volume",
        "asked": "Asked for",
    }
    columns = ["#", "symbol", "share", "usual", "z", "q", "× volume", "volume z", "volume q"]
    columns += ["novelty", "detail"]
    if name == "asked":
        columns[0] = "# share / volume"
    lines = [
        (
            f"{row['rank'] or '–'} / {row['volume_rank'] or '–'}"
            if name == "asked"
            else row["volume_rank"]
            if name == "volume"
            else row["rank"],
            row["symbol"],
            _percent(row["short_share"]),
            _percent(row["baseline_share"]),
            _number(row["z"], signed=True),
            _chance(row["q_value"]),
            _number(row["volume_ratio"]),
            _number(row["volume_z"], signed=True),
            _chance(row["volume_q_value"]),
            row["volume_novelty"] if name == "volume" else row["novelty"],
            row["explanation"],
        )
        for row in rows
    ]
    right = [name for name in columns if name not in ("symbol", "novelty", "detail")]
    print_table(titles[name], columns, lines, right=right)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _points(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:+.0f} points"


def _number(value: float | None, *, signed: bool = False) -> str:
    return "–" if value is None else f"{value:+.2f}" if signed else f"{value:.2f}"


def _chance(value: float | None) -> str:
    if value is None:
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _rank(market: Any, name: str) -> str:
    value, days = market[name], market["percentile_days"]
    return "" if value is None else f" (higher than {100 * value:.0f} % of {days} evenings)"
