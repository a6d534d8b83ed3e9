"""Patterns that intake saw first: answers refused as a whole, whose cells are still open.

The cells come from the ledger, so a finding goes away once a later answer fills them.
"""

from __future__ import annotations

import datetime

import polars as pl

from tapemill.refine.detectors.findings import Finding

__all__ = ["refused_answers"]

_BY_REASON = {
    "replay_incomplete": r"records missing|trailer declares|though Record-Total is",
    "start_anchor_ignored": r"window ignored|the rows are of",
}
"""Kind of finding by what the refusal says; any other refusal is a ``bad_answer``."""


def refused_answers(cells: pl.DataFrame, answers: pl.DataFrame) -> list[Finding]:
    """Cells that are open because their answer could not be believed.

    Parameters
    ----------
    cells : pl.DataFrame
        ``dataset``, ``symbol`` (``"*"`` = the whole market), ``session`` of cells in the ledger's
        state ``bad_answer``.
    answers : pl.DataFrame
        ``answer_id``, ``dataset``, ``symbol``, ``first_session``, ``last_session``, ``reason`` of
        refused answers.
    """
    inside = pl.col("session").is_between(pl.col("first_session"), pl.col("last_session"))
    kind = pl.lit("bad_answer")
    for name, said in _BY_REASON.items():
        kind = pl.when(pl.col("reason").str.contains(said)).then(pl.lit(name)).otherwise(kind)
    refused = (
        cells.join(answers, on=["dataset", "symbol"], how="inner")
        .filter(inside)
        .sort("answer_id")
        .unique(["dataset", "symbol", "session"], keep="last", maintain_order=True)
        .select("dataset", "symbol", "session", "reason", kind=kind)
        .sort("dataset", "symbol", "kind", "session")
    )
    return [
        _finding(str(name), str(dataset), str(symbol), rows)
        for (dataset, symbol, name), rows in refused.group_by(
            "dataset", "symbol", "kind", maintain_order=True
        )
    ]


def _finding(kind: str, dataset: str, symbol: str, rows: pl.DataFrame) -> Finding:
    days: list[datetime.date] = rows["session"].unique().sort().to_list()
    alone = days[0] if len(days) == 1 else None
    span = f"{days[0]}" if alone else f"{days[0]} to {days[-1]}"
    return Finding(
        kind,
        "error",
        dataset,
        symbol,
        alone,
        f"{span}: {rows.height} sessions wait for an answer that can be believed; "
        f"the last one was refused: {rows['reason'][-1]}",
        rows,
    )
