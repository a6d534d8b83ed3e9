"""Trades as columns, and the silences of a feed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tapemill.book.events import NO_PRICE, Events, Flag
from tapemill.errors import ContractError
from tapemill.levels._trade_places import trade_places

__all__ = ["NO_TRADES", "FeedSilence", "Gaps", "Trades", "require_order", "trades_of"]

Array = Any

_SECOND = 1_000_000_000
_TRADE, _BUYER, _SELLER = ord("T"), ord("B"), ord("A")


class Trades(NamedTuple):
    """Consecutive trades of one instrument, one array a column, all of length n.

    Attributes
    ----------
    ts_gateway : int64
        When the vendor's gateway had it (ns UTC); never decreases.
    ordinal : int64
        Position of the record in its feed; grows strictly at one `ts_gateway`.
    price, size : int32
        Ticks and contracts.
    aggressor : int8
        +1 the buyer, -1 the seller, 0 unknown.
    """

    ts_gateway: Array
    ordinal: Array
    price: Array
    size: Array
    aggressor: Array


_NOBODY = np.zeros(1, np.int8)
_AGGRESSORS = {_BUYER: np.array([1], np.int8), _SELLER: np.array([-1], np.int8)}
for _one in (_NOBODY, *_AGGRESSORS.values()):
    _one.flags.writeable = False

NO_TRADES = Trades(*(np.empty(0, dtype) for dtype in ("i8", "i8", "i4", "i4", "i1")))
"""Nothing was traded."""


def trades_of(events: Events) -> Trades:
    """Trades among the records of an order feed.

    Parameters
    ----------
    events : Events
        Records of one instrument in order of arrival.

    Returns
    -------
    Trades
        Its records with action ``T`` and a price, in the same order; fills (``F``) say again what
        a trade has said and are left out, and so is what a snapshot repeats.
    """
    if len(events.action) == 1:  # a live feed comes record by record
        return _trade_of(events)
    at = trade_places(events.action, events.price, events.flags, NO_PRICE)
    side = events.side[at]
    return Trades(
        events.ts_gateway[at],
        events.ordinal[at],
        events.price[at],
        events.size[at],
        (side == _BUYER).astype(np.int8) - (side == _SELLER).astype(np.int8),
    )


def _trade_of(events: Events) -> Trades:
    """The same for a single record, in a tenth of the time."""
    if events.action[0] != _TRADE or events.price[0] == NO_PRICE or events.flags[0] & Flag.SNAPSHOT:
        return NO_TRADES
    aggressor = _AGGRESSORS.get(int(events.side[0]), _NOBODY)
    return Trades(events.ts_gateway, events.ordinal, events.price, events.size, aggressor)


def require_order(what: str, moments: Array, earliest: int) -> None:
    """Refuse moments that run backwards or lie before what was reached.

    Parameters
    ----------
    what : str
        Name of one of the rows, for the message.
    moments : array of int64, shape (n,)
        Their times (ns UTC).
    earliest : int
        None may lie before it (ns UTC).

    Raises
    ------
    ContractError
    """
    if not len(moments) or (len(moments) == 1 and moments[0] >= earliest):
        return
    before = np.concatenate([np.array([earliest], np.int64), moments[:-1]])
    late = np.flatnonzero(moments < before)
    if late.size:
        raise ContractError(
            f"{what} at {moments[late[0]]} ns comes after {before[late[0]]} ns was reached",
            where=f"row {late[0]} of those given",
            next_step="give rows in order of time, and before the walk needs them",
        )


class Gaps(NamedTuple):
    """Silences of a feed that were too long, arrays of length n in order.

    Attributes
    ----------
    start_ns : int64
        The last record before the silence (ns UTC).
    known_ns : int64
        When the silence had lasted too long, and so could be known (ns UTC).
    """

    start_ns: Array
    known_ns: Array


class FeedSilence:
    """Finds where a feed was silent for longer than it may be.

    Parameters
    ----------
    gap_seconds : int
        Longest silence that is none.
    """

    def __init__(self, gap_seconds: int) -> None:
        self._gap = gap_seconds * _SECOND
        self._latest: int | None = None

    @property
    def latest_ns(self) -> int | None:
        """The latest record given (ns UTC), None before the first."""
        return self._latest

    def advance(self, ts_gateway: Array) -> Gaps:
        """Take the next records of the feed.

        Parameters
        ----------
        ts_gateway : array of int64, shape (n,)
            Times of the next records, trades or not (ns UTC).

        Returns
        -------
        Gaps
            Silences that one of these records ended.

        Raises
        ------
        ContractError
            When a time lies before the one in front of it.
        """
        count = len(ts_gateway)
        if not count:
            return _NO_GAPS
        first = int(ts_gateway[0])
        latest = first if self._latest is None else self._latest
        if first < latest:
            require_order("record", ts_gateway, latest)
        if count == 1:  # a live feed comes record by record
            start = np.array([latest]) if first - latest > self._gap else _NO_GAPS.start_ns
        else:
            times = np.concatenate([np.array([latest]), ts_gateway])
            waits = np.diff(times)
            if waits.min() < 0:
                require_order("record", ts_gateway, latest)
            start = times[:-1][waits > self._gap]
        self._latest = int(ts_gateway[-1])
        return Gaps(start, start + self._gap) if start.size else _NO_GAPS

    def finish(self, until_ns: int) -> Gaps:
        """Silence between the latest record and the end of the data, if it was too long."""
        if self._latest is None or until_ns - self._latest <= self._gap:
            return _NO_GAPS
        start = np.array([self._latest])
        return Gaps(start, start + self._gap)


_NO_GAPS = Gaps(np.empty(0, np.int64), np.empty(0, np.int64))
