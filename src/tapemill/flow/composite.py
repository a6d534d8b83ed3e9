"""The composite signal: direction, pressure and participation in one score and one label.

Each evening's score comes from its own row of ``gold.flow_daily`` alone; only the label looks back,
through the state of the session before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from tapemill.clock import calendar
from tapemill.contracts import contract
from tapemill.flow.confidence import confidence
from tapemill.flow.labels import LABELS, LabelState, step_labels

if TYPE_CHECKING:
    from tapemill.settings.declaration import FlowSettings

__all__ = ["composite_rows", "inference_version", "parameters_json"]

_TABLE = "gold.composite_signal"
_STAMPED = ("inference_version", "revision", "input_digest")
_HELD = {"accumulate": 1, "distribute": -1}
_VERSION_DIGITS = 12


def parameters_json(flow: FlowSettings) -> str:
    """Every parameter of flow as JSON with sorted keys."""
    return msgspec.json.encode(flow, order="sorted").decode()


def inference_version(code_digest: str, flow: FlowSettings) -> str:
    """Name of a version: 12 hex digits of the SHA-256 of code digest and parameters."""
    text = f"{code_digest}\n{parameters_json(flow)}"
    return hashlib.sha256(text.encode()).hexdigest()[:_VERSION_DIGITS]


def composite_rows(daily: pl.DataFrame, before: pl.DataFrame, flow: FlowSettings) -> pl.DataFrame:
    """Composite signals of the evenings of `daily`.

    Parameters
    ----------
    daily : pl.DataFrame
        Rows of ``gold.flow_daily``, at most one a symbol and session.
    before : pl.DataFrame
        Rows of ``gold.composite_signal`` of earlier evenings: ``symbol``, ``session``,
        ``final_label``, ``pending_label``, ``pending_evenings``. Only the rows of the session
        before the first evening count; more do no harm, none begins anew.
    flow : FlowSettings

    Returns
    -------
    pl.DataFrame
        Contract ``gold.composite_signal`` without inference version, revision and input digest,
        sorted by session and symbol. The same rows whether evenings come together or one by one.
    """
    scored = _scores(daily, flow).sort("session", "symbol")
    labelled = _labels(scored, before, flow)
    schema = contract(_TABLE).schema
    wanted = {name: kind for name, kind in schema.items() if name not in _STAMPED}
    return labelled.select(pl.col(name).cast(kind) for name, kind in wanted.items())


def _scores(daily: pl.DataFrame, flow: FlowSettings) -> pl.DataFrame:
    """Scores, confidence and evidence; ``divergent`` and ``insufficient`` for the labels."""
    d, p = pl.col("directional_score"), pl.col("pressure_score")
    w_d = pl.when(d.is_null()).then(0.0).otherwise(flow.direction_weight)
    agreed = (w_d * d.fill_null(0.0) + flow.pressure_weight * p) / (w_d + flow.pressure_weight)
    # An unknown participation changes nothing here and lowers the confidence instead.
    size = (0.75 + 0.5 * pl.col("participation_score")).fill_null(1.0)
    score = (agreed * size * pl.col("confidence")).clip(-1.0, 1.0)
    beyond = flow.divergence
    divergent = ((d > beyond) & (p < -beyond)) | ((d < -beyond) & (p > beyond))
    return (
        daily.with_columns(
            directional_score=_direction(),
            pressure_score=pl.when("has_short").then("pressure_score"),
            participation_score=pl.when("has_otc").then("otc_participation_percentile"),
        )
        .with_columns(confidence=confidence())
        # 0 / 0 where the weights of all that is known are zero: nothing was asked for.
        .with_columns(composite_score=pl.when(score.is_finite()).then(score))
        .with_columns(
            data_quality=_evidence(),
            divergent=divergent.fill_null(value=False),
            insufficient=(pl.col("confidence") < flow.min_confidence)
            | p.is_null()
            | pl.col("composite_score").is_null(),
        )
    )


def _direction() -> pl.Expr:
    """Ticks: exchanges and TRF prints, those of the two that are known. Else the whole tape."""
    parts = pl.mean_horizontal((pl.col("lit_z") / 2).tanh(), (pl.col("trf_z") / 2).tanh())
    whole = (pl.col("tape_z") / 2).tanh()
    return pl.when(pl.col("tape_mode").eq_missing("tick")).then(parts).otherwise(whole)


def _evidence() -> pl.Expr:
    parts = pl.concat_str(
        pl.when("has_short").then(pl.lit("short")),
        pl.when(pl.col("directional_score").is_not_null()).then("tape_mode"),
        pl.when("has_otc").then(pl.lit("otc")),
        pl.when("has_price").then(pl.lit("price")),
        separator="+",
        ignore_nulls=True,
    )
    return pl.when(parts == "").then(pl.lit("none")).otherwise(parts)


# -- labels --------------------------------------------------------------------------------------


def _labels(scored: pl.DataFrame, before: pl.DataFrame, flow: FlowSettings) -> pl.DataFrame:
    """Walk the evenings in order, all symbols of an evening at once."""
    symbols = scored["symbol"].unique().sort()
    places = symbols.search_sorted(scored["symbol"]).to_numpy()
    days = scored["session"].unique().sort()
    sessions: list[date] = days.to_list()
    columns = [
        scored["composite_score"].fill_null(float("nan")).to_numpy(),
        scored["divergent"].to_numpy(),
        scored["insufficient"].to_numpy(),
    ]
    bounds = [*scored["session"].search_sorted(days), scored.height]
    codes = np.zeros(scored.height, dtype=np.int8)
    pending, waited = codes.copy(), codes.copy()
    state = LabelState.empty(len(symbols))
    previous = None
    for session, start, stop in zip(sessions, bounds[:-1], bounds[1:], strict=True):
        eve = calendar("XNYS").previous(session)
        if previous != eve:
            state = _stored_state(before, symbols, eve)
        rows, here = slice(start, stop), places[start:stop]
        score, divergent, insufficient = (column[rows] for column in columns)
        codes[rows], stepped = step_labels(
            LabelState(state.held[here], state.pending[here], state.waited[here]),
            score,
            divergent,
            insufficient,
            enter=flow.label_enter,
            leave=flow.label_exit,
            evenings=flow.persistence_evenings,
        )
        pending[rows], waited[rows] = stepped.pending, stepped.waited
        # Symbols without a row tonight hold nothing tomorrow.
        state = LabelState.empty(len(symbols))
        state.held[here], state.pending[here] = stepped.held, stepped.pending
        state.waited[here] = stepped.waited
        previous = session
    return scored.with_columns(
        final_label=_words(codes),
        pending_label=_words(pending).replace("neutral", None),
        pending_evenings=pl.Series(waited, dtype=pl.Int32).replace(0, None),
    )


def _words(codes: npt.NDArray[np.int8]) -> pl.Series:
    return pl.Series(codes, dtype=pl.Int8).replace_strict(LABELS, return_dtype=pl.String)


def _stored_state(before: pl.DataFrame, symbols: pl.Series, eve: date) -> LabelState:
    """The state after the evening of `eve`, from its stored rows."""
    state = LabelState.empty(len(symbols))
    if before.is_empty():
        return state
    rows = before.filter(pl.col("session") == eve, pl.col("symbol").is_in(symbols.to_list()))
    here = symbols.search_sorted(rows["symbol"]).to_numpy()
    state.held[here] = _sides(rows["final_label"].to_list())
    state.pending[here] = _sides(rows["pending_label"].to_list())
    state.waited[here] = rows["pending_evenings"].fill_null(0).to_numpy()
    return state


def _sides(labels: Sequence[str | None]) -> list[int]:
    """1, −1, or 0 for every label that holds nothing."""
    return [_HELD.get(label or "", 0) for label in labels]
