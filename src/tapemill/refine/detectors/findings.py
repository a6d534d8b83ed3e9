"""A finding: one defect pattern, caught by name, with the rows that show it."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Literal

import polars as pl

__all__ = ["Finding", "Severity", "by_session"]

Severity = Literal["error", "warning", "info"]
_NAMED = 5


@dataclasses.dataclass(frozen=True)
class Finding:
    """What a detector says.

    Attributes
    ----------
    kind : str
        Name of the pattern, for example ``session_cut_1530``.
    severity : {"error", "warning", "info"}
        Errors make a check red.
    dataset : str
        The data concerned.
    subject : str
        Symbols, shortened to the first five.
    session : date or None
        The session, where the pattern has one.
    detail : str
        What was seen, in numbers.
    evidence : pl.DataFrame
        The rows behind it.
    """

    kind: str
    severity: Severity
    dataset: str
    subject: str
    session: datetime.date | None
    detail: str
    evidence: pl.DataFrame = dataclasses.field(compare=False)

    def summary(self) -> dict[str, object]:
        """The finding without its evidence, for tables and JSON."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "dataset": self.dataset,
            "subject": self.subject,
            "session": None if self.session is None else self.session.isoformat(),
            "detail": self.detail,
            "evidence_rows": self.evidence.height,
        }


def by_session(
    kind: str,
    dataset: str,
    evidence: pl.DataFrame,
    detail: str,
    *,
    severity: Severity = "error",
) -> list[Finding]:
    """One finding a session; `detail` may name ``{symbols}`` and ``{rows}``.

    Parameters
    ----------
    evidence : pl.DataFrame
        Has ``symbol`` and ``session``.
    """
    found = []
    for (session,), rows in evidence.sort("session", "symbol").group_by(
        "session", maintain_order=True
    ):
        symbols = rows["symbol"].unique(maintain_order=True).to_list()
        text = detail.format(symbols=len(symbols), rows=rows.height)
        when = session if isinstance(session, datetime.date) else None
        subject = _shortened(symbols)
        found.append(Finding(kind, severity, dataset, subject, when, f"{session}: {text}", rows))
    return found


def _shortened(symbols: list[str]) -> str:
    more = len(symbols) - _NAMED
    named = ", ".join(symbols[:_NAMED])
    return f"{named} and {more} more" if more > 0 else named
