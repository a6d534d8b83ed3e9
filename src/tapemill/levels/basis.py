"""The basis between two instruments (ETF, index, future) as known at each minute, with its error.

What one instrument is in terms of another is no constant: carry, dividends and the scale of a fund
drift. The logarithm of the price ratio is taken as a local level, seen through noise (closes of a
minute are not struck at one moment) and wandering slowly. How noisy and how fast is learned from
the minutes before, by the weights of filters that assume different things (Bayesian model
averaging over the signal-to-noise ratio), with older minutes forgotten.

Formulas: Durbin and Koopman, Time Series Analysis by State Space Methods, 2nd ed., chapter 2.
"""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from tapemill.errors import ContractError, UnknownNameError, did_you_mean
from tapemill.levels.basis_kernel import advance
from tapemill.levels.inputs import MINUTE_NS
from tapemill.levels.kinds import FloatArray, IntArray, LevelPath

__all__ = ["BasisModel", "half_width", "paired_closes", "projected_path"]

_Z_95 = 1.959963984540054
_RATIOS = np.logspace(-5.0, 1.0, 19)
"""Signal-to-noise ratios a minute: from a level that holds its memory for a session (1/√ratio
minutes) to one that loses it in less than a minute. Slower ones cannot be told in what is
remembered; faster ones only make the band wider than it need be."""
_PRIOR = 0.4 * np.log(_RATIOS)
"""Leans to livelier levels, for a band too narrow harms and one too wide does not: with none the
bands of slow bases covered 92 % instead of 95 %."""


def half_width(price: float, ratio_half_width: float) -> float:
    """Half width of the band of a projected price, from the relative one of the ratio."""
    return abs(price) * ratio_half_width


def paired_closes(from_minutes: pl.DataFrame, to_minutes: pl.DataFrame) -> pl.DataFrame:
    """Minutes in which both instruments traded.

    Parameters
    ----------
    from_minutes, to_minutes : pl.DataFrame
        ``ts_event`` Int64 (start of the minute, ns UTC) and ``price`` (close, points).

    Returns
    -------
    pl.DataFrame
        ``ts_event``, ``from_price``, ``to_price``, by time.

    See Also
    --------
    tapemill.levels.projected.known_pairs : Where the closes of a minute become known later.
    """
    return (
        from_minutes.select("ts_event", from_price="price")
        .join(to_minutes.select("ts_event", to_price="price"), on="ts_event")
        .drop_nulls()
        .sort("ts_event")
    )


class BasisModel:
    """Ratio of two instruments' prices, point in time.

    Parameters
    ----------
    from_symbol, to_symbol : str
        The ratio is price of `to_symbol` over price of `from_symbol`.
    half_life : int
        Paired minutes after which an observation weighs half in what is learned about noise.
    least_pairs : int
        Paired minutes before anything is known.
    finish_lag_ns : int
        How long after its end a minute counts as finished.

    Attributes
    ----------
    at_ns_ : ndarray of int64
        When each paired minute was known, ns UTC: from then on the values below are.
    ended_ns_ : ndarray of int64
        End of each paired minute, ns UTC: what the values are of.
    log_ratio_, standard_error_ : ndarray of float64
        Mean and standard error of the logarithm of the ratio; NaN before `least_pairs`.
    growth_ : ndarray of float64
        Growth of the squared standard error in each minute without a pair.
    """

    def __init__(
        self,
        from_symbol: str,
        to_symbol: str,
        *,
        half_life: int = 1950,
        least_pairs: int = 30,
        finish_lag_ns: int = 0,
    ) -> None:
        self.from_symbol = from_symbol
        self.to_symbol = to_symbol
        self.half_life = half_life
        self.least_pairs = least_pairs
        self.finish_lag_ns = finish_lag_ns

    def fit(self, pairs: pl.DataFrame) -> BasisModel:
        """Learn from paired minutes, forgetting everything before; see :meth:`extend`."""
        self.at_ns_: IntArray = np.empty(0, np.int64)
        self.ended_ns_: IntArray = np.empty(0, np.int64)
        self.log_ratio_: FloatArray = np.empty(0)
        self.standard_error_: FloatArray = np.empty(0)
        self.growth_: FloatArray = np.empty(0)
        self._state = np.zeros((5, len(_RATIOS)))
        self._last = math.nan
        return self.extend(pairs)

    def extend(self, pairs: pl.DataFrame) -> BasisModel:
        """Take in later paired minutes; the same, to the bit, as one `fit` with all of them.

        Parameters
        ----------
        pairs : pl.DataFrame
            As :func:`paired_closes` gives them; with ``known_ns`` Int64 where a minute is not
            known as soon as it has finished.

        Returns
        -------
        BasisModel
            Itself.

        Raises
        ------
        ContractError
            Minutes out of order or before the last one, one that is known before it ends or
            before the one before it, or a price that is not above zero.
        """
        start = pairs["ts_event"].cast(pl.Int64).to_numpy()
        ended = start + MINUTE_NS
        at = ended + self.finish_lag_ns
        if "known_ns" in pairs.columns:
            at = pairs["known_ns"].cast(pl.Int64).to_numpy()
        last, known = (self.ended_ns_[-1], self.at_ns_[-1]) if len(self.at_ns_) else (-1, -1)
        ordered = (np.diff(ended, prepend=last) > 0) & (np.diff(at, prepend=known) >= 0)
        if not bool((ordered & (at >= ended)).all()):
            raise ContractError(
                f"paired minutes of {self.from_symbol} and {self.to_symbol} are out of order",
                next_step="give each minute once, by time, and none before it was known",
            )
        prices = pairs.select(pl.col("from_price", "to_price").cast(pl.Float64)).to_numpy()
        if not bool((np.isfinite(prices) & (prices > 0)).all()):
            raise ContractError(
                f"a price of {self.from_symbol} or {self.to_symbol} is not above zero",
                next_step="a ratio needs prices; leave such minutes out",
            )
        values = np.log(prices[:, 1]) - np.log(prices[:, 0])
        mean, variance, growth, self._last = advance(
            self._state,
            start / MINUTE_NS,
            values,
            _RATIOS,
            _PRIOR,
            2.0 ** (-1.0 / self.half_life),
            self._last,
        )
        seen = len(self.at_ns_) + np.arange(1, len(at) + 1)
        enough = seen >= self.least_pairs
        error = np.sqrt(variance)
        self.at_ns_ = np.concatenate((self.at_ns_, at))
        self.ended_ns_ = np.concatenate((self.ended_ns_, ended))
        self.log_ratio_ = np.concatenate((self.log_ratio_, np.where(enough, mean, np.nan)))
        self.standard_error_ = np.concatenate(
            (self.standard_error_, np.where(enough, error, np.nan))
        )
        self.growth_ = np.concatenate((self.growth_, np.where(enough, growth, np.nan)))
        return self

    def known_at(self, moments_ns: IntArray) -> tuple[FloatArray, FloatArray]:
        """Logarithm of the ratio and its standard error as known at each moment.

        Since the end of the last minute known by then the error has grown. NaN where nothing was
        known.
        """
        at = np.searchsorted(self.at_ns_, moments_ns, side="right") - 1
        nothing = np.full(len(moments_ns), np.nan)
        if not len(self.at_ns_):
            return nothing, nothing.copy()
        index = np.maximum(at, 0)
        waited = np.maximum(moments_ns - self.ended_ns_[index], 0) / MINUTE_NS
        variance = self.standard_error_[index] ** 2 + self.growth_[index] * waited
        known = at >= 0
        return (
            np.where(known, self.log_ratio_[index], np.nan),
            np.where(known, np.sqrt(variance), np.nan),
        )

    def project(
        self, price: float, from_symbol: str, to_symbol: str, at_ns: int
    ) -> tuple[float, float]:
        """A price of one instrument in terms of the other, as known at a moment.

        Returns
        -------
        tuple of float
            Price and half width of its 95 % band, points; NaN where nothing was known.

        Raises
        ------
        UnknownNameError
            The model is of other instruments.
        """
        sign = self._sign(from_symbol, to_symbol)
        log_ratio, error = self.known_at(np.array([at_ns], np.int64))
        projected = price * math.exp(sign * float(log_ratio[0]))
        return projected, half_width(projected, _Z_95 * float(error[0]))

    def _sign(self, from_symbol: str, to_symbol: str) -> int:
        own = (self.from_symbol, self.to_symbol)
        if (from_symbol, to_symbol) == own:
            return 1
        if (to_symbol, from_symbol) == own:
            return -1
        lost = next((name for name in (from_symbol, to_symbol) if name not in own), to_symbol)
        raise UnknownNameError(
            f"this basis model cannot project from {from_symbol!r} to {to_symbol!r}",
            where=f"it is of {own[0]} and {own[1]}",
            next_step=did_you_mean(lost, own) or "make a model of these two",
        )


def projected_path(
    model: BasisModel,
    level_id: str,
    price: float,
    from_symbol: str,
    to_symbol: str,
    tick_size: float,
    begin_ns: int,
    end_ns: int,
    provenance: str,
) -> LevelPath:
    """A level of one instrument as it stands on the other, minute by minute, with its error.

    Parameters
    ----------
    model : BasisModel
        Of both instruments.
    level_id : str
        Id of the level.
    price : float
        Where it stands on `from_symbol`, points.
    from_symbol, to_symbol : str
        Where it is defined, and where it is wanted.
    tick_size : float
        Of `to_symbol`, points.
    begin_ns, end_ns : int
        Between which it stands, ns UTC.
    provenance : str
        From which rows and rule it comes.

    Returns
    -------
    LevelPath
        Ticks of `to_symbol`; begins when the basis is known.
    """
    sign = model._sign(from_symbol, to_symbol)
    # At each minute, for without new pairs the error grows.
    first = (begin_ns - model.finish_lag_ns) // MINUTE_NS + 1
    minutes = np.arange(first * MINUTE_NS + model.finish_lag_ns, end_ns, MINUTE_NS)
    at = np.concatenate(([begin_ns], minutes)).astype(np.int64)
    log_ratio, error = model.known_at(at)
    known = np.isfinite(log_ratio)
    ticks = price * np.exp(sign * log_ratio[known]) / tick_size
    return LevelPath(
        level_id,
        np.append(at[known], end_ns),
        np.append(ticks, np.nan),
        provenance,
        np.append(np.abs(ticks) * _Z_95 * error[known], 0.0),
        from_symbol,
    )
