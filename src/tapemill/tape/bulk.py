"""Bulk-volume classification: the share of a bar's volume that was bought, from closes alone."""

from __future__ import annotations

import dataclasses
from typing import Self

import numpy as np
import numpy.typing as npt

from tapemill.errors import ConfigError, ContractError
from tapemill.tape.prints import Bools, Floats

__all__ = ["BulkRules", "BulkState", "bulk_buy_share"]


@dataclasses.dataclass(frozen=True)
class BulkRules:
    """How bars are split.

    Parameters
    ----------
    degrees : float
        Degrees of freedom of Student's t; 0 = the normal distribution. Easley, López de Prado &
        O'Hara (2016) use 0.25 as the alternative.
    half_life_bars : float
        Bars after which a price change weighs half in sigma; 1950 = five regular sessions of
        minutes.
    minimum_bars : int
        Bars with a price change behind sigma before anything is said.
    """

    degrees: float = 0.0
    half_life_bars: float = 1950.0
    minimum_bars: int = 30

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.degrees < 0 or self.half_life_bars <= 0 or self.minimum_bars < 2:
            raise ConfigError(
                f"bulk rules cannot be meant: {self}",
                next_step="degrees >= 0, half_life_bars > 0, minimum_bars >= 2",
            )


@dataclasses.dataclass(frozen=True)
class BulkState:
    """What stays between two chunks of bars.

    Attributes
    ----------
    last_close : float
        Close of the last bar, 0 at the start.
    bars : int
        Bars counted in the moments.
    weight, mean, spread : float
        Σ volume, weighted mean and weighted sum of squared deviations of the relative changes.
    """

    last_close: float = 0.0
    bars: int = 0
    weight: float = 0.0
    mean: float = 0.0
    spread: float = 0.0

    @classmethod
    def fresh(cls) -> Self:
        """Nothing seen yet."""
        return cls()

    @property
    def sigma(self) -> float:
        """Volume-weighted standard deviation of relative changes so far; 0 before there is one."""
        return float(np.sqrt(self.spread / self.weight)) if self.weight > 0 else 0.0


def bulk_buy_share(
    open_price: npt.ArrayLike,
    close: npt.ArrayLike,
    volume: npt.ArrayLike,
    *,
    new_session: Bools | None = None,
    sigma: float | None = None,
    rules: BulkRules | None = None,
    state: BulkState | None = None,
) -> tuple[Floats, BulkState]:
    """Share of each bar's volume that buyers took, by bulk-volume classification.

    ``share = F(Δ / σ)`` with F the normal or Student's t distribution function and Δ the change of
    the close against the close before, relative to it (so that σ outlives a split). The first bar
    of a session is measured against its own open: the night's gap was not traded in it.

    No look-ahead: σ is the volume-weighted standard deviation of the changes of *earlier* bars,
    with weights that halve every `half_life_bars`, carried over sessions; or it is given.

    Parameters
    ----------
    open_price, close, volume : array_like of float64, shape (n,)
        Bars of one symbol in the order of time, dollars and shares. Bars without volume are let
        pass: share NaN, nothing moves.
    new_session : ndarray of bool, optional
        True at the first bar of a session; default: the first bar of all, if there is no state.
    sigma : float, optional
        A σ of relative changes to use throughout, for example of previous days.
    rules : BulkRules, optional
    state : BulkState, optional
        Of the chunk before.

    Returns
    -------
    share : ndarray of float64, shape (n,)
        0 to 1; NaN where σ is not known yet or is zero: such volume is unclassified, not half.
        Sold volume is ``(1 - share) · volume``: a bar's volume is counted once.
    state : BulkState
        To go on with.

    Raises
    ------
    ContractError
        Lengths differ, a price is not above zero, or a volume is below zero.
    ConfigError
        A given sigma is not above zero.

    References
    ----------
    Easley, López de Prado & O'Hara, "Flow toxicity and liquidity in a high-frequency world",
    Review of Financial Studies 25(5), 2012, eq. 4.
    """
    opens, closes, volumes = (
        np.ascontiguousarray(values, np.float64) for values in (open_price, close, volume)
    )
    n = closes.size
    first = np.zeros(n, np.bool_) if new_session is None else np.asarray(new_session, np.bool_)
    if not opens.shape == closes.shape == volumes.shape == first.shape == (n,):
        raise ContractError("bars: columns of different lengths", next_step="give whole bars")
    prices_stand = np.isfinite(opens) & np.isfinite(closes) & (opens > 0) & (closes > 0)
    if not (prices_stand & np.isfinite(volumes) & (volumes >= 0)).all():
        raise ContractError(
            "bars: a price is not above zero or a volume is below zero",
            next_step="set such bars apart beforehand",
        )
    if sigma is not None and not (np.isfinite(sigma) and sigma > 0):
        raise ConfigError(f"sigma is {sigma}", next_step="give a number above zero, or None")
    rules = rules or BulkRules()
    before = state or BulkState.fresh()

    from tapemill.tape._bulk import split_bars  # compiled: keep it out of start paths

    share = np.empty(n)
    last, bars, weight, mean, spread = split_bars(
        opens,
        closes,
        volumes,
        np.ascontiguousarray(first),
        0.0 if sigma is None else sigma,
        rules.degrees,
        0.5 ** (1.0 / rules.half_life_bars),
        rules.minimum_bars,
        before.last_close,
        before.bars,
        before.weight,
        before.mean,
        before.spread,
        share,
    )
    return share, BulkState(last, int(bars), weight, mean, spread)
