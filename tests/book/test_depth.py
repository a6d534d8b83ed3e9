"""The state of the book: sorted ladders, whatever the order of changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from book.streams import A, B
from tapemill.book import NO_PRICE, Changes, DepthState
from tapemill.errors import ContractError

ROW = st.tuples(st.sampled_from([A, B]), st.integers(-150, 150), st.integers(0, 3))


def changes_of(rows):
    side, price, size = (np.array(column) for column in zip(*rows, strict=True))
    orders = (size > 0) * 2
    kinds = (np.int8, np.int32, np.int32, np.int32, np.int8, np.int32)
    columns = (side, price, size, orders, 0 * side, 0 * size)
    return Changes(*(column.astype(kind) for column, kind in zip(columns, kinds, strict=True)))


@pytest.mark.property
@given(rows=st.lists(ROW, min_size=1, max_size=600), cut=st.integers(0, 600), n=st.integers(1, 9))
def test_ladders_are_those_of_a_dictionary(rows, cut, n):
    changes = changes_of(rows)
    cut = min(cut, len(rows))
    state = DepthState(n)
    state.apply(changes, 0, cut)
    state.apply(changes, cut)
    for side in (A, B):
        held = {}
        for part, price, size in rows:
            if part == side:
                held[price] = size
        best = sorted((p for p, s in held.items() if s), reverse=side == B)
        price, size, orders = state.ladder(side, 0)
        assert price.tolist() == best
        assert size.tolist() == [held[p] for p in best]
        assert set(orders.tolist()) <= {2}
        assert state.ladder(side)[0].tolist() == best[:n]
        assert state.ladder(side, 2)[0].tolist() == best[:2]
        assert state.best()[side == A] == (best[0] if best else NO_PRICE)


def test_more_levels_than_the_first_room_holds():
    rng = np.random.default_rng(3)
    prices = rng.permutation(5000)
    state = DepthState()
    state.apply(changes_of([(B, int(p), 1) for p in prices]))
    assert state.ladder(B)[0].tolist() == list(range(4999, -1, -1))


def test_a_side_has_two_names():
    with pytest.raises(ContractError):
        DepthState().ladder(78)
