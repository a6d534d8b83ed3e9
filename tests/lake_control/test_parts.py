"""Another listing of the whole market has cells of its own."""

from __future__ import annotations

import numpy as np

from tapemill.lake.control.cells import CellState, is_part, overlay


def test_the_markets_cell_says_nothing_of_another_listing() -> None:
    own = np.zeros((3, 2), dtype=np.uint8)
    market = np.array([CellState.DATA, CellState.TRANSIENT], dtype=np.uint8)
    states, from_market = overlay(own, market, ("KO", "*firms", "*firmsKO"))
    assert states.tolist() == [[CellState.DATA, CellState.TRANSIENT], [0, 0], [0, 0]]
    assert from_market.tolist() == [[True, True], [False, False], [False, False]]
    assert [is_part(name) for name in ("*", "*firms", "KO")] == [False, True, False]
