"""A study in plain words: a signal, a null, or too little to say."""

from __future__ import annotations

import dataclasses
import math

from tapemill.proof.event_study import Horizon, Study

__all__ = ["ALPHA", "Verdict", "judge"]

ALPHA = 0.05
"""Of each test, after correction for the number of horizons."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The outcome of a study.

    Attributes
    ----------
    outcome : str
        ``"signal"``, ``"null"`` or ``"insufficient"``.
    horizon : int or None
        Sessions of the surest surviving horizon.
    words : str
    """

    outcome: str
    horizon: int | None
    words: str


def judge(study: Study) -> Verdict:
    """The verdict: a horizon survives only all of these.

    Its gross return differs from zero after Holm's correction and is positive, its interval after
    costs lies above zero, and it lies beyond both placebos. Everything else is a null.
    """
    judged = [one for one in study.horizons if one.judged]
    if not judged:
        told = _reasons(study)
        basis = f"{study.events:,} events, {study.names:,} priced names"
        market = study.parameters.min_names
        lack = f" ({market} make a market)" if study.names < market else ""
        return Verdict("insufficient", None, f"insufficient: {basis}{lack}; {told}")
    surviving = [one for one in judged if not _objection(one)]
    if surviving:
        best = min(surviving, key=lambda one: (one.adjusted_p, one.sessions))
        return Verdict("signal", best.sessions, _signal(best, [x.sessions for x in surviving]))
    told = "; ".join(f"{_sessions(one.sessions)} {_objection(one)}" for one in judged)
    unsaid = [one.sessions for one in study.horizons if not one.judged]
    rest = f"; not judged: {', '.join(map(_sessions, unsaid))}" if unsaid else ""
    return Verdict("null", None, f"null: no horizon survives; {told}{rest}")


def _reasons(study: Study) -> str:
    """What each horizon lacks; horizons that lack the same say it once."""
    lacking: dict[str, list[int]] = {}
    for one in study.horizons:
        lacking.setdefault(one.reason, []).append(one.sessions)
    if len(lacking) == 1:
        return "; ".join(lacking) + (" at every horizon" if len(study.horizons) > 1 else "")
    return "; ".join(
        f"{', '.join(map(str, sessions))} session{'s' if sessions != [1] else ''}: {reason}"
        for reason, sessions in lacking.items()
    )


def _objection(one: Horizon) -> str:
    """Why a judged horizon does not survive; empty if it does."""
    value = f"{_bps(one.net)} net [{_bps(one.net_low)}, {_bps(one.net_high)}]"
    if not one.adjusted_p < ALPHA:
        return f"{value}, p {one.adjusted_p:.2f}"
    if one.gross.mean < 0:
        return f"{value}, significant the wrong way round"
    if not one.net_low > 0:
        return f"{value}, not beyond its costs"
    for name, control in (("dates", one.other_dates), ("names", one.other_names)):
        if math.isnan(control.p_value):
            return f"{value}, but there is no placebo of other {name} to compare with"
        if control.p_value > ALPHA:
            return f"{value}, but other {name} do as well (p {control.p_value:.2f})"
    return ""


def _signal(best: Horizon, all_of_them: list[int]) -> str:
    others = [_sessions(h) for h in all_of_them if h != best.sessions]
    also = f"; also at {', '.join(others)}" if others else ""
    return (
        f"signal at {_sessions(best.sessions)}: {_bps(best.net)} "
        f"[{_bps(best.net_low)}, {_bps(best.net_high)}] net of costs, p {best.adjusted_p:.3f}; "
        f"placebo {_bps(best.other_dates.mean)} on other dates, "
        f"{_bps(best.other_names.mean)} in other names{also}"
    )


def _sessions(count: int) -> str:
    return f"{count} session" if count == 1 else f"{count} sessions"


def _bps(value: float) -> str:
    return f"{1e4 * value:+.1f} bp"
