"""Direction of the tape: which side of the visible prints was the aggressor.

Ticks tell exchanges and off-exchange prints apart; minute bars know only the whole tape. The two
are different measurements, so a z-score compares a session only with earlier ones of its own mode.
"""

from __future__ import annotations

import polars as pl

from tapemill.flow.inputs import EveningInputs
from tapemill.flow.panel import matrices_of
from tapemill.flow.price_block import prior_z
from tapemill.flow.short_block import row_places
from tapemill.settings.declaration import FlowSettings

__all__ = ["MODES", "tape_block"]

MODES = ("tick", "minute")
"""Best first."""

_KEYS = ("symbol", "session")
_SIDES = {
    "tape": ("buy_volume", "sell_volume"),
    "lit": ("lit_buy_volume", "lit_sell_volume"),
    "trf": ("trf_buy_volume", "trf_sell_volume"),
    "retail": ("retail_buy_volume", "retail_sell_volume"),
}
_RUNGS = {
    "quote_rule_frac": "quote_rule_volume",
    "midpoint_frac": "midpoint_volume",
    "tick_rule_frac": "tick_rule_volume",
    "bulk_frac": "bulk_volume",
}
_TICK_ONLY = (
    *("lit_buy_volume", "lit_sell_volume", "lit_imbalance", "lit_z"),
    *("trf_buy_volume", "trf_sell_volume", "trf_imbalance", "trf_z", "retail_imbalance"),
)
_MEASURED = (
    *("tape_mode", "tape_buy_volume", "tape_sell_volume", "tape_unclassified_volume"),
    *("tape_imbalance", "tape_z", *_RUNGS, *_TICK_ONLY),
)


def tape_block(inputs: EveningInputs, cells: pl.DataFrame, flow: FlowSettings) -> pl.DataFrame:
    """Direction of each cell's tape in the best mode there is.

    Parameters
    ----------
    inputs : EveningInputs
    cells : pl.DataFrame
        ``symbol``, ``session``, and their places ``row``, ``column`` in the panel.
    flow : FlowSettings

    Returns
    -------
    pl.DataFrame
        One row a cell, in the order of `cells`: ``symbol``, ``session``, ``has_tape`` and the
        metrics of the blocks ``tape``, ``lit`` and ``trf``. ``tape_mode`` is ``none`` without a
        tape. Imbalances (buy − sell) / (buy + sell) are null under `min_tape_volume` shares; the
        parts by rung are of all volume, unclassified included.
    """
    modes = [_of_mode(inputs, mode, flow) for mode in MODES]
    best = pl.concat(modes).unique(subset=_KEYS, keep="first", maintain_order=True)
    place = row_places(best, cells, inputs.panel)
    found = cells.select(_KEYS).with_columns(best[name].gather(place) for name in _MEASURED)
    return found.with_columns(
        pl.col("tape_mode").fill_null("none"),
        has_tape=pl.col("tape_imbalance").is_not_null(),
    )


def _of_mode(inputs: EveningInputs, mode: str, flow: FlowSettings) -> pl.DataFrame:
    """Measured rows of the evenings in one mode."""
    rows = inputs.tape.filter(pl.col("mode") == mode)
    everything = (
        pl.col("buy_volume") + pl.col("sell_volume") + pl.col("unclassified_volume").fill_null(0.0)
    )
    rows = rows.select(
        *_KEYS,
        tape_mode="mode",
        tape_buy_volume="buy_volume",
        tape_sell_volume="sell_volume",
        tape_unclassified_volume="unclassified_volume",
        **{f"{name}_imbalance": _imbalance(*sides, flow) for name, sides in _SIDES.items()},
        **{
            name: pl.when(everything > 0).then(pl.col(volume) / everything)
            for name, volume in _RUNGS.items()
        },
        **{side: pl.col(side) for name in ("lit", "trf") for side in _SIDES[name]},
    )
    if mode != "tick":
        # Minute bars cannot tell venues apart, whatever the sums hold.
        blank = [name for name in _TICK_ONLY if not name.endswith("_z")]
        rows = rows.with_columns(pl.lit(None, dtype=pl.Float64()).alias(name) for name in blank)
    return _with_z(rows, inputs, flow).select(*_KEYS, *_MEASURED)


def _imbalance(buy: str, sell: str, flow: FlowSettings) -> pl.Expr:
    classified = pl.col(buy) + pl.col(sell)
    enough = (classified > 0) & (classified >= flow.min_tape_volume)
    return pl.when(enough).then((pl.col(buy) - pl.col(sell)) / classified)


def _with_z(rows: pl.DataFrame, inputs: EveningInputs, flow: FlowSettings) -> pl.DataFrame:
    """Rows of the evenings with their z against the prior sessions in `rows`."""
    names = ("tape", "lit", "trf")
    if rows.is_empty():
        unknown = pl.lit(None, dtype=pl.Float64())
        return rows.with_columns(unknown.alias(f"{name}_z") for name in names)
    symbols = rows["symbol"].unique().sort().to_list()
    sessions = inputs.panel.sessions
    values = matrices_of(rows, [f"{name}_imbalance" for name in names], symbols, sessions)
    wanted = rows.filter(pl.col("session").is_in(inputs.evenings))
    down = pl.Series(symbols, dtype=pl.String()).search_sorted(wanted["symbol"]).to_numpy()
    across = pl.Series(sessions, dtype=pl.Date()).search_sorted(wanted["session"]).to_numpy()
    return wanted.with_columns(
        pl.Series(
            f"{name}_z",
            prior_z(values[f"{name}_imbalance"], flow.baseline_sessions, flow.baseline_min_days)[
                down, across
            ],
            nan_to_null=True,
        )
        for name in names
    )
