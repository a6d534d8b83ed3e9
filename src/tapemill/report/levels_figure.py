"""The figure of a page of levels: price over the book, and what defended and hit each level."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tapemill.report.drawing import Drawing
from tapemill.report.levels_facts import WINDOW, LevelsFacts
from tapemill.report.levels_notes import clock_text
from tapemill.report.levels_scene import MAIN_HEIGHT, Scene, make_scene
from tapemill.report.levels_style import Look, outcome_look, state_look
from tapemill.report.levels_tape import wider

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.figure import Figure

__all__ = ["Decided", "LevelsFigure", "Track", "levels_figure"]

LEFT, RIGHT, TOP, BETWEEN, BOTTOM = 66, 300, 78, 34, 54
"""px around and between the tracks."""
_EMPTY = 44

_CONFIG = {
    "displaylogo": False,
    "responsive": True,
    "scrollZoom": True,
    "doubleClick": "reset",
    "modeBarButtons": [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]],
    "toImageButtonOptions": {"scale": 2},
}


@dataclasses.dataclass(frozen=True)
class Decided:
    """One decision of a real, touched episode: what the tracks show of it."""

    at: float
    delay: int
    net: float | None
    replenishment: float | None
    imbalance: float | None
    state: Look
    outcome: Look
    hover: str


@dataclasses.dataclass(frozen=True)
class Track:
    """One chart of the stack: where it stands (px from the top) and how high it is."""

    key: str
    title: str
    top: int
    height: int
    absent: str = ""


@dataclasses.dataclass(frozen=True)
class LevelsFigure(Drawing):
    """Price, book, levels and episodes over the tracks of barrier and tape.

    Attributes
    ----------
    title, subtitle, footer : str
        The footer stands on the picture only: a page says the same above it.
    scene : Scene
    decided : tuple of Decided
    tracks : tuple of Track
    volume : tuple
        Seconds a bar, start of each (ms of New York wall time), bought, sold (contracts).
    """

    title: str
    subtitle: str
    footer: str
    scene: Scene
    decided: tuple[Decided, ...]
    tracks: tuple[Track, ...]
    volume: tuple[int, Any, Any, Any]

    @property
    def height(self) -> int:
        """px of the whole figure."""
        last = self.tracks[-1]
        return last.top + last.height + BOTTOM

    def figure(self) -> go.Figure:
        """See :class:`Drawing`."""
        from tapemill.report._levels_plotly import draw

        return draw(self)

    def matplotlib_figure(self) -> Figure:
        """See :class:`Drawing`."""
        from tapemill.report._levels_matplotlib import draw

        return draw(self)

    def div(self, name: str) -> str:
        """The figure as a fragment as wide as the page, to be zoomed and moved by the mouse."""
        import plotly.io

        return str(
            plotly.io.to_html(
                self.figure(),
                full_html=False,
                include_plotlyjs=False,
                div_id=name,
                config=_CONFIG,
                default_width="100%",
            )
        )


def levels_figure(facts: LevelsFacts) -> LevelsFigure:
    """Lay out the figure of one contract and trade date."""
    scene = make_scene(facts)
    decided = tuple(_decided(facts, scene))
    seconds, at, buy, sell = wider(facts.tape, facts.start_ns, facts.end_ns)
    touched = facts.decisions.filter(pl.col("family") == "real")
    why = (
        "no real level was touched: there is no decision to show"
        if touched.is_empty()
        else "the window before the decisions was not whole"
    )
    nets, ratios, tilts = (
        any(getattr(one, name) is not None for one in decided)
        for name in ("net", "replenishment", "imbalance")
    )
    window = f"{WINDOW[:-1]} s before each decision"
    plan = (
        ("price", "", MAIN_HEIGHT, ""),
        ("net", f"Barrier: net change of the defending side, {window} (contracts; colour and "
         "letter: state)", 104, "" if nets else why),
        ("replenishment", f"Replenishment: added for each contract that went, {window} (log)", 76,
         "" if ratios else why),
        ("volume", f"Tape: bought above, sold below, by aggressor, each {_span(seconds)} "
         "(contracts)", 96, ""),
        ("imbalance", f"Tape at the level: (bought − sold) / both, {window}", 70,
         "" if tilts else why),
    )  # fmt: skip
    tracks, top = [], TOP
    for key, title, height, absent in plan:
        tall = _EMPTY if absent else height
        tracks.append(Track(key, title, top, tall, absent))
        top += tall + BETWEEN
    return LevelsFigure(
        f"{facts.symbol}  {facts.session:%a %Y-%m-%d}",
        _subtitle(facts),
        _footer(facts),
        scene,
        decided,
        tuple(tracks),
        (seconds, scene.ms(at), buy, sell),
    )


def _span(seconds: int) -> str:
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min"


def _subtitle(facts: LevelsFacts) -> str:
    real = facts.approaches
    touched = real.filter(pl.col("touch_ns").is_not_null())
    counts = touched["outcome"].value_counts().sort("outcome").iter_rows()
    said = ", ".join(f"{count} {outcome_look(name).label}" for name, count in counts)
    stretch = (
        f"{clock_text(facts.start_ns, day=True)} to {clock_text(facts.end_ns, day=True)} New York"
    )
    episodes = f"{real.height} approaches to real levels, {touched.height} touched"
    return "  ·  ".join((stretch, episodes + (f": {said} (k1, 240 s)" if said else "")))


def _footer(facts: LevelsFacts) -> str:
    known = (
        f"as known at {facts.as_of:%Y-%m-%d %H:%M:%S} UTC"
        if facts.as_of
        else "as the lake knows it"
    )
    files = ", ".join(f"{one.name} ({one.sha256[:8]})" for one in facts.sources[:2])
    more = f" and {len(facts.sources) - 2} more" if len(facts.sources) > 2 else ""
    grave = next((f"  ·  careful: {note}" for note in facts.notes if ": no " not in note), "")
    return f"{known}  ·  {files}{more}{grave}"


def _decided(facts: LevelsFacts, scene: Scene) -> list[Decided]:
    rows = facts.decisions.filter(
        pl.col("family") == "real",
        pl.col("decision_ns").is_between(facts.start_ns, facts.end_ns),
    )
    found = []
    for row in rows.iter_rows(named=True):
        state = state_look(row["barrier_state"])
        outcome = outcome_look(row["outcome"] or "unknown")
        side = "ask, resistance" if row["direction"] > 0 else "bid, support"
        lines = (
            f"<b>{row['kinds'] or ''}</b> ({side}) {clock_text(row['decision_ns'], seconds=True)} "
            f"ET, touch + {row['delay_seconds']} s: <b>{state.label}</b>",
            f"added {_written(row['barrier_added'])}, pulled {_written(row['barrier_canceled'])}, "
            f"filled {_written(row['barrier_filled'])} contracts; then {outcome.label}",
        )
        found.append(
            Decided(
                float(scene.ms(row["decision_ns"])),
                row["delay_seconds"],
                row["barrier_net"],
                row["barrier_replenishment"],
                row["tape_imbalance"],
                state,
                outcome,
                "<br>".join(lines),
            )
        )
    return found


def _written(value: float | None, digits: int = 0) -> str:
    return "unknown" if value is None or np.isnan(value) else f"{value:,.{digits}f}"
