"""The switchboard: every fault of the sandbox, declared once, and the plan that fires them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from tapemill.errors import UnknownNameError, UsageError, did_you_mean
from tapemill.world.seeds import stream

__all__ = ["FAULTS", "Fault", "FaultKind", "FaultPlan", "Option"]

Stage = Literal["wire", "answer", "data"]
Option = str | int | float | bool


@dataclass(frozen=True)
class FaultKind:
    """One switch: what it does, where it acts, and its options with their defaults.

    Stages: ``wire`` replaces the answer, ``answer`` spoils its bytes, ``data`` changes the facts.
    """

    name: str
    stage: Stage
    doc: str
    options: Mapping[str, Option] = field(default_factory=dict)


def _registry(*kinds: FaultKind) -> dict[str, FaultKind]:
    return {kind.name: kind for kind in kinds}


FAULTS: dict[str, FaultKind] = _registry(
    # -- on the wire
    FaultKind(
        "storm_429",
        "wire",
        "429 Too Many Requests; retry_after: int, date, absent or absurd",
        {"retry_after": "int", "seconds": 1},
    ),
    FaultKind("error_5xx", "wire", "a server error with an HTML body", {"status": 503}),
    FaultKind("timeout", "wire", "slow loris: headers, then one byte a second", {"seconds": 30.0}),
    FaultKind("reset", "wire", "the connection is dropped without an answer"),
    # -- in the answer
    FaultKind("truncated_json", "answer", "the body stops half-way", {"keep_frac": 0.6}),
    FaultKind(
        "cut_transfer",
        "answer",
        "the connection ends before the declared length",
        {"keep_frac": 0.6},
    ),
    FaultKind("html_body", "answer", "HTTP 200 with a maintenance page"),
    FaultKind("ok_with_error_body", "answer", "HTTP 200 that carries an error document"),
    FaultKind("ok_with_throttle_message", "answer", "HTTP 200 that asks to slow down"),
    FaultKind("duplicated_page", "answer", "the next page repeats this one, then goes on"),
    FaultKind("cursor_loop", "answer", "the next page is this page, for ever"),
    FaultKind("schema_new_column", "answer", "an unknown field appears", {"column": "dv2"}),
    FaultKind(
        "schema_missing_column", "answer", "a field disappears from every row", {"column": ""}
    ),
    FaultKind("schema_retyped", "answer", "a numeric field arrives as text", {"column": ""}),
    FaultKind("schema_all_null", "answer", "a field is null in every row", {"column": ""}),
    FaultKind(
        "schema_unit_change",
        "answer",
        "a field grows a thousandfold",
        {"column": "", "factor": 1e3},
    ),
    FaultKind("clock_skew", "answer", "the Date header is off", {"seconds": -7200}),
    # -- in the data, at the vendor's fault
    FaultKind(
        "late_data",
        "data",
        "the last half hour of a session is absent from the first fetches",
        {"minutes": 30, "fetches": 1},
    ),
    FaultKind(
        "revised_data",
        "data",
        "bars and FINRA rows change on later fetches",
        {"fetches": 1, "every_row": 20},
    ),
    FaultKind("session_cut_1530", "data", "the largest names end at 15:30", {"names": 3}),
    FaultKind("minute_file_absent", "data", "no minute bars although the daily bar exists"),
    FaultKind("closing_bar_missing", "data", "the last regular minute is absent", {"names": 40}),
    FaultKind(
        "replay_incomplete",
        "data",
        "counts and trailers report records that are not delivered",
        {"missing_frac": 0.05},
    ),
    FaultKind(
        "start_anchor_ignored", "data", "an older range than asked is returned", {"sessions": 30}
    ),
    FaultKind(
        "sentinel_999_99",
        "data",
        "999.99 stands where a value should; field: price or volume",
        {"field": "price", "bars": 3},
    ),
    FaultKind("old_window_empty", "data", "a window older than the plan answers with empty 200"),
    FaultKind(
        "ticks_not_entitled",
        "data",
        "403 for trades and quotes, though bars are served; what: both, trades or quotes",
        {"what": "both"},
    ),
    FaultKind("bars_end_at_noon", "data", "bars end at 12:00 New York (UTC mistaken for local)"),
    FaultKind(
        "split_unadjusted", "data", "asked for adjusted, the split and its day are not adjusted"
    ),
    FaultKind(
        "off_exchange_prints",
        "data",
        "isolated highs and lows far from the market",
        {"bars": 3, "away_frac": 0.08, "names": 2},
    ),
)
"""Every switch by name."""


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """One switched-on fault.

    Attributes
    ----------
    kind : str
        Name in :data:`FAULTS`.
    vendor : str
        ``massive``, ``finra_cdn``, ``finra_api``, ``databento`` or ``*``.
    path : str
        Shell pattern on the request path; matching is case-sensitive.
    probability : float
        Chance per matching call, from the plan's seed.
    every : int
        Fire on every nth matching call.
    count : int
        Fire at most so often; 0 is unbounded.
    after_seconds, for_seconds : float
        Window on the sandbox's clock since its start; `for_seconds` 0 is open-ended.
    symbols, sessions : list
        Facts concerned by a data fault; empty takes the documented default.
    options : dict
        Options of the kind, over its defaults.
    """

    kind: str
    vendor: str = "*"
    path: str = "*"
    probability: float = 1.0
    every: int = 1
    count: int = 0
    after_seconds: float = 0.0
    for_seconds: float = 0.0
    symbols: list[str] = []
    sessions: list[date] = []
    options: dict[str, Option] = {}

    def option(self, name: str) -> Option:
        """Value of an option, or its default."""
        return self.options.get(name, FAULTS[self.kind].options[name])

    def number(self, name: str) -> float:
        """Value of a numeric option."""
        return float(self.option(name))


def check_fault(fault: Fault) -> Fault:
    """Return the fault, or say what is wrong with it.

    Raises
    ------
    UnknownNameError
        If the kind or an option does not exist.
    UsageError
        If a number is out of range.
    """
    kind = FAULTS.get(fault.kind)
    if kind is None:
        raise UnknownNameError(
            f"the sandbox has no fault {fault.kind!r}",
            next_step=did_you_mean(fault.kind, FAULTS) or f"known: {', '.join(FAULTS)}",
        )
    unknown = sorted(fault.options.keys() - kind.options.keys())
    if unknown:
        raise UnknownNameError(
            f"fault {fault.kind!r} has no option {unknown[0]!r}",
            next_step=f"its options: {dict(kind.options)}",
        )
    if fault.every < 1 or not 0.0 <= fault.probability <= 1.0:
        raise UsageError(
            f"fault {fault.kind!r} needs every >= 1 and 0 <= probability <= 1, "
            f"got every={fault.every}, probability={fault.probability}"
        )
    return fault


@dataclass
class _Switch:
    fault: Fault
    seen: int = 0
    fired: int = 0


class FaultPlan:
    """Faults that are switched on, with the counters that decide when each fires.

    Parameters
    ----------
    faults : iterable of Fault or str
        A name stands for the fault with its defaults.
    seed : int
        Root of the chances.

    Raises
    ------
    UnknownNameError, UsageError
        If a fault is not in the registry or its numbers make no sense.
    """

    def __init__(self, *faults: Fault | str, seed: int = 0) -> None:
        self.seed = seed
        self._switches: list[_Switch] = []
        self.replace(faults)

    def replace(self, faults: Iterable[Fault | str]) -> None:
        """Switch on exactly these faults; counters start anew."""
        wanted = [Fault(kind=fault) if isinstance(fault, str) else fault for fault in faults]
        self._switches = [_Switch(check_fault(fault)) for fault in wanted]
        self._chance = stream(self.seed, "faults")

    @property
    def faults(self) -> list[Fault]:
        """What is switched on."""
        return [switch.fault for switch in self._switches]

    def firing(self, stage: Stage, vendor: str, path: str, elapsed: float) -> list[Fault]:
        """Count a call and return the faults of a stage that it meets."""
        found = []
        for switch in self._switches:
            fault = switch.fault
            if FAULTS[fault.kind].stage != stage or not _concerns(fault, vendor, path, elapsed):
                continue
            switch.seen += 1
            if switch.seen % fault.every or (fault.count and switch.fired >= fault.count):
                continue
            if fault.probability < 1.0 and self._chance.random() >= fault.probability:
                continue
            switch.fired += 1
            found.append(fault)
        return found

    def data_faults(self, vendor: str, elapsed: float) -> list[Fault]:
        """Data faults of a vendor in their time window.

        Facts do not flicker: symbols and sessions select, not paths, chances or counts.
        """
        return [
            switch.fault
            for switch in self._switches
            if FAULTS[switch.fault.kind].stage == "data"
            and switch.fault.vendor in ("*", vendor)
            and _in_window(switch.fault, elapsed)
        ]


def _concerns(fault: Fault, vendor: str, path: str, elapsed: float) -> bool:
    return (
        fault.vendor in ("*", vendor)
        and fnmatchcase(path, fault.path)
        and _in_window(fault, elapsed)
    )


def _in_window(fault: Fault, elapsed: float) -> bool:
    end = fault.after_seconds + fault.for_seconds if fault.for_seconds else float("inf")
    return fault.after_seconds <= elapsed < end
