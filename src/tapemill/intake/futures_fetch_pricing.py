"""Before a byte is bought: what the vendor has, what it would cost, and what may be spent."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from tapemill.errors import BadAnswerError, TapemillError, UsageError, VendorFaultError
from tapemill.intake.futures_fetch_asking import Asker, Halted, Question
from tapemill.intake.futures_fetch_plan import FuturesCell
from tapemill.settings.declaration import DatabentoSettings
from tapemill.vendors.databento.client import cost_of, dataset_range

__all__ = ["History", "Purse", "history_of", "price", "question_of"]

_STAMP = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)?)?")
_CENT = 0.01

Kept = Callable[[Sequence[FuturesCell], TapemillError], None]
"""Told of cells that cannot be asked for, and why."""


@dataclasses.dataclass(frozen=True)
class History:
    """From when to when the vendor has a schema, ns UTC; half open."""

    spans: dict[str, tuple[int, int]]

    def before(self, cell: FuturesCell) -> bool:
        """Whether a cell ends before the vendor's history begins."""
        return cell.end_ns <= self.spans[cell.schema][0]

    def after(self, cell: FuturesCell) -> bool:
        """Whether the vendor does not have the whole of a cell yet."""
        return cell.end_ns > self.spans[cell.schema][1]


class Purse:
    """What one fetch may spend.

    Parameters
    ----------
    limit_usd : float
        0 for no limit.
    """

    def __init__(self, limit_usd: float) -> None:
        self.limit_usd = limit_usd
        self.prices: dict[FuturesCell, float] = {}
        self.cost_usd = 0.0
        self.paid_usd = 0.0

    def require_enough(self) -> None:
        """Refuse a fetch that costs more than it may.

        Raises
        ------
        UsageError
        """
        if 0 < self.limit_usd < self.cost_usd:
            needed = math.ceil(self.cost_usd / _CENT) * _CENT
            raise UsageError(
                f"Databento would charge ${needed:,.2f} for {len(self.prices):,} requests, and a "
                f"fetch may cost ${self.limit_usd:,.2f}",
                where="databento.max_cost_usd; nothing was bought",
                next_step="ask for less, or allow it: "
                f"TAPEMILL_DATABENTO_MAX_COST_USD={needed:.2f} (0: no limit)",
            )

    def pay(self, cell: FuturesCell) -> None:
        """Charge one attempt: the vendor may charge what breaks on the way.

        Raises
        ------
        Halted
            Broken transfers have used the limit up.
        """
        after = self.paid_usd + self.prices.get(cell, 0.0)
        if 0 < self.limit_usd < after - _CENT / 2:
            raise Halted(
                VendorFaultError(
                    f"${self.paid_usd:,.2f} were asked for, broken transfers included; one more "
                    f"try would pass ${self.limit_usd:,.2f}",
                    where="databento.max_cost_usd",
                    next_step="run the same command again; it resumes with what is open",
                )
            )
        self.paid_usd = after


async def history_of(
    asker: Asker,
    settings: DatabentoSettings,
    dataset: str,
    cells: Sequence[FuturesCell],
    kept: Kept,
) -> History:
    """What the vendor has of a dataset.

    Raises
    ------
    TapemillError, Halted
        As :meth:`Asker.ask`; `kept` was told first.
    """
    path = f"/v0/metadata.get_dataset_range?{urlencode({'dataset': dataset})}"
    ask = functools.partial(dataset_range, settings, dataset)
    try:
        said = await asker.ask(Question(f"databento.{dataset}", path), ask)
        return History({schema: _span(said, schema) for schema in {c.schema for c in cells}})
    except TapemillError as error:
        kept(cells, error)
        raise
    except Halted as halted:
        kept(cells, halted.error)
        raise


async def price(
    asker: Asker,
    settings: DatabentoSettings,
    runs: Iterable[Sequence[FuturesCell]],
    left_out: Collection[FuturesCell],
    purse: Purse,
    kept: Kept,
) -> None:
    """Ask what cells cost, neighbours in one question: closed days between them hold nothing.

    Raises
    ------
    TapemillError, Halted
        As :meth:`Asker.ask`; `kept` was told first.
    """
    for part in (part for run in runs for part in _without(run, left_out)):
        request = dataclasses.replace(part[0].request, end_ns=part[-1].end_ns)
        question = question_of(part[0], "metadata.get_cost", last=part[-1])
        try:
            cost = await asker.ask(question, functools.partial(cost_of, settings, request))
            if not 0 <= cost < math.inf:
                raise _unbelievable(f"a cost of {cost}")
        except TapemillError as error:
            kept(part, error)
            raise
        except Halted as halted:
            kept(part, halted.error)
            raise
        purse.cost_usd += cost
        purse.prices.update(dict.fromkeys(part, cost / len(part)))


def question_of(
    cell: FuturesCell, method: str, *, last: FuturesCell | None = None, task_key: str = ""
) -> Question:
    """What a call for a cell, or for neighbours up to `last`, is recorded as."""
    last = last or cell
    parameters = {
        "dataset": cell.dataset,
        "schema": cell.schema,
        "symbols": cell.symbol,
        "stype_in": cell.stype_in,
        "start": cell.start_ns,
        "end": last.end_ns,
    }
    return Question(
        cell.ledger_name,
        f"/v0/{method}?{urlencode(parameters)}",
        cell.symbol,
        cell.day,
        last.day,
        "POST",
        task_key,
    )


def _without(
    run: Sequence[FuturesCell], left_out: Collection[FuturesCell]
) -> list[list[FuturesCell]]:
    """A run cut where cells are left out."""
    parts: list[list[FuturesCell]] = [[]]
    for cell in run:
        if cell in left_out:
            parts.append([])
        else:
            parts[-1].append(cell)
    return [part for part in parts if part]


def _span(said: dict[str, Any], schema: str) -> tuple[int, int]:
    by_schema = said.get("schema")
    found = by_schema.get(schema, said) if isinstance(by_schema, dict) else said
    if not isinstance(found, dict):
        raise _unbelievable(f"a range of {found!r}")
    return _nanoseconds(found.get("start")), _nanoseconds(found.get("end"))


def _nanoseconds(text: Any) -> int:
    found = _STAMP.fullmatch(str(text))
    if found is None:
        raise _unbelievable(f"a range that has {text!r}")
    moment = datetime.fromisoformat(f"{found[1]}T{found[2] or '00:00:00'}+00:00")
    return int(moment.timestamp()) * 10**9 + int((found[3] or "").ljust(9, "0"))


def _unbelievable(what: str) -> BadAnswerError:
    return BadAnswerError(
        f"Databento answered with {what}",
        where="databento",
        next_step="check databento.base_url; a proxy may rewrite answers",
    )
