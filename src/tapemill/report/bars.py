"""Candles and volume: one session of minutes, or a daily history raw beside adjusted."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from datetime import date, time, timedelta
from typing import TYPE_CHECKING

import polars as pl

from tapemill.errors import ContractError, UsageError
from tapemill.report.drawing import Drawing
from tapemill.report.layout import session_ticks

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.figure import Figure

__all__ = ["BarPanel", "BarsFigure", "daily_bars", "session_bars"]

_OHLC = ("open", "high", "low", "close")
_PLOT_WIDTH = 1180.0


@dataclasses.dataclass(frozen=True)
class BarPanel:
    """One price panel with its volume.

    Parameters
    ----------
    label : str
        For example ``"as traded"`` or ``"split-adjusted"``.
    bars : pl.DataFrame
        Columns ``at`` (position on the shared axis: minute or session ordinal), ``name`` (what a
        hover calls the bar), open, high, low, close and volume.
    """

    label: str
    bars: pl.DataFrame


@dataclasses.dataclass
class BarsFigure(Drawing):
    """Candlestick panels over one time axis; can be changed before it is written.

    Parameters
    ----------
    panels : tuple of BarPanel
    title, subtitle : str
    span : tuple of float
        First and last position of the axis.
    ticks : tuple of (position, label)
    events : tuple of (position, label)
        Vertical marks, for example splits.
    bands : tuple of (first, last, label)
        Shaded stretches, for example minutes without a bar.
    """

    panels: tuple[BarPanel, ...]
    title: str
    subtitle: str
    span: tuple[float, float]
    ticks: tuple[tuple[float, str], ...]
    events: tuple[tuple[float, str], ...] = ()
    bands: tuple[tuple[float, float, str], ...] = ()

    def figure(self) -> go.Figure:
        """A new Plotly figure."""
        from tapemill.report._bars_plotly import draw

        return draw(self)

    def matplotlib_figure(self) -> Figure:
        """A new Matplotlib figure."""
        from tapemill.report._bars_matplotlib import draw

        return draw(self)


def session_bars(bars: pl.DataFrame, *, title: str, subtitle: str = "") -> BarsFigure:
    """One symbol's regular session; minutes without a bar stay open and are shaded.

    Parameters
    ----------
    bars : pl.DataFrame
        Rows of ``silver.equity_bars_1m`` of one symbol and one session: ``minute_of_session``
        (0 = 09:30 New York time), open, high, low, close, volume, and ``segment`` if there is one
        (only ``rth`` is drawn).
    title, subtitle : str

    Raises
    ------
    UsageError
        There is no bar, or more than one symbol or session.
    ContractError
        A column is missing.
    """
    _require(bars, "minute_of_session", *_OHLC, "volume")
    if "segment" in bars.columns:
        bars = bars.filter(pl.col("segment") == "rth")
    single = [name for name in ("symbol", "session") if name in bars.columns]
    if bars.is_empty() or bars.select(single).n_unique() > 1:
        raise UsageError(
            f"a session figure needs the bars of one symbol and session, got {bars.height} rows",
            next_step="filter silver.equity_bars_1m to one symbol and one session",
        )
    at = pl.col("minute_of_session").cast(pl.Float64)
    clock = pl.time(9, 30).cast(pl.Int64) // 60_000_000_000 + pl.col("minute_of_session")
    name = pl.format("{}:{}", *(_two(part) for part in (clock // 60, clock % 60)))
    panel = bars.select(at.alias("at"), name.alias("name"), *_OHLC, "volume").sort("at")
    last = max(389.0, float(panel["at"].max() or 0.0))  # type: ignore[arg-type]
    ticks = tuple((float(m), _eastern(m)) for m in range(0, int(last) + 2, 30))
    return BarsFigure(
        (BarPanel("", panel),),
        title,
        subtitle,
        (-1.0, last + 1.0),
        ticks,
        bands=_gaps(panel["at"].cast(pl.Int64).to_list()),
    )


def daily_bars(
    raw: pl.DataFrame,
    adjusted: pl.DataFrame | None = None,
    *,
    title: str,
    subtitle: str = "",
    splits: Sequence[tuple[date, str]] = (),
    labels: tuple[str, str] = ("as traded", "split-adjusted"),
) -> BarsFigure:
    """One symbol's daily history as traded and, beneath it, adjusted.

    Parameters
    ----------
    raw, adjusted : pl.DataFrame
        ``session``, open, high, low, close, volume; one row a session.
    title, subtitle : str
    splits : sequence of (ex-date, label)
        Marked in every panel.
    labels : tuple of str

    Raises
    ------
    UsageError
        There is no bar, or a session occurs twice.
    ContractError
        A column is missing.
    """
    frames = [raw] if adjusted is None else [raw, adjusted]
    for frame in frames:
        _require(frame, "session", *_OHLC, "volume")
        if frame.is_empty() or frame["session"].is_duplicated().any():
            raise UsageError(
                f"a daily figure needs one bar a session of one symbol, got {frame.height} rows",
                next_step="filter silver.equity_bars_1d to one symbol",
            )
    sessions = pl.concat([frame.select("session") for frame in frames]).unique().sort("session")
    days: list[date] = sessions["session"].to_list()
    place = sessions.with_row_index("row").with_columns(at=pl.col("row").cast(pl.Float64))
    panels = tuple(
        BarPanel(
            label if len(frames) > 1 else "",
            frame.join(place, on="session")
            .sort("at")
            .select(
                "at", pl.col("session").dt.strftime("%a %Y-%m-%d").alias("name"), *_OHLC, "volume"
            ),
        )
        for label, frame in zip(labels, frames, strict=False)
    )
    positions, texts = session_ticks(days, _PLOT_WIDTH / len(days))
    events = tuple(
        (float(sum(day < ex_date for day in days)) - 0.5, text)
        for ex_date, text in splits
        if days[0] <= ex_date <= days[-1]
    )
    return BarsFigure(
        panels,
        title,
        subtitle,
        (-1.0, float(len(days))),
        tuple((float(p), t) for p, t in zip(positions, texts, strict=True)),
        events=events,
    )


def _require(frame: pl.DataFrame, *columns: str) -> None:
    absent = [name for name in columns if name not in frame.columns]
    if absent:
        raise ContractError(
            f"the bars lack the columns {', '.join(absent)}",
            next_step="pass rows of a silver bar dataset",
        )


def _two(part: pl.Expr) -> pl.Expr:
    return part.cast(pl.Int64).cast(pl.String).str.zfill(2)


def _eastern(minute: int) -> str:
    moment = timedelta(hours=9, minutes=30 + minute)
    return f"{time(moment.seconds // 3600, moment.seconds // 60 % 60):%H:%M}"


def _gaps(minutes: list[int], least: int = 5) -> tuple[tuple[float, float, str], ...]:
    """Stretches of `least` or more minutes without a bar, between two bars."""
    return tuple(
        (a + 0.5, b - 0.5, f"{b - a - 1} min without a bar")
        for a, b in itertools.pairwise(minutes)
        if b - a - 1 >= least
    )
