"""Proof: whether a signal predicts anything, judged without knowing what it is.

In: dated events or scores and prices. Out: estimates with their uncertainty, controls beside the
real thing, and a plain null when it is null.
"""

from __future__ import annotations

from tapemill.proof.effect_verdict import EffectVerdict, judge_effects
from tapemill.proof.event_study import Horizon, Slice, Study, StudyParameters, event_study
from tapemill.proof.inference import Estimate
from tapemill.proof.placebo import Placebo
from tapemill.proof.placebo_effect import EFFECT_SCHEMA, placebo_effects
from tapemill.proof.verdict import Verdict, judge

__all__ = [
    "EFFECT_SCHEMA",
    "EffectVerdict",
    "Estimate",
    "Horizon",
    "Placebo",
    "Slice",
    "Study",
    "StudyParameters",
    "Verdict",
    "event_study",
    "judge",
    "judge_effects",
    "placebo_effects",
]
