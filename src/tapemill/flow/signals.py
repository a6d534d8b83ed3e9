"""Versions and revisions of composite signals: what is appended, and which rows count now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from tapemill.contracts import contract
from tapemill.flow.composite import inference_version, parameters_json

if TYPE_CHECKING:
    from tapemill.lake import Lake
    from tapemill.settings import FlowSettings

__all__ = ["current_signals", "new_revisions", "register_version"]

_TABLE = "gold.composite_signal"
_VERSIONS = "ops.signal_versions"
_EVENING = ("symbol", "session", "as_of")
_STAMPS = ("inference_version", "revision", "input_digest")


def register_version(lake: Lake, signal: str, code_digest: str, flow: FlowSettings) -> str:
    """The inference version of this code with these parameters.

    It is noted when another one was in use before, be it new or taken up again.
    """
    version = inference_version(code_digest, flow)
    if _last_registered(lake, signal) != version:
        sequence = (lake.tables.committed(_VERSIONS, "build") or 0) + 1
        row = pl.DataFrame(
            {
                "inference_version": [version],
                "signal": [signal],
                "code_digest": [code_digest],
                "parameters": [parameters_json(flow)],
                "registration": [sequence],
                "registered_at": [datetime.fromtimestamp(lake.clock.now_ns() / 1e9, UTC)],
            },
            schema=contract(_VERSIONS).schema,
        )
        lake.tables.append(_VERSIONS, row, writer="build", sequence=sequence)
    return version


def _last_registered(lake: Lake, signal: str) -> str:
    registered = lake.tables.scan(_VERSIONS).filter(pl.col("signal") == signal)
    last = registered.sort("registration").select("inference_version").last().collect()
    return str(last.item()) if last.height else ""


def current_signals(lake: Lake, version: str | None = None) -> pl.LazyFrame:
    """The newest revision of each evening's signal.

    Parameters
    ----------
    lake : Lake
    version : str, optional
        Inference version; the one registered last by default.

    Returns
    -------
    pl.LazyFrame
        Rows of ``gold.composite_signal``, one a symbol and session.
    """
    if version is None:
        version = _last_registered(lake, _TABLE)
    rows = lake.tables.scan(_TABLE).filter(pl.col("inference_version") == version)
    newest = pl.col("revision") == pl.col("revision").max().over(*_EVENING)
    return rows.filter(newest)


def new_revisions(
    made: pl.DataFrame, stored: pl.LazyFrame, version: str, digests: Mapping[str, str]
) -> pl.DataFrame:
    """Rows to append: evenings that are new, and those whose values came out different.

    Parameters
    ----------
    made : pl.DataFrame
        Rows of the contract without version, revision and input digest.
    stored : pl.LazyFrame
        The newest revisions of this version.
    version : str
    digests : mapping of str to str
        Session (ISO date) → digest of its inputs.
    """
    declared = contract(_TABLE)
    values = [name for name in declared.schema.names() if name not in _STAMPS]
    stamped = made.select(values).cast({n: declared.schema[n] for n in values})
    before = stored.filter(pl.col("session").is_in(made["session"].unique().to_list())).collect()
    unchanged = stamped.join(before.select(values), on=values, how="semi", nulls_equal=True)
    fresh = stamped.join(unchanged, on=list(_EVENING), how="anti")
    numbered = fresh.join(before.select(*_EVENING, "revision"), on=list(_EVENING), how="left")
    inputs = pl.DataFrame(
        {"session": list(digests), "input_digest": list(digests.values())}
    ).with_columns(pl.col("session").str.to_date())
    return (
        numbered.with_columns(
            inference_version=pl.lit(version),
            revision=(pl.col("revision").fill_null(0) + 1).cast(pl.Int16),
        )
        .join(inputs, on="session", how="left")
        .select(declared.schema.names())
        .sort(*declared.order)
    )
