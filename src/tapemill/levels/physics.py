"""Features of book and tape at each decision about a level, event by event or a day at once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import polars as pl

from tapemill.book.events import Changes, Events
from tapemill.contracts.level_feature import LevelFeature
from tapemill.contracts.level_physics import (
    BARRIER_FEATURES,
    IMBALANCE_FEATURES,
    TAPE_FEATURES,
    WINDOWS,
)
from tapemill.errors import ContractError
from tapemill.levels._physics_gather import SUMS, gather
from tapemill.levels._physics_layout import (
    LAST_ORDINAL,
    LAST_TS,
    RING,
    SECOND_NS,
    USED,
    State,
    grown_book,
    new_state,
)
from tapemill.levels._physics_walk import walk
from tapemill.levels.episodes import Decisions
from tapemill.settings.declaration import LevelsSettings

__all__ = ["PHYSICS_FEATURES", "FeatureRows", "Physics", "feature_frame"]

Array = Any

PHYSICS_FEATURES: tuple[LevelFeature, ...] = (
    *BARRIER_FEATURES,
    *TAPE_FEATURES,
    *IMBALANCE_FEATURES,
)
"""Columns of :class:`FeatureRows`, in order."""

_END = int(np.iinfo(np.int64).max)
_walk: Any = walk  # takes what it carries as one argument a column
_EVENT_COLUMNS = (
    ("ts_gateway", np.int64), ("ordinal", np.int64), ("action", np.int8), ("side", np.int8),
    ("price", np.int32), ("size", np.int32), ("depth", np.int16), ("flags", np.int16),
    ("first_change", np.int64),
)  # fmt: skip
_CHANGE_TYPES = (np.int8, np.int32, np.int32, np.int32, np.int8, np.int32)


class FeatureRows(NamedTuple):
    """Answers to decisions, in the order of the decisions; arrays of length n.

    Attributes
    ----------
    episode : int64
    delay : int32
        Seconds after the touch.
    values : float64, shape (n, len(PHYSICS_FEATURES))
        NaN where there is no evidence.
    """

    episode: Array
    delay: Array
    values: Array


_NO_ROWS = FeatureRows(
    np.empty(0, np.int64), np.empty(0, np.int32), np.empty((0, len(PHYSICS_FEATURES)))
)


class _Pending(NamedTuple):
    """A decision that waits for its moment; sorts as decisions do."""

    decision_ns: int
    ordinal: int
    episode: int
    delay: int
    direction: int
    low: float
    high: float
    sigma: float
    touch_ns: int


class Physics:
    """Walks the events of one instrument once and answers decisions about its levels.

    Any chunking of the events gives the same answers to the bit, and an answer depends on no event
    after its decision. What is carried takes 26 MB.

    Parameters
    ----------
    settings : LevelsSettings
        Bands, windows and thresholds.
    """

    def __init__(self, settings: LevelsSettings) -> None:
        self._state: State = new_state(settings)
        self._pending: list[_Pending] = []
        self._sums = np.zeros(SUMS, np.int64)
        self._limits = np.array(
            [
                settings.vacuum_ratio,
                settings.wall_ratio,
                settings.flow_min_contracts,
                settings.weak_contracts,
                settings.barrier_min_ticks,
                settings.barrier_sigma,
                settings.tape_min_ticks,
                settings.tape_sigma,
            ]
        )

    def advance(
        self, events: Events, changes: Changes, decisions: Decisions | None, until_ns: int
    ) -> FeatureRows:
        """Walk the next events and answer the decisions whose moment they reach.

        Parameters
        ----------
        events, changes : Events and Changes
            The next records in order of arrival, as a book gives them.
        decisions : Decisions, optional
            Decisions not given before; none may lie before the last event already walked.
        until_ns : int
            Every event before this moment has been given (ns UTC): decisions before it are
            answered. One at a record that has been walked is answered too.

        Returns
        -------
        FeatureRows

        Raises
        ------
        ContractError
            A decision came after events that it must not know.
        """
        if decisions is not None and len(decisions.decision_ns):
            self._accept(decisions)
        given = [np.ascontiguousarray(getattr(events, name), kind) for name, kind in _EVENT_COLUMNS]
        given += [
            np.ascontiguousarray(column, kind)
            for column, kind in zip(changes, _CHANGE_TYPES, strict=True)
        ]
        size, at = given[0].size, 0
        answers: list[tuple[_Pending, Array]] = []
        while at < size:
            stop = self._pending[0] if self._pending else None
            at = _walk(
                *self._state, *given, at,
                stop.decision_ns if stop else _END, stop.ordinal if stop else _END,
            )  # fmt: skip
            if at == size:
                break
            if stop and (given[0][at], given[1][at]) > stop[:2]:
                self._answer_until((int(given[0][at]), int(given[1][at])), answers)
            else:
                self._grow_book(int(given[-7][at + 1] - given[-7][at]))
        if self._pending:
            last = (int(self._state.whole[LAST_TS]), int(self._state.whole[LAST_ORDINAL]) + 1)
            self._answer_until(max((until_ns, -1), last), answers)
        return _rows(answers)

    def finish(self) -> FeatureRows:
        """Answer every decision that still waits: no further event comes."""
        answers: list[tuple[_Pending, Array]] = []
        self._answer_until((_END, _END), answers)
        return _rows(answers)

    def _accept(self, decisions: Decisions) -> None:
        whole = self._state.whole
        reached = (int(whole[LAST_TS]), int(whole[LAST_ORDINAL]))
        columns = [np.asarray(getattr(decisions, name)).tolist() for name in _Pending._fields]
        fresh = [_Pending(*row) for row in zip(*columns, strict=True)]
        for one in fresh:
            if one[:2] < reached:
                raise ContractError(
                    f"decision at {one.decision_ns} ns, record {one.ordinal}, came too late",
                    where=f"episode {one.episode}, delay {one.delay} s; events are walked up to"
                    f" {reached[0]} ns, record {reached[1]}",
                    next_step="give a decision no later than the first event after it",
                )
        self._pending = sorted(self._pending + fresh)

    def _answer_until(self, key: tuple[int, int], answers: list[tuple[_Pending, Array]]) -> None:
        """Answer what waits for a moment before `key`."""
        ready = 0
        while ready < len(self._pending) and self._pending[ready][:2] < key:
            one = self._pending[ready]
            out = np.empty(len(PHYSICS_FEATURES))
            gather(
                *self._state, one.decision_ns, one.touch_ns, one.direction,
                one.low, one.high, one.sigma, self._limits, _spans(one), self._sums, out,
            )  # fmt: skip
            answers.append((one, out))
            ready += 1
        del self._pending[:ready]

    def _grow_book(self, needed: int) -> None:
        book = self._state.book
        while int(self._state.whole[USED]) + needed > book.shape[0] - book.shape[0] // 4:
            book = grown_book(book)
        self._state = self._state._replace(book=book)


def feature_frame(values: Array) -> pl.DataFrame:
    """Columns of the declared names and types from a matrix of features.

    Parameters
    ----------
    values : array of float64, shape (n, len(PHYSICS_FEATURES))
        NaN where there is no evidence.

    Returns
    -------
    pl.DataFrame
        Null where there is no evidence.
    """
    return pl.DataFrame(
        [
            pl.Series(feature.name, values[:, place]).fill_nan(None).cast(feature.dtype)
            for place, feature in enumerate(PHYSICS_FEATURES)
        ]
    )


def _spans(one: _Pending) -> Array:
    """Windows in seconds; that of the touch is -1 at the touch and where it is not kept."""
    since = one.decision_ns // SECOND_NS - one.touch_ns // SECOND_NS
    touch = since if one.delay > 0 and since < RING - 1 else -1
    return np.array([*WINDOWS, touch], np.int64)


def _rows(answers: list[tuple[_Pending, Array]]) -> FeatureRows:
    if not answers:
        return _NO_ROWS
    return FeatureRows(
        np.array([one.episode for one, _ in answers], np.int64),
        np.array([one.delay for one, _ in answers], np.int32),
        np.array([out for _, out in answers]).reshape(-1, len(PHYSICS_FEATURES)),
    )
