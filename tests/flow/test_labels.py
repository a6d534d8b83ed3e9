"""Labels with a memory against a plain loop over one symbol."""

from __future__ import annotations

import numpy as np
import pytest

from tapemill.flow.labels import LabelState, step_labels

RULE = {"enter": 0.35, "leave": 0.15}


def walk(scores, evenings=1, divergent=(), insufficient=()):
    state = LabelState.empty(1)
    codes = []
    for t, score in enumerate(scores):
        code, state = step_labels(
            state,
            np.array([score]),
            np.array([t in divergent]),
            np.array([t in insufficient]),
            evenings=evenings,
            **RULE,
        )
        codes.append(int(code[0]))
    return codes


def plain(scores, evenings, divergent, insufficient):
    """The rule in words: one symbol, one evening after the other."""
    held, pending, waited, codes = 0, 0, 0, []
    for t, score in enumerate(scores):
        if t in insufficient or t in divergent:
            codes.append(3 if t in insufficient else 2)
            held = pending = waited = 0
            continue
        side = 1 if score >= 0.35 else -1 if score <= -0.35 else 0
        if held and side != held and held * score <= 0.15:
            held = 0
        if side and side != held:
            waited = waited + 1 if pending == side else 1
            pending = side
            if waited >= evenings:
                held, pending, waited = side, 0, 0
        else:
            pending = waited = 0
        codes.append(held)
    return codes


def test_a_label_begins_at_one_score_and_ends_at_a_lower_one():
    assert walk([0.2, 0.35, 0.2, 0.16, 0.15, 0.2, -0.4, -0.1]) == [0, 1, 1, 1, 0, 0, -1, 0]


def test_persistence_waits_for_evenings_in_a_row():
    assert walk([0.4, 0.4, 0.4], evenings=2) == [0, 1, 1]
    assert walk([0.4, 0.3, 0.4, 0.4], evenings=2) == [0, 0, 0, 1]
    assert walk([0.4, 0.4, -0.5, 0.4, -0.5, -0.5], evenings=2) == [0, 1, 0, 0, 0, -1]


def test_divergence_and_missing_evidence_speak_at_once_and_end_what_was_held():
    assert walk([0.4, 0.4, 0.2], divergent={1}) == [1, 2, 0]
    assert walk([0.4, np.nan, 0.2], insufficient={1}) == [1, 3, 0]
    assert walk([0.4], divergent={0}, insufficient={0}) == [3]


@pytest.mark.parametrize("evenings", [1, 2, 3])
def test_many_symbols_at_once_equal_the_loop(evenings):
    rng = np.random.default_rng(7)
    scores = np.cumsum(rng.normal(0, 0.2, (300, 60)), axis=1) * 0.5
    div, lacks = rng.random((300, 60)) < 0.04, rng.random((300, 60)) < 0.04
    state, got = LabelState.empty(300), []
    for t in range(60):
        code, state = step_labels(
            state, scores[:, t], div[:, t], lacks[:, t], evenings=evenings, **RULE
        )
        got.append(code)
    for n in range(300):
        expected = plain(
            scores[n], evenings, set(np.flatnonzero(div[n])), set(np.flatnonzero(lacks[n]))
        )
        assert [int(code[n]) for code in got] == expected
