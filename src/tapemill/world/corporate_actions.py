"""What is planned for each company: splits, dividends, a change of symbol, halts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from tapemill.clock.sessions import Session
from tapemill.world.seeds import stream
from tapemill.world.specs import SymbolSpec

__all__ = ["Dividend", "Halt", "Plan", "Split", "plan_events"]

_MINUTE_NS = 60_000_000_000


@dataclass(frozen=True)
class Split:
    """`split_to` new shares for `split_from` old ones, from session `index` on."""

    index: int
    split_from: int
    split_to: int


@dataclass(frozen=True)
class Dividend:
    """Cash dividend, ex at session `index`; `yield_frac` is of the close before."""

    index: int
    yield_frac: float
    declared: date | None
    record: date
    pay: date | None


@dataclass(frozen=True)
class Halt:
    """No trading in ``[start_ns, end_ns)`` of session `index`.

    `reason`: LUDP volatility pause, T1 news pending, MWC1 market-wide circuit breaker.
    """

    index: int
    start_ns: int
    end_ns: int
    reason: str


@dataclass(frozen=True)
class Plan:
    """Events of one company, by index of the session."""

    splits: tuple[Split, ...]
    dividends: tuple[Dividend, ...]
    halts: tuple[Halt, ...]
    renamed_at: int | None


def plan_events(
    seed: int, spec: SymbolSpec, sessions: Sequence[Session], circuit_breaker: date | None
) -> Plan:
    """Place the events of a company on the sessions of the market.

    Windows under five sessions carry no split and no change of symbol: there would be nothing
    before or after to compare with.
    """
    count = len(sessions)
    splits: list[Split] = []
    if count >= 5 and "forward_split" in spec.events:
        splits.append(Split(int(count * 0.55), 1, 10))
    if count >= 5 and "reverse_split" in spec.events:
        # Late in the window, so that the demo's minutes hold one split.
        splits.append(Split(max(2, count - 15) if count > 20 else count // 2, 10, 1))
    renamed = int(count * 0.6) if count >= 5 and "symbol_change" in spec.events else None
    return Plan(
        splits=tuple(splits),
        dividends=_dividends(seed, spec, sessions, {split.index for split in splits}),
        halts=_halts(seed, spec, sessions, circuit_breaker),
        renamed_at=renamed,
    )


def _dividends(
    seed: int, spec: SymbolSpec, sessions: Sequence[Session], taken: set[int]
) -> tuple[Dividend, ...]:
    if spec.dividend_yield <= 0:
        return ()
    first = int(stream(seed, "dividends", spec.symbol).integers(3, 60))
    planned = []
    for index in range(first, len(sessions), 63):
        if index in taken:
            continue
        ex_date = sessions[index].session
        # Preferred stock: the vendor's listing lacks declaration and pay dates now and then.
        bare = spec.kind == "PFD" and (index // 63) % 2 == 0
        planned.append(
            Dividend(
                index=index,
                yield_frac=spec.dividend_yield / 4,
                declared=None if bare else _weekday(ex_date - timedelta(days=28)),
                record=ex_date,
                pay=None if bare else _weekday(ex_date + timedelta(days=14)),
            )
        )
    return tuple(planned)


def _halts(
    seed: int, spec: SymbolSpec, sessions: Sequence[Session], circuit_breaker: date | None
) -> tuple[Halt, ...]:
    count = len(sessions)
    planned = []
    if "halt" in spec.events:
        pause_at = count - 10 if count >= 12 else count // 2
        planned.append(_pause(seed, spec, sessions[pause_at], pause_at, 10, "LUDP"))
        if count >= 30:
            planned.append(_pause(seed, spec, sessions[count // 3], count // 3, 45, "T1"))
    for index, session in enumerate(sessions):
        if session.session == circuit_breaker:
            # 09:34, as on three of the four days of March 2020; fifteen minutes.
            start = session.open_ns + 4 * _MINUTE_NS
            planned.append(Halt(index, start, start + 15 * _MINUTE_NS, "MWC1"))
    return tuple(planned)


def _pause(
    seed: int, spec: SymbolSpec, session: Session, index: int, minutes: int, reason: str
) -> Halt:
    draw = stream(seed, "halt", spec.symbol, index)
    start = session.open_ns + int(draw.integers(20, session.minutes - minutes - 20)) * _MINUTE_NS
    return Halt(index, start, start + minutes * _MINUTE_NS, reason)


def _weekday(day: date) -> date:
    return day - timedelta(days=max(0, day.weekday() - 4))
