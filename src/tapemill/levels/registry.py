"""The registry of level kinds, and `gold.levels` of a session made by it.

A new kind is one declaration (:class:`tapemill.levels.kinds.LevelKind`) and one entry here.

Prefix stability is the law: made of the minutes finished by a moment, the rows that had begun by
then are the rows of the full session; only the end of the open ones is not known yet.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from tapemill.clock.availability import known_at_expr
from tapemill.contracts.levels import LEVEL_DATASETS
from tapemill.errors import ContractError
from tapemill.levels.inputs import LevelInputs, sigma_at
from tapemill.levels.kinds import FloatArray, IntArray, LevelKind, LevelPath
from tapemill.levels.kinds_bars import BAR_KINDS
from tapemill.levels.kinds_extremes import EXTREME_KINDS
from tapemill.levels.kinds_prior import PRIOR_KINDS
from tapemill.levels.kinds_profile import PROFILE_KINDS
from tapemill.levels.kinds_vwap import VWAP_KINDS
from tapemill.levels.moving import Steps, steps_of
from tapemill.levels.placebo import Placebo, placebos_of
from tapemill.levels.projected import PROJECTED_KINDS
from tapemill.levels.round_numbers import ROUND_KINDS
from tapemill.levels.user_levels import USER_KINDS
from tapemill.levels.zones import Standing, merge_distance, standing_rows
from tapemill.settings.declaration import LevelsSettings

__all__ = ["KIND_WEIGHTS", "LEVEL_KINDS", "build_levels", "level_kinds_markdown"]

LEVEL_KINDS: tuple[LevelKind, ...] = (
    *EXTREME_KINDS,
    *PRIOR_KINDS,
    *VWAP_KINDS,
    *BAR_KINDS,
    *PROFILE_KINDS,
    *ROUND_KINDS,
    *USER_KINDS,
    *PROJECTED_KINDS,
)

KIND_WEIGHTS: dict[str, float] = {kind.name: kind.weight for kind in LEVEL_KINDS}
"""Weight of each kind in the confluence score."""

_CONTRACT = next(dataset for dataset in LEVEL_DATASETS if dataset.name == "gold.levels")
_SCHEMA = pl.Schema({column.name: column.dtype for column in _CONTRACT.columns})


def build_levels(
    inputs: LevelInputs,
    settings: LevelsSettings,
    kinds: Sequence[LevelKind] = LEVEL_KINDS,
) -> pl.DataFrame:
    """Levels of a session with their placebos and zones.

    Parameters
    ----------
    inputs : LevelInputs
        What is known; nothing after ``inputs.as_of_ns`` is given out.
    settings : LevelsSettings
        Merging distance, approach band, round numbers, number of placebos.
    kinds : sequence of LevelKind
        Which kinds, in which order.

    Returns
    -------
    pl.DataFrame
        Columns of ``gold.levels`` in its order. A row ends when its level moves, changes its zone
        or ends; rows that have not ended end with the trade date.

    Raises
    ------
    ContractError
        Minutes out of order, a kind's path that goes back in time, two levels of one id.
    """
    named = [(kind, path) for kind in kinds for path in kind.build(inputs, settings)]
    paths, steps = steps_of(
        (
            path._replace(level_id=f"{index}|{path.level_id}")
            for index, (_, path) in enumerate(named)
        ),
        inputs.globex_open_ns,
        inputs.globex_close_ns,
        inputs.as_of_ns,
        inputs.finish_lag_ns,
    )
    if not paths:
        return pl.DataFrame(schema=_SCHEMA)
    names = [path.level_id.split("|", 1) for path in paths]
    level_ids = [name for _, name in names]
    _refuse_twins(level_ids)
    kind_names = [named[int(index)][0].name for index, _ in names]
    placebos = _placebos(inputs, settings, level_ids, paths, steps)
    born = np.array([path.at_ns[0] for path in paths], np.int64)
    number = _numbers(born, level_ids, placebos)
    merge = merge_distance(sigma_at(inputs.volatility, steps.at_ns), settings)
    real = standing_rows(steps, merge, number[: len(paths)], inputs.globex_close_ns)
    return _frame(inputs, paths, level_ids, kind_names, placebos, number, real)


def _refuse_twins(level_ids: list[str]) -> None:
    if len(set(level_ids)) < len(level_ids):
        twin = next(name for name in level_ids if level_ids.count(name) > 1)
        raise ContractError(
            f"two levels have the id {twin}",
            next_step="give each level of a kind, and each of your own, a name of its own",
        )


def _placebos(
    inputs: LevelInputs,
    settings: LevelsSettings,
    level_ids: list[str],
    paths: Sequence[LevelPath],
    steps: Steps,
) -> list[Placebo]:
    born_ns = np.array([path.at_ns[0] for path in paths], np.int64)
    born_ticks = np.array([path.ticks[0] for path in paths], np.float64)
    known: dict[int, FloatArray] = {}
    for moment in np.unique(born_ns).tolist():
        known[moment] = _standing_at(steps, len(paths), moment)
    return placebos_of(
        inputs,
        settings,
        level_ids,
        born_ns,
        born_ticks,
        [known[moment] for moment in born_ns.tolist()],
    )


def _standing_at(steps: Steps, levels: int, moment: int) -> FloatArray:
    """Prices of the levels that stood at `moment`."""
    upto = int(np.searchsorted(steps.at_ns, moment, side="right"))
    price = np.full(levels, np.nan)
    price[steps.level[:upto]] = steps.ticks[:upto]  # of repeats the last one is kept
    known: FloatArray = price[np.isfinite(price)]
    return known


def _numbers(born: IntArray, level_ids: list[str], placebos: list[Placebo]) -> IntArray:
    """Numbers of real levels and then placebos, from 1 in the order of their birth."""
    of = [placebo.level for placebo in placebos]
    ids = level_ids + [placebo.prefix + level_ids[placebo.level] for placebo in placebos]
    births = np.concatenate((born, born[of])) if of else born
    order = sorted(range(len(ids)), key=lambda index: (int(births[index]), ids[index]))
    number = np.empty(len(ids), np.int64)
    number[order] = np.arange(1, len(ids) + 1)
    return number


def _frame(
    inputs: LevelInputs,
    paths: Sequence[LevelPath],
    level_ids: list[str],
    kind_names: list[str],
    placebos: list[Placebo],
    number: IntArray,
    real: Standing,
) -> pl.DataFrame:
    """Rows of the real levels and, for each placebo, its level's rows moved by the offset."""
    first = np.searchsorted(real.level, np.arange(len(paths) + 1))
    pieces = [np.arange(len(real.level))]
    pieces += [np.arange(first[p.level], first[p.level + 1]) for p in placebos]
    counts = [len(piece) for piece in pieces[1:]]
    row = np.concatenate(pieces)
    who = np.concatenate((real.level, np.repeat(np.arange(len(placebos)) + len(paths), counts)))
    offset = np.concatenate((np.zeros(len(paths)), [p.offset_ticks for p in placebos]))
    ticks = real.ticks[row] + offset[who]
    zone = np.where(who < len(paths), real.zone[row], number[who])
    of = [placebo.level for placebo in placebos]
    meta = pl.DataFrame(
        {
            "level_id": level_ids + [p.prefix + level_ids[p.level] for p in placebos],
            "kind": kind_names + [kind_names[level] for level in of],
            "family": ["real"] * len(paths) + [p.family for p in placebos],
            "placebo_of": [None] * len(paths) + [level_ids[level] for level in of],
            "native_symbol": [
                paths[level].native_symbol or inputs.symbol for level in [*range(len(paths)), *of]
            ],
            "provenance": [path.provenance for path in paths] + [p.provenance for p in placebos],
        },
        schema_overrides={"placebo_of": pl.String()},
    )
    return (
        meta[who]
        .with_columns(
            symbol=pl.lit(inputs.symbol),
            session=pl.lit(inputs.session),
            month=pl.lit(f"{inputs.session:%Y-%m}"),
            price=pl.Series(ticks * inputs.tick_size),
            price_ticks=pl.Series(ticks),
            error_ticks=pl.Series(real.error_ticks[row]),
            valid_from_ns=pl.Series(real.begin_ns[row]),
            valid_to_ns=pl.Series(real.end_ns[row]),
            zone=pl.Series(zone, dtype=pl.Int32()),
        )
        .with_columns(known_at=known_at_expr("level_valid"))
        .select(_SCHEMA.names())
        .cast(_SCHEMA)
        .sort(_CONTRACT.order)
    )


def level_kinds_markdown() -> str:
    """All kinds as a Markdown table, one chapter a group."""
    lines: list[str] = []
    for group in dict.fromkeys(kind.group for kind in LEVEL_KINDS):
        lines += [f"## {group}", "", "| kind | what | formula | known | weight |"]
        lines.append("|---|---|---|---|---|")
        for kind in LEVEL_KINDS:
            if kind.group == group:
                cells = (kind.name, kind.description, kind.formula, kind.known, f"{kind.weight:g}")
                lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)
