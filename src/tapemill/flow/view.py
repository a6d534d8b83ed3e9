"""One evening's scan as a reader wants it: the lists, the market, and what to be careful of."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from tapemill.clock import calendar
from tapemill.errors import DateError, FaultError, LakeError, UnknownNameError, did_you_mean
from tapemill.flow.evening import evening_of, sessions_before
from tapemill.flow.explain import FULL_HISTORY, explain
from tapemill.flow.macro import PRICED_LEAST, macro_rows
from tapemill.flow.scan import scan_lookback, scan_rows
from tapemill.flow.visible import evening_inputs
from tapemill.lake.control import CellState

if TYPE_CHECKING:
    from tapemill.lake import Lake
    from tapemill.settings import Settings

__all__ = ["LISTS", "ScanView", "scan_evening"]

LISTS = ("buying", "selling", "volume")
"""The lists of an evening: by signed score, and by surprise of volume."""

_SHORT = "bronze.finra_short_volume"
_PERCENTILE_LOOKBACK = 252


@dataclasses.dataclass(frozen=True)
class ScanView:
    """The scan of one evening.

    Attributes
    ----------
    session : datetime.date
    as_of : datetime.datetime
        Nothing known later was used.
    rows : pl.DataFrame
        Rows of ``gold.flow_scan``: every name in FINRA's file.
    market : mapping
        The row of ``gold.flow_macro`` with scope ``market``.
    warnings : tuple of str
        What makes this evening less sure than a usual one.
    """

    session: datetime.date
    as_of: datetime.datetime
    rows: pl.DataFrame
    market: Mapping[str, Any]
    warnings: tuple[str, ...]

    def listed(self, name: str, top: int) -> list[dict[str, Any]]:
        """The first `top` names of one of :data:`LISTS`, each with its ``explanation``."""
        eligible = self.rows.filter(pl.col("eligible"))
        if name == "volume":
            chosen = eligible.filter(pl.col("volume_rank").is_not_null()).sort("volume_rank")
        else:
            chosen = eligible.filter(pl.col("direction") == name).sort("rank")
        return self._explained(chosen.head(top))

    def named(self, symbols: Sequence[str]) -> list[dict[str, Any]]:
        """The rows of these symbols in the order asked, eligible or not, each explained.

        Raises
        ------
        UnknownNameError
            FINRA's file of the evening has no row of a symbol.
        """
        known = self.rows["symbol"].to_list()
        for symbol in symbols:
            if symbol not in known:
                raise UnknownNameError(
                    f"FINRA's file of {self.session} has no row of {symbol!r}",
                    next_step=did_you_mean(symbol, known) or "write it as BRK.B, AAICpC, ACIC.WS",
                )
        order = pl.DataFrame({"symbol": list(symbols)})
        return self._explained(order.join(self.rows, on="symbol", maintain_order="left"))

    def typical_days(self) -> int | None:
        """Median length of the eligible names' baselines, in sessions; None without any."""
        days = self.rows.filter(pl.col("eligible"))["baseline_days"].median()
        return int(days) if isinstance(days, int | float) else None

    def _explained(self, rows: pl.DataFrame) -> list[dict[str, Any]]:
        # A history as short as everybody's is said once, in the warnings.
        typical = self.typical_days()
        usual = FULL_HISTORY if typical is None else min(FULL_HISTORY, typical)
        return [{**row, "explanation": explain(row, usual_days=usual)} for row in rows.to_dicts()]


def scan_evening(
    lake: Lake,
    settings: Settings,
    session: datetime.date,
    *,
    as_of: datetime.datetime | None = None,
) -> ScanView:
    """The scan of an evening, from the gold tables or, with `as_of`, computed for that moment.

    Parameters
    ----------
    lake : Lake
        With ``gold.flow_scan`` and ``gold.flow_macro`` built up to the evening.
    settings : Settings
    session : date
    as_of : datetime, optional
        A later moment than the evening's 18:00: restated files that had arrived by then count.

    Raises
    ------
    DateError
        `session` is not a session, or its file was not out by `as_of`.
    FaultError
        There is no file of that evening; the message says what FINRA answered.
    LakeError
        There is a file and the scan was not built.
    """
    exchange = calendar("XNYS")
    if not exchange.is_session(session):
        raise DateError(
            f"{session} is no session: FINRA publishes no file for it",
            next_step=f"the session before is {exchange.previous(session)}",
        )
    if as_of is not None and as_of < evening_of(session):
        raise DateError(
            f"the file of {session} is not out before 18:00 New York of that day",
            where=f"--as-of {as_of.isoformat()}",
            next_step=f"scan {exchange.previous(session)}, or give a later moment",
        )
    rows = _stored(lake, session) if as_of is None else _computed(lake, settings, session, as_of)
    if rows.is_empty():
        raise _no_file(lake, session, built=as_of is not None)
    market = _market(lake, settings, session, rows)
    warnings = tuple(_warnings(rows, market, settings))
    return ScanView(session, as_of or evening_of(session), rows, market, warnings)


def _stored(lake: Lake, session: datetime.date) -> pl.DataFrame:
    rows = lake.tables.scan("gold.flow_scan", start=session, end=session)
    return rows.filter(pl.col("session") == session).collect()


def _computed(
    lake: Lake, settings: Settings, session: datetime.date, as_of: datetime.datetime
) -> pl.DataFrame:
    (inputs,) = evening_inputs(
        lake, [session], lookback=scan_lookback(settings.flow), as_of=as_of, whole=False
    )
    moment = pl.lit(as_of).cast(pl.Datetime("us", "UTC"))
    return scan_rows(inputs, settings.flow).with_columns(as_of=moment, known_at=moment)


def _market(
    lake: Lake, settings: Settings, session: datetime.date, rows: pl.DataFrame
) -> Mapping[str, Any]:
    sessions = sessions_before([session], _PERCENTILE_LOOKBACK)
    before = lake.tables.scan("gold.flow_scan", start=sessions[0], end=session).filter(
        pl.col("session").is_between(sessions[0], session, closed="left")
    )
    scopes = macro_rows(pl.concat([before, rows.lazy()]), [session], settings.flow)
    return scopes.filter(pl.col("scope") == "market").row(0, named=True)


def _no_file(lake: Lake, session: datetime.date, *, built: bool) -> FaultError:
    made = lake.control.builds.fingerprints("silver.short_volume")
    if session.isoformat() in made and not built:
        return LakeError(
            f"the scan of {session} is not built",
            where="gold.flow_scan",
            next_step="`tapemill build gold.flow_scan gold.flow_macro`",
        )
    cells = lake.control.ledger.matrix(_SHORT, ["*"], [session]).states
    state = CellState(int(cells[0, 0]))
    if state is CellState.EMPTY:
        said = "FINRA answered that it does not exist"
        step = f"scan the session before: {calendar('XNYS').previous(session)}"
    else:
        said = "it was neither fetched nor imported"
        if state is not CellState.PENDING:
            said = f"the last answer was {state.name.lower().replace('_', ' ')}"
        step = f"`tapemill fetch short_volume --start {session} --end {session}`"
    return FaultError(f"no file: {said}", where=f"FINRA short volume, {session}", next_step=step)


def _warnings(rows: pl.DataFrame, market: Mapping[str, Any], settings: Settings) -> list[str]:
    eligible = rows.filter(pl.col("eligible"))
    said = []
    days = eligible["baseline_days"].median()
    wanted = settings.flow.baseline_sessions
    if eligible.is_empty():
        least = settings.flow.baseline_min_days
        said.append(f"no name is eligible: a baseline needs {least} sessions of history")
    elif isinstance(days, int | float) and days < wanted:
        said.append(f"only {days:.0f} of {wanted} sessions of history: wider scales, larger q")
    priced = market.get("priced_frac") or 0.0
    if priced < PRICED_LEAST:
        least_volume = settings.flow.min_off_exchange_volume
        whose = "names" if not priced else f"prices of {priced:.1%} of the names only: the others"
        said.append(
            f"{'no prices: ' if not priced else ''}{whose} take part from a median off-exchange "
            f"volume of {least_volume:,.0f} shares, and the market is share-weighted"
        )
    if rows["sector"].null_count() == rows.height:
        said.append("no sectors: `tapemill import memberships FILE` adds them")
    return said
