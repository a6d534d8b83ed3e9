"""The page of levels: facts and cautions on top, the chart, then tables with their meanings."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tapemill.report.drawing import plotly_script
from tapemill.report.flow_page import Fact, PageSection, facts_html
from tapemill.report.flow_style import STYLE, plain
from tapemill.report.levels_facts import BARRIER, HORIZON, LevelsFacts
from tapemill.report.levels_figure import LevelsFigure
from tapemill.report.levels_notes import clock_text
from tapemill.report.levels_style import BARRIER_STATES, GROUPS, OUTCOMES, Look
from tapemill.report.levels_tables import (
    ASKED,
    Effects,
    effects_table,
    episodes_table,
    levels_table,
    table_html,
)

__all__ = ["levels_page"]

_MORE = """
html{overflow-y:scroll}
td.text{white-space:normal;min-width:9ch}
.figure{padding:6px 0 0}
.key{display:flex;flex-wrap:wrap;gap:2px 18px;margin:4px 0 0;color:#97A3B3;font-size:12.5px}
.key b{font-weight:600}
details summary{cursor:pointer;color:#7FB0FF;font-size:12.5px}
"""


def levels_page(facts: LevelsFacts, figure: LevelsFigure, effects: Effects, command: str) -> bytes:
    """One self-contained page.

    Parameters
    ----------
    facts : LevelsFacts
    figure : LevelsFigure
    effects : Effects
    command : str
        What to type to see it again.
    """
    sections = (
        PageSection("chart", "Price, book and approaches", _chart(figure)),
        PageSection("episodes", "Approaches", _episodes(facts)),
        PageSection("effect", "Real minus placebo", _effect(facts, effects)),
        PageSection("levels", "Levels", table_html(levels_table(facts))),
        PageSection("sources", "Where it comes from", _sources(facts)),
        PageSection("definitions", "Definitions", _definitions()),
    )
    links = "".join(f'<a href="#{one.key}">{plain(one.title)}</a>' for one in sections)
    body = "".join(
        f'<section id="{one.key}"><h2>{plain(one.title)}</h2>{one.body}</section>\n'
        for one in sections
    )
    title = f"{facts.symbol} levels, trade date {facts.session}"
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{plain(title)}</title>
<style>{STYLE}{_MORE}</style>
{plotly_script()}
</head>
<body>
<header><h1>{plain(title)}</h1><p class="lead">{plain(_stamp(facts))}</p>
{_cautions(facts.notes)}<nav>{links}</nav></header>
<main>
{facts_html(_facts(facts, effects))}
{body}</main>
<footer>Written by Tapemill from the tables of one lake. Made by <code>{plain(command)}</code>. The
folder's name is the hash of what is shown; run.json holds the hash of every file.</footer>
</body>
</html>
"""
    return page.encode()


def _stamp(facts: LevelsFacts) -> str:
    known = (
        f"as known at {facts.as_of:%Y-%m-%d %H:%M:%S} UTC"
        if facts.as_of
        else "as the lake knows it"
    )
    return f"{figure_stretch(facts)} · {known} · times in New York, prices in points"


def figure_stretch(facts: LevelsFacts) -> str:
    """The stretch that is drawn, in words."""
    return (
        f"{clock_text(facts.start_ns, day=True)} to {clock_text(facts.end_ns, day=True)}, of the "
        f"trade date {clock_text(facts.open_ns)} to {clock_text(facts.close_ns)}"
    )


def _cautions(notes: Sequence[str]) -> str:
    """What is grave in full; kinds that are missing folded up."""
    missing = [note for note in notes if ": no " in note]
    grave = [note for note in notes if note not in missing]
    said = "".join(f'<p class="note careful">Careful: {plain(note)}.</p>' for note in grave)
    if missing:
        kinds = sum(note.split(": no ", 1)[1].count(",") + 1 for note in missing)
        rows = "".join(f'<p class="note">{plain(note)}.</p>' for note in missing)
        said += (
            f"<details><summary>{kinds} kinds of levels are missing: why</summary>{rows}</details>"
        )
    return said


def _facts(facts: LevelsFacts, effects: Effects) -> list[Fact]:
    real = facts.approaches
    touched = real.filter(pl.col("touch_ns").is_not_null())
    levels = facts.levels.filter(
        pl.col("family") == "real",
        pl.col("valid_from_ns") < facts.end_ns,
        pl.col("valid_to_ns") > facts.start_ns,
    )
    tape = facts.tape
    volume = int(tape.buy.sum() + tape.sell.sum() + tape.unsided.sum())
    tick = facts.tick_size
    feeds = sorted({one.feed for one in facts.sources})
    said = {
        "shown": ("shown", "at least one kind differs from its placebos"),
        "null": ("nothing shown", "no kind differs from its placebos beyond chance"),
    }.get(effects.outcome, ("too little", "to compare real levels with placebos"))
    return [
        Fact("last trade", f"{tape.last[-1] * tick:,.2f}", _range(facts)),
        Fact("tick", f"{tick:g} points", facts.root),
        Fact("volume drawn", f"{volume:,}", "contracts traded in the stretch"),
        Fact("levels", f"{levels['level_id'].n_unique():,}", f"{levels['zone'].n_unique()} zones"),
        Fact("approaches", f"{real.height:,}", f"{touched.height:,} touched"),
        Fact("real minus placebo", said[0], said[1]),
        Fact("book", feeds[0] if feeds else "none", _records(facts)),
    ]


def _range(facts: LevelsFacts) -> str:
    tick = facts.tick_size
    low, high = facts.tape.low.min() * tick, facts.tape.high.max() * tick
    return f"points; {low:,.2f} to {high:,.2f}"


def _records(facts: LevelsFacts) -> str:
    return "" if facts.book is None else f"{facts.book.records:,} records replayed"


def _chart(figure: LevelsFigure) -> str:
    book = figure.scene.facts.book
    said = "Wheel: zoom. Drag: move. Double click: back. A click on the legend hides or shows."
    if book is not None:
        seconds = int(book.edges_ns[1] - book.edges_ns[0]) // 10**9
        rows = (
            "each price" if book.step_ticks == 1 else f"the largest of each {book.step_ticks} ticks"
        )
        said += (
            f" Book: what rested at {rows} at the end of each {seconds} s, light is much, on a log "
            "scale; black is nothing, or beyond what the feed shows."
        )
    keys = [
        ("approach, ▲ from below, ▼ from above", OUTCOMES),
        ("barrier", BARRIER_STATES),
    ]
    key = "".join(
        f'<div class="key"><b>{plain(title)}</b>{"".join(_swatch(look) for look in looks)}</div>'
        for title, looks in keys
    )
    return (
        f'<div class="card figure">{figure.div("levels-figure")}</div>'
        f'<p class="note">{plain(said)}</p>{key}'
    )


def _swatch(look: Look) -> str:
    return (
        f'<span title="{plain(look.meaning)}"><span style="color:{look.colour}">'
        f"{'△' if look.hollow else '▲'}</span> {plain(look.label)}</span>"
    )


def _episodes(facts: LevelsFacts) -> str:
    placebo = facts.episodes.filter(pl.col("family") != "real").height
    note = (
        f"Real levels only; {placebo:,} approaches to placebos are in the files. Outcome: from "
        f"the touch, barrier {BARRIER} (one standard deviation of the horizon), {HORIZON} s; MFE "
        "in the direction of a break, MAE against it, ticks."
    )
    return f'<p class="note">{plain(note)}</p>{table_html(episodes_table(facts))}'


def _effect(facts: LevelsFacts, effects: Effects) -> str:
    dates = f"{effects.dates} trade date{'' if effects.dates == 1 else 's'}"
    note = (
        f"Share of approaches that {ASKED}d after the touch ({BARRIER}, {HORIZON} s) at real "
        "levels less that at their placebos: prices of no meaning, matched in distance and width. "
        f"All {dates} of {facts.root or facts.symbol} up to this one that the lake knows."
    )
    least = "" if effects.outcome == "shown" else " careful"
    plainly = {
        "insufficient": "Nothing can be concluded: there is too little evidence. ",
    }.get(effects.outcome, "")
    return (
        f'<p class="note">{plain(note)}</p><p class="note{least}">{plainly}'
        f"{plain(effects.words)}.</p>{table_html(effects_table(effects))}"
    )


def _sources(facts: LevelsFacts) -> str:
    rows = "".join(
        f'<tr><td class="text">{plain(one.name)}</td><td class="text"><code '
        f'title="SHA-256 {one.sha256}">{one.sha256[:12]}</code></td><td class="text">'
        f"{plain(one.feed)}</td><td>{clock_text(one.start_ns, seconds=True, day=True)}</td>"
        f"<td>{clock_text(one.end_ns, seconds=True, day=True)}</td>"
        f'<td class="text">{plain(one.fault)}</td></tr>'
        for one in facts.sources
    )
    return (
        '<p class="note">Each moment is read from one raw file. <code>tapemill why</code> leads '
        'from a row to its file.</p><div class="card"><div class="scroll"><table><thead><tr>'
        '<th class="text">file</th><th class="text" title="Start of its SHA-256">hash</th>'
        '<th class="text">feed</th><th title="New York">from</th><th title="New York">to</th>'
        f'<th class="text">fault</th></tr></thead><tbody>{rows}</tbody></table></div></div>'
    )


def _definitions() -> str:
    entries = (
        ("zone", "Levels so near that price cannot tell them apart; drawn as a band."),
        ("approach", "Price comes within the approach band of a zone, perhaps touches it, leaves."),
        ("touch", "The first trade within the touch band of the zone; the first decision."),
        ("sigma", "Volatility of one minute, ticks, as known at the entry."),
        (f"{BARRIER}, {HORIZON} s", "Break or bounce: which of two barriers, one standard "
         f"deviation of {HORIZON} s from the last trade at the decision, is traded first."),
        ("defending side", "Bids at a support, asks at a resistance, within the zone's barrier."),
        ("net", "Added less pulled less filled on the defending side, contracts."),
        ("replenishment", "Added for each contract pulled or filled."),
        ("imbalance", "(Bought − sold) / both, by aggressor, near the level."),
        ("placebo", "A price of no meaning beside each level, drawn at random or shifted in time."),
    )  # fmt: skip
    looks = [
        *((f"barrier: {look.label}", look.meaning) for look in BARRIER_STATES),
        *((f"levels: {look.label}", look.meaning) for look in GROUPS),
    ]
    rows = "".join(
        f"<tr><th>{plain(name)}</th><td>{plain(text)}</td></tr>"
        for name, text in [*entries, *looks]
    )
    return (
        '<p class="note">In full in docs/levels-report.md; every column in '
        "docs/data-dictionary.md.</p>"
        f'<div class="card"><table class="dictionary"><tbody>{rows}</tbody></table></div>'
    )
