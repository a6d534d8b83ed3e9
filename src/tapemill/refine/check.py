"""The verdict: coverage cells, named defect patterns, totals; red where data is not credible."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from tapemill.clock.injected import Clock
from tapemill.contracts import contract
from tapemill.errors import UnknownNameError, did_you_mean
from tapemill.lake import Lake
from tapemill.lake.control import MARKET
from tapemill.refine.check_lanes import current, of_lanes
from tapemill.refine.coverage_plan import JUDGED, Judged, ledger_states
from tapemill.refine.detectors import (
    Finding,
    bars_end_at_noon,
    closing_bar_missing,
    minute_file_absent,
    off_exchange_prints,
    refused_answers,
    replay_incomplete,
    sentinel_value,
    session_cut_1530,
    split_unadjusted,
)
from tapemill.refine.futures_checks import check_futures
from tapemill.settings import Settings

__all__ = ["CheckReport", "check"]

_CELL = ("symbol", "session")
_COVERAGE = "silver.coverage"
_DAILY = "silver.equity_bars_1d"
_SPLITS = "reference.adjustments"
_FILES = "bronze.databento_files"
_CONTRACTS = "reference.futures_contracts"
_ORDERS = ("silver.futures_events", _FILES, _CONTRACTS, "reference.futures_rolls")
"""What findings of order data are about."""


@dataclasses.dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Attributes
    ----------
    cells : pl.DataFrame
        Rows of ``silver.coverage``.
    findings : tuple of Finding
        Defect patterns, errors first.
    quarantined, incidents : int
        Rows of the asked symbols and sessions in quarantine, of every dataset and also where no
        cell is due; open incidents.
    """

    cells: pl.DataFrame
    findings: tuple[Finding, ...]
    quarantined: int
    incidents: int

    def with_findings(self, more: Iterable[Finding]) -> CheckReport:
        """This report with `more` findings in their places."""
        return dataclasses.replace(self, findings=_sorted([*self.findings, *more]))

    @property
    def red(self) -> int:
        """Red cells, missing cells, and findings that are errors; above zero fails a check."""
        bad = self.cells.filter(pl.col("state").is_in(["red", "missing"])).height
        return bad + sum(finding.severity == "error" for finding in self.findings)

    @property
    def totals(self) -> list[dict[str, object]]:
        """Per dataset: symbols, sessions, cells, and cells by state."""
        states = ("green", "amber", "red", "halt", "empty", "missing")
        return (
            self.cells.group_by("dataset")
            .agg(
                symbols=pl.col("symbol").n_unique(),
                sessions=pl.col("session").n_unique(),
                cells=pl.len(),
                **{state: (pl.col("state") == state).sum() for state in states},
            )
            .sort("dataset")
            .to_dicts()
        )

    def summary(self) -> dict[str, Any]:
        """The report for tables and JSON."""
        return {
            "datasets": self.totals,
            "findings": [finding.summary() for finding in self.findings],
            "quarantined": self.quarantined,
            "incidents": self.incidents,
            "red": self.red,
        }


def check(
    lake: Lake,
    settings: Settings,
    clock: Clock,
    symbols: Sequence[str] | None = None,
    start: datetime.date | None = None,
    end: datetime.date | None = None,
    dataset: str | None = None,
) -> CheckReport:
    """Judge what has been built; nothing is written.

    Parameters
    ----------
    lake, settings, clock
    symbols : sequence of str, optional
    start, end : date, optional
        First and last session.
    dataset : str, optional
        Only this silver dataset.

    Raises
    ------
    UnknownNameError
        No such dataset or symbol.
    LakeError
        Nothing was built yet.
    """
    if dataset is not None:
        contract(dataset)
    built = lake.datasets()
    cells = _cells(lake, built, symbols, start, end)
    if dataset is not None:
        cells = cells.filter(pl.col("dataset") == dataset)
    findings: list[Finding] = []
    for judged in JUDGED:
        mine = cells.filter(pl.col("dataset") == judged.silver)
        if not mine.is_empty():
            findings += _of_minutes(lake, settings, judged, mine)
    if dataset in (None, _DAILY) and _DAILY in built:
        findings += _of_days(lake, settings, symbols, start, end)
    if dataset is None:
        findings += _of_refusals(lake, symbols, start, end)
    if dataset in (None, *_ORDERS) and _FILES in built:
        found = _of_orders(lake, symbols, start, end)
        findings += [one for one in found if dataset in (None, one.dataset)]
    return CheckReport(
        cells,
        _sorted(findings),
        _quarantined(lake, symbols, start, end, dataset),
        len(lake.control.incidents.open_incidents()),
    )


def _sorted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors first, then by name, data, session and symbol."""
    order = {"error": 0, "warning": 1, "info": 2}
    return tuple(
        sorted(
            findings,
            key=lambda f: (order[f.severity], f.kind, f.dataset, str(f.session), f.subject),
        )
    )


def _cells(
    lake: Lake,
    built: Sequence[str],
    symbols: Sequence[str] | None,
    start: datetime.date | None,
    end: datetime.date | None,
) -> pl.DataFrame:
    """Coverage of bars; empty where daily bars or order data alone have no minutes to count."""
    bars = symbols
    if symbols is not None and _CONTRACTS in built:
        known = set(lake.tables.scan(_CONTRACTS).select("symbol").collect()["symbol"])
        bars = [symbol for symbol in symbols if symbol not in known]
        if bars and _COVERAGE not in built and _DAILY not in built:
            raise UnknownNameError(
                f"no order data of {', '.join(bars)}",
                where=f"{len(known):,} contracts are there",
                next_step=did_you_mean(bars[0], known) or "import it first",
            )
    without = _COVERAGE not in built and (_DAILY in built or _FILES in built)
    if without or (bars == [] and _COVERAGE in built):
        return contract(_COVERAGE).empty()
    return lake.scan(_COVERAGE, bars, start, end).collect()


def _of_orders(
    lake: Lake,
    symbols: Sequence[str] | None,
    start: datetime.date | None,
    end: datetime.date | None,
) -> list[Finding]:
    """Patterns in order data, once it is known which contracts there are."""
    if all(lake.tables.exists(name) for name in _ORDERS):
        return check_futures(lake, symbols, start, end)
    files = lake.tables.scan(_FILES).collect()
    text = f"{files.height} files of order data are not judged; run `tapemill build` first"
    return [Finding("orders_not_built", "warning", _FILES, "all", None, text, files)]


def _quarantined(
    lake: Lake,
    symbols: Sequence[str] | None,
    start: datetime.date | None,
    end: datetime.date | None,
    dataset: str | None,
) -> int:
    rows = lake.tables.scan("ops.quarantine")
    if dataset is not None:
        lanes = [name for judged in JUDGED if judged.silver == dataset for name in judged.bronze]
        rows = rows.filter(pl.col("dataset").is_in([dataset, *lanes]))
    if symbols is not None:
        rows = rows.filter(pl.col("symbol").is_in(list(symbols)))
    if start is not None:
        rows = rows.filter(pl.col("session") >= start)
    if end is not None:
        rows = rows.filter(pl.col("session") <= end)
    return int(rows.select(pl.len()).collect().item())


def _of_minutes(
    lake: Lake, settings: Settings, judged: Judged, cells: pl.DataFrame
) -> list[Finding]:
    """Patterns in minute bars, month by month so that memory stays bounded."""
    found = [
        *session_cut_1530(cells),
        *bars_end_at_noon(cells),
        *closing_bar_missing(cells),
        *minute_file_absent(cells),
        *_vendor_incidents(cells),
        *of_lanes(lake, judged, cells),
    ]
    sums = []
    for (month,), part in cells.group_by(
        pl.col("session").dt.strftime("%Y-%m"), maintain_order=True
    ):
        del month
        bars = _bars(lake, judged.silver, part)
        found += sentinel_value(judged.silver, bars, settings.checks.sentinels)
        found += off_exchange_prints(
            judged.silver, bars, jump_multiple=settings.checks.jump_mad_multiple
        )
        sums.append(
            bars.group_by(_CELL).agg(
                volume=pl.when(pl.col("volume").is_not_null().any()).then(pl.col("volume").sum())
            )
        )
    if judged.calendar == "XNYS":
        daily = current(lake, _DAILY).select(*_CELL, "volume").collect()
        partial = ledger_states(lake, judged).filter(pl.col("ledger_state") == "partial")
        partial = partial.join(cells.select(_CELL), on=_CELL, how="semi")
        found += replay_incomplete(judged.silver, pl.concat(sums), daily, partial)
    return found


def _bars(lake: Lake, dataset: str, cells: pl.DataFrame) -> pl.DataFrame:
    days = cells["session"].unique().sort()
    symbols = cells["symbol"].unique().to_list()
    return (
        lake.tables.scan(dataset, start=days[0], end=days[-1])
        .filter(
            pl.col("superseded_at").is_null()
            & pl.col("session").is_in(days.to_list())
            & pl.col("symbol").is_in(symbols)
        )
        .select(*_CELL, "ts_event", "segment", "open", "high", "low", "close", "volume")
        .sort("symbol", "ts_event")
        .collect()
    )


def _vendor_incidents(cells: pl.DataFrame) -> list[Finding]:
    """One finding a session whose cells carry the mark."""
    marked = cells.filter(pl.col("reasons").str.contains("vendor_incident", literal=True))
    return [
        Finding(
            "vendor_incident",
            "warning",
            str(rows["dataset"][0]),
            f"{rows.height} symbols",
            rows["session"][0],
            f"{rows['session'][0]}: {rows.height} symbols miss the same minutes as others",
            rows,
        )
        for _, rows in marked.sort("session", "symbol").group_by("session", maintain_order=True)
    ]


def _of_refusals(
    lake: Lake,
    symbols: Sequence[str] | None,
    start: datetime.date | None,
    end: datetime.date | None,
) -> list[Finding]:
    """Answers that were refused, in every lane, where nothing better came since."""
    frames = lake.control.frames(["ops.cells", "ops.answers"])
    cells = frames["ops.cells"].filter(pl.col("state") == "bad_answer")
    if symbols is not None:
        cells = cells.filter(pl.col("symbol").is_in([*symbols, MARKET]))
    if start is not None:
        cells = cells.filter(pl.col("session") >= start)
    if end is not None:
        cells = cells.filter(pl.col("session") <= end)
    answers = frames["ops.answers"].filter(pl.col("outcome") == "bad-answer")
    return refused_answers(
        cells.select("dataset", *_CELL),
        answers.select("answer_id", "dataset", "symbol", "first_session", "last_session", "reason"),
    )


def _of_days(
    lake: Lake,
    settings: Settings,
    symbols: Sequence[str] | None,
    start: datetime.date | None,
    end: datetime.date | None,
) -> list[Finding]:
    """Patterns in daily bars: sentinels, and splits on the wrong basis."""
    judged = pl.lit(value=True)
    if symbols is not None:
        judged &= pl.col("symbol").is_in(list(symbols))
    columns = (*_CELL, "ts_event", "open", "high", "low", "close", "volume")
    daily = current(lake, _DAILY).filter(judged).select(columns).collect()
    splits = (
        current(lake, _SPLITS)
        .filter((pl.col("kind") == "split") & judged)
        .select("symbol", "ex_date", "price_factor_frac")
        .collect()
    )
    found = sentinel_value(_DAILY, daily, settings.checks.sentinels)
    raw = daily.with_columns(adjusted=pl.lit(value=False))
    found += split_unadjusted(_DAILY, raw, splits)
    promised = (
        lake.tables.scan("bronze.massive_bars_1d")
        .filter(pl.col("adjusted") & judged)
        .select(*columns, "adjusted")
        .unique(_CELL, keep="last")
        .collect()
    )
    found += split_unadjusted("bronze.massive_bars_1d", promised, splits)
    return [
        finding
        for finding in found
        if finding.session is None
        or ((start is None or finding.session >= start) and (end is None or finding.session <= end))
    ]
