"""Episodes as rows of `gold.episodes`, and the names that all their rows share."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from tapemill.levels.episodes import END_REASONS, NO_TOUCH, EndedEpisodes

__all__ = ["episode_ids", "episode_rows"]

Array = Any


def episode_ids(episodes: EndedEpisodes, symbol: str, families: Mapping[int, str]) -> Array:
    """Names of episodes: first 16 hex digits of SHA-256 of ``symbol|zone|family|enter_ns|ordinal``.

    Parameters
    ----------
    episodes : EndedEpisodes
        For example ``tracker.entered()``: then the running number is the place in the result. What
        a name is made of is known at the entry.
    symbol : str
        Instrument.
    families : mapping of int to str
        Zone number to ``real``, ``placebo_random`` or ``placebo_shifted``.

    Returns
    -------
    array of str, shape (n,)
    """
    columns = (episodes.zone, episodes.enter_ns, episodes.enter_ordinal)
    texts = (
        f"{symbol}|{zone}|{families[zone]}|{enter_ns}|{ordinal}"
        for zone, enter_ns, ordinal in zip(*(column.tolist() for column in columns), strict=True)
    )
    return np.array([hashlib.sha256(text.encode()).hexdigest()[:16] for text in texts], "U16")


def episode_rows(
    ended: EndedEpisodes,
    ids: Array,
    *,
    symbol: str,
    session: dt.date,
    families: Mapping[int, str],
) -> pl.DataFrame:
    """Ended episodes in columns of `gold.episodes`, all but month, kinds, level_ids and known_at.

    Parameters
    ----------
    ended : EndedEpisodes
    ids : array of str
        Names by running number, see `episode_ids`.
    symbol : str
    session : datetime.date
        Trade date.
    families : mapping of int to str
        Zone number to family.

    Returns
    -------
    polars.DataFrame
        In the order given, with `episode`, the running number, in front.
    """
    touch = pl.Series(ended.touch_ns)
    return pl.DataFrame(
        {
            "episode": ended.episode,
            "symbol": pl.repeat(symbol, len(ended.zone), eager=True, dtype=pl.String()),
            "session": pl.repeat(session, len(ended.zone), eager=True, dtype=pl.Date()),
            "episode_id": pl.Series(ids[ended.episode].tolist(), dtype=pl.String()),
            "family": pl.Series([families[z] for z in ended.zone.tolist()], dtype=pl.String()),
            "zone": ended.zone,
            "direction": ended.direction,
            "low_ticks": ended.low,
            "high_ticks": ended.high,
            "sigma_ticks": ended.sigma,
            "enter_ns": ended.enter_ns,
            "touch_ns": touch.set(touch == NO_TOUCH, None),
            "end_ns": ended.end_ns,
            "end_reason": pl.Series(
                [END_REASONS[code] for code in ended.reason.tolist()], dtype=pl.String()
            ),
            "attempt": ended.attempt.astype(np.int64),
            "chain": pl.Series(ids[ended.chain].tolist(), dtype=pl.String()),
        }
    )
