"""Labels with a memory: they begin at one score, end at a lower one, and may have to hold first.

The memory is explicit and small: the label held, and the one that is waiting to begin with the
evenings it has waited. All three stand in the row of the evening, so the next evening needs only
that row. It must be the row of the session before: a gap ends a label, because nobody knows what
happened in it.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

__all__ = ["LABELS", "LabelState", "step_labels"]

Codes = npt.NDArray[np.int8]
Scores = npt.NDArray[np.float64]

LABELS = {1: "accumulate", -1: "distribute", 0: "neutral", 2: "divergent", 3: "insufficient"}
"""Code → label. 1 and −1 can be held; the others hold nothing."""


@dataclasses.dataclass(frozen=True)
class LabelState:
    """What an evening hands on to the next, per symbol.

    Attributes
    ----------
    held : ndarray
        int8, 1 accumulate, −1 distribute, 0 none.
    pending : ndarray
        int8, the side that waits to begin; 0 none.
    waited : ndarray
        int8, evenings in a row it has been beyond the entry, this one included.
    """

    held: Codes
    pending: Codes
    waited: Codes

    @classmethod
    def empty(cls, size: int) -> LabelState:
        """Nothing held and nothing pending."""
        return cls(*(np.zeros(size, dtype=np.int8) for _ in range(3)))


def step_labels(
    state: LabelState,
    score: Scores,
    divergent: npt.NDArray[np.bool_],
    insufficient: npt.NDArray[np.bool_],
    *,
    enter: float,
    leave: float,
    evenings: int,
) -> tuple[Codes, LabelState]:
    """Labels of one evening, and the state after it.

    Parameters
    ----------
    state : LabelState
        Of the evening before.
    score : ndarray
        float64, shape (symbols,); may be NaN where `insufficient`.
    divergent, insufficient : ndarray
        bool. Both speak at once, without persistence, and end what was held: they say that the
        evidence for it is gone. `insufficient` wins.
    enter, leave : float
        A label begins at ``|score| >= enter`` and ends at ``|score| <= leave``.
    evenings : int
        Evenings in a row that a new label must be beyond `enter`; 1 = at once.

    Returns
    -------
    codes : ndarray
        int8 keys of :data:`LABELS`.
    state : LabelState
    """
    quiet = insufficient | divergent
    known = np.where(quiet, 0.0, score)
    side = np.where(known >= enter, 1, np.where(known <= -enter, -1, 0)).astype(np.int8)
    kept = np.where((state.held * known > leave) | (side == state.held), state.held, 0)
    fresh = (side != 0) & (side != state.held)
    waited = np.where(fresh, np.where(state.pending == side, state.waited, 0) + 1, 0)
    begins = fresh & (waited >= evenings)
    held = np.where(quiet, 0, np.where(begins, side, kept)).astype(np.int8)
    waits = fresh & ~begins
    after = LabelState(
        held,
        np.where(waits, side, 0).astype(np.int8),
        np.where(waits, waited, 0).astype(np.int8),
    )
    codes = np.where(insufficient, 3, np.where(divergent, 2, held)).astype(np.int8)
    return codes, after
