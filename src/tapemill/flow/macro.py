"""The market of an evening: its off-exchange short share, breadth, dispersion and usualness.

Made from the rows of the scan, over the eligible names, for the whole market and within each
sector and tier. A percentile compares an evening with the 252 sessions before it, never with
itself, never across a change of weighting, and only with evenings of between half and twice as
many eligible names: the market of thirty funds is another market.
"""

from __future__ import annotations

import bisect
import datetime
from collections.abc import Sequence

import numpy as np
import polars as pl

from tapemill.contracts import contract
from tapemill.flow.evening import as_of_column, sessions_before
from tapemill.flow.robust import CONSISTENCY
from tapemill.settings.declaration import FlowSettings

__all__ = ["LIKE_NAMES", "PERCENTILE_LEAST", "PERCENTILE_SESSIONS", "PRICED_LEAST", "macro_rows"]

PERCENTILE_SESSIONS = 252
"""A year of sessions."""
PERCENTILE_LEAST = 20
"""No percentile among fewer evenings."""
LIKE_NAMES = 2.0
"""Evenings whose numbers of eligible names differ by more than this factor are not compared."""
PRICED_LEAST = 0.9
"""Dollar weights need so many of the eligible priced; the few without are left out of the share."""

_NEEDED = (
    *("symbol", "session", "eligible", "sector", "otc_tier", "last_close", "short_volume"),
    *("total_volume", "short_share", "share_move", "z"),
)


def macro_rows(
    scan: pl.LazyFrame, evenings: Sequence[datetime.date], flow: FlowSettings
) -> pl.DataFrame:
    """Sum up the scan of each evening.

    Parameters
    ----------
    scan : pl.LazyFrame
        Rows of ``gold.flow_scan`` of the evenings and the 252 sessions before the first; those of
        an evening in the order of their symbols, as stored (sums depend on it in the last bit).
    evenings : sequence of date
        An evening without a row of the scan gets none here.
    flow : FlowSettings

    Returns
    -------
    pl.DataFrame
        Contract ``gold.flow_macro``, ordered by session and scope: ``market``, ``sector:NAME``,
        ``tier:T1`` …
    """
    del flow  # every knob of the scan is in its rows already
    made = contract("gold.flow_macro")
    if not evenings:
        return made.empty()
    axis = sessions_before(evenings, PERCENTILE_SESSIONS)
    seen = scan.filter(pl.col("session").is_between(axis[0], axis[-1])).select(_NEEDED)
    scopes = pl.concat(
        [
            _summed(seen, pl.lit("market")),
            _summed(seen, pl.lit("sector:") + pl.col("sector")),
            _summed(seen, pl.lit("tier:") + pl.col("otc_tier")),
        ]
    )
    days = _with_percentiles(scopes.sort("scope", "session").collect(), axis)
    return (
        days.filter(pl.col("session").is_in(list(evenings)))
        .with_columns(as_of=as_of_column(), year=pl.col("session").dt.year())
        .with_columns(known_at=pl.col("as_of"))
        .select(pl.col(name).cast(dtype) for name, dtype in made.schema.items())
        .sort(*made.order)
    )


def _summed(scan: pl.LazyFrame, scope: pl.Expr) -> pl.LazyFrame:
    """One row an evening and scope; rows without the scope's label are left out."""
    close, z = pl.col("last_close"), pl.col("z").filter("eligible")
    share = pl.col("short_share").filter("eligible")
    move = pl.col("share_move").filter("eligible")
    priced = close.is_not_null().filter("eligible").mean()
    counted = pl.col("eligible") & close.is_not_null()
    by_dollar, by_share = (
        (weight * pl.col("short_volume")).filter(among).sum()
        / (weight * pl.col("total_volume")).filter(among).sum()
        for weight, among in ((close, counted), (pl.lit(1.0), pl.col("eligible")))
    )
    dollar = priced >= PRICED_LEAST
    any_name = pl.col("eligible").any()
    return (
        scan.with_columns(scope=scope)
        .filter(pl.col("scope").is_not_null())
        .group_by("scope", "session", maintain_order=True)
        .agg(
            names=pl.col("eligible").sum(),
            rows=pl.len(),
            priced_frac=priced,
            weighting=pl.when(any_name).then(
                pl.when(dollar).then(pl.lit("dollar")).otherwise(pl.lit("share"))
            ),
            short_share=pl.when(any_name).then(pl.when(dollar).then(by_dollar).otherwise(by_share)),
            equal_weight_share=share.mean(),
            breadth=(z > 1).mean() - (z < -1).mean(),
            dispersion=CONSISTENCY * (z - z.median()).abs().median(),
            peer_shift=move.median(),
        )
    )


def _with_percentiles(scopes: pl.DataFrame, axis: Sequence[datetime.date]) -> pl.DataFrame:
    """Mid-ranks among the evenings of the 252 sessions before, scope by scope."""
    parts = []
    for rows in scopes.partition_by("scope", maintain_order=True):
        place = np.array([bisect.bisect_left(axis, day) for day in rows["session"]])
        weighting = rows["weighting"].fill_null("").to_numpy()
        names = rows["names"].to_numpy()
        columns: dict[str, np.ndarray] = {"percentile_days": np.zeros(len(rows), np.int32)}
        for name in ("short_share", "breadth", "dispersion"):
            values = rows[name].fill_null(np.nan).to_numpy()
            columns[name] = np.full(len(rows), np.nan)
            for k, own in enumerate(values):
                past = place[:k] >= place[k] - PERCENTILE_SESSIONS
                past &= (names[:k] * LIKE_NAMES >= names[k]) & (names[:k] <= LIKE_NAMES * names[k])
                if name == "short_share":
                    past &= weighting[:k] == weighting[k]
                before = values[:k][past & np.isfinite(values[:k])]
                if name == "short_share":
                    columns["percentile_days"][k] = len(before)
                if np.isfinite(own) and len(before) >= PERCENTILE_LEAST:
                    tied = (before == own).sum()
                    columns[name][k] = ((before < own).sum() + 0.5 * tied) / len(before)
        parts.append(
            rows.with_columns(
                share_percentile=pl.Series(columns["short_share"], nan_to_null=True),
                breadth_percentile=pl.Series(columns["breadth"], nan_to_null=True),
                dispersion_percentile=pl.Series(columns["dispersion"], nan_to_null=True),
                percentile_days=pl.Series(columns["percentile_days"]),
            )
        )
    nothing = ("share_percentile", "breadth_percentile", "dispersion_percentile")
    if not parts:
        empty = {name: pl.lit(None, pl.Float64()) for name in nothing}
        return scopes.with_columns(percentile_days=pl.lit(None, pl.Int32()), **empty)
    return pl.concat(parts)
