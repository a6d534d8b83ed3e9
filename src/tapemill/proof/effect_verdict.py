"""Real minus placebo in plain words: shown, nothing shown, or too little to say."""

from __future__ import annotations

import dataclasses

import polars as pl

__all__ = ["FALSE_DISCOVERIES", "EffectVerdict", "judge_effects"]

FALSE_DISCOVERIES = 0.05
"""Part of the kinds called different from placebo that may be chance."""


@dataclasses.dataclass(frozen=True)
class EffectVerdict:
    """What a table of effects comes to.

    Attributes
    ----------
    outcome : str
        ``"shown"``, ``"null"`` or ``"insufficient"``.
    kinds : tuple of str
        Kinds that differ from their placebos, the surest first.
    words : str
    """

    outcome: str
    kinds: tuple[str, ...]
    words: str


def judge_effects(effects: pl.DataFrame) -> EffectVerdict:
    """Judge the table of :func:`tapemill.proof.placebo_effects`, all its kinds at once.

    Parameters
    ----------
    effects : pl.DataFrame
        Columns of ``EFFECT_SCHEMA``.
    """
    judged = effects.filter(pl.col("q_value").is_not_null())
    kinds, rest = judged.height, effects.height - judged.height
    left = f"; {rest} with too little to say" if rest else ""
    if not kinds:
        if not rest:
            return EffectVerdict("insufficient", (), "insufficient: there are no outcomes")
        most = effects.sort("n_real", "kind", descending=[True, False]).row(0, named=True)
        why = str(most["note"]).removeprefix("insufficient: ")
        words = f"insufficient: no kind can be judged; of {most['kind']} there are {why}"
        return EffectVerdict("insufficient", (), words)
    shown = judged.filter(pl.col("q_value") < FALSE_DISCOVERIES).sort("p_value", "kind")
    if shown.is_empty():
        least = float(judged["q_value"].to_numpy().min())
        words = (
            f"null: nothing is shown; none of {kinds} kinds differs from random prices beyond "
            f"chance (least q {least:.2f}){left}"
        )
        return EffectVerdict("null", (), words)
    told = "; ".join(
        f"{row['kind']} {_points(row['difference'])} points "
        f"[{_points(row['low'])}, {_points(row['high'])}], q {row['q_value']:.3f}"
        for row in shown.iter_rows(named=True)
    )
    words = f"shown: {shown.height} of {kinds} kinds differ from random prices: {told}{left}"
    return EffectVerdict("shown", tuple(shown["kind"]), words)


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f}"
