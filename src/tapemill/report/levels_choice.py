"""Which levels are shown: all of them, or kinds and ids that were asked for."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tapemill.errors import UnknownNameError, did_you_mean

__all__ = ["choose", "level_names"]


def level_names(levels: pl.DataFrame) -> list[str]:
    """Kinds and ids of real levels, sorted."""
    real = levels.filter(pl.col("family") == "real")
    return sorted({*real["kind"], *real["level_id"]})


def choose(
    levels: pl.DataFrame,
    episodes: pl.DataFrame,
    decisions: pl.DataFrame,
    wanted: Sequence[str],
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Rows of the levels asked for, of their placebos, and of approaches to them.

    Parameters
    ----------
    levels, episodes, decisions : pl.DataFrame
        Of one symbol and session.
    wanted : sequence of str
        Kinds or ids; nothing means everything.

    Raises
    ------
    UnknownNameError
        A name is neither a kind nor an id of the date.
    """
    if not wanted:
        return levels, episodes, decisions
    known = level_names(levels)
    for name in wanted:
        if name not in known:
            raise UnknownNameError(
                f"{name!r} is no level of this date",
                where=f"it has {', '.join(known[:40])}" if known else "it has none",
                next_step=did_you_mean(name, known) or "give a kind or an id of a level",
            )
    names = list(wanted)
    picked = pl.col("kind").is_in(names) | pl.col("level_id").is_in(names)
    of_picked = pl.col("placebo_of").is_in(names)
    chosen = levels.filter(picked | of_picked)
    ids = chosen["level_id"].unique().to_list()
    near = episodes.filter(
        pl.col("level_ids").str.split("+").list.eval(pl.element().is_in(ids)).list.any()
    )
    return chosen, near, decisions.filter(pl.col("episode_id").is_in(near["episode_id"].to_list()))
