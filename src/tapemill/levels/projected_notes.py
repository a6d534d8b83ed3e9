"""What of the user's levels could not be brought to a contract, for the reader of a report."""

from __future__ import annotations

import dataclasses

import polars as pl

from tapemill.lake import Lake
from tapemill.levels.projected import Unprojected, unprojected_levels
from tapemill.levels.subject import Subject, level_inputs
from tapemill.settings import LevelsSettings

__all__ = ["projection_notes"]

_MINUTES = "silver.futures_minutes"


def projection_notes(
    lake: Lake, subject: Subject, settings: LevelsSettings
) -> tuple[Unprojected, ...]:
    """Levels of other instruments that never stood on a contract and trade date, and why.

    Parameters
    ----------
    lake : Lake
    subject : Subject
        As :func:`tapemill.levels.subject.subjects_of` finds it.
    settings : LevelsSettings

    Returns
    -------
    tuple of Unprojected
        ``symbol``, ``name`` and ``reason`` (a sentence without its full stop).

    Raises
    ------
    ConfigError
        The user's file cannot be read.
    """
    if not settings.user_file:
        return ()
    minutes = lake.tables.scan(_MINUTES, start=subject.session, end=subject.session).filter(
        pl.col("symbol") == subject.symbol, pl.col("session") == subject.session
    )
    inputs = level_inputs(lake, subject, settings)
    return unprojected_levels(
        dataclasses.replace(inputs, minutes=minutes.sort("ts_event").collect())
    )
