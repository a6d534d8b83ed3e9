"""Student's distribution against scipy."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from tapemill.proof.student import t_quantile, t_two_sided

DOFS = [0.7, 1.0, 2.0, 3.3, 7.5, 30.0, 250.0, 1e6]


@pytest.mark.parametrize("dof", DOFS)
@pytest.mark.parametrize("t", [0.0, 0.01, 0.5, 1.0, 1.96, 3.0, 8.0, 40.0])
def test_tail_equals_scipy(t, dof):
    assert t_two_sided(t, dof) == pytest.approx(2 * stats.t.sf(t, dof), rel=1e-8, abs=1e-14)
    assert t_two_sided(-t, dof) == t_two_sided(t, dof)


@pytest.mark.parametrize("dof", DOFS)
@pytest.mark.parametrize("tail", [0.5, 0.1, 0.05, 0.001])
def test_quantile_equals_scipy(tail, dof):
    assert t_quantile(tail, dof) == pytest.approx(stats.t.isf(tail / 2, dof), rel=1e-8)


def test_edges():
    assert t_two_sided(math.inf, 5.0) == 0.0
    assert math.isnan(t_two_sided(math.nan, 5.0))
    assert math.isnan(t_two_sided(1.0, 0.0))
