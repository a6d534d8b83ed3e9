"""Minutes and volume profiles out of trades, one trade at a time or a day at once.

A trade belongs to the minute of its ``ts_event``, the time of the venue, as usual in bars. A minute
is finished, and only then given out, once something later has been seen: a trade of a later
minute, or the word of the caller (`MinuteBuilder.advance`, `MinuteBuilder.finish`). What was given
out never changes: a trade that arrives after its minute was finished is reported as late instead.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tapemill.book._minutes import (
    HALF_PRICES,
    MINUTE_FIELDS,
    MINUTE_NS,
    PROFILE_FIELDS,
    STATE_FIELDS,
    build,
    close_until,
)

__all__ = ["Built", "MinuteBuilder", "Minutes", "Profile"]

Array = Any
_END_OF_TIME = int(np.iinfo(np.int64).max) - MINUTE_NS
_NO_PRICES = 64


class Minutes(NamedTuple):
    """Finished minutes in order, one array a column, all int64.

    Attributes
    ----------
    start : ns UTC
    open, high, low, close : ticks
    volume, buy_volume, sell_volume : contracts
    trades : count
    price_volume : Σ price · size, ticks · contracts
    last_gateway : ns UTC
        When the gateway had the last of its trades: nobody knew the minute before.
    """

    start: Array
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    buy_volume: Array
    sell_volume: Array
    trades: Array
    price_volume: Array
    last_gateway: Array


class Profile(NamedTuple):
    """Volume by price of finished half hours, by (start, price), one int64 array a column.

    Attributes
    ----------
    start : ns UTC
    price : ticks
    volume, buy_volume, sell_volume : contracts
    last_gateway : ns UTC, of the half hour
    """

    start: Array
    price: Array
    volume: Array
    buy_volume: Array
    sell_volume: Array
    last_gateway: Array


class Built(NamedTuple):
    """What a call finished, and which of its trades came after their minute (bool, a trade)."""

    minutes: Minutes
    profile: Profile
    late: Array


_NO_MINUTES = Minutes(*np.empty((MINUTE_FIELDS, 0), np.int64))
_NO_PROFILE = Profile(*np.empty((PROFILE_FIELDS, 0), np.int64))


class MinuteBuilder:
    """Trades of one instrument in order of arrival → finished minutes and profiles.

    Any chunking of the same trades gives the same rows to the bit. One builder serves one trade
    date; `finish` ends it.

    Attributes
    ----------
    late : int
        Trades so far that arrived after their minute was finished; they are in no row.
    """

    def __init__(self) -> None:
        self.late = 0
        self._state = np.zeros(STATE_FIELDS, dtype=np.int64)
        self._book = np.zeros((_NO_PRICES, PROFILE_FIELDS), dtype=np.int64)

    def apply(
        self, ts_event: Array, ts_gateway: Array, price: Array, size: Array, aggressor: Array
    ) -> Built:
        """Add trades.

        Parameters
        ----------
        ts_event, ts_gateway : int64, ns UTC
        price : int32, ticks
            Of priced trades only.
        size : int32, contracts
        aggressor : int8
            +1 buyer, -1 seller, 0 unknown.
        """
        count = len(ts_event)
        self._room(count)
        minutes = np.empty((count, MINUTE_FIELDS), dtype=np.int64)
        profile = np.empty((count + self._prices, PROFILE_FIELDS), dtype=np.int64)
        late = np.zeros(count, dtype=np.bool_)
        made = build(
            np.ascontiguousarray(ts_event, dtype=np.int64),
            np.ascontiguousarray(ts_gateway, dtype=np.int64),
            np.ascontiguousarray(price, dtype=np.int64),
            np.ascontiguousarray(size, dtype=np.int64),
            np.ascontiguousarray(aggressor, dtype=np.int64),
            self._state,
            self._book,
            minutes,
            profile,
            late,
        )
        self.late += int(late.sum())
        if made == (0, 0):
            return Built(_NO_MINUTES, _NO_PROFILE, late)
        return _built(minutes, profile, made, late)

    def advance(self, ts_event: int) -> Built:
        """Finish what ends at or before a moment of the venue's clock that has been reached."""
        minutes = np.empty((1, MINUTE_FIELDS), dtype=np.int64)
        profile = np.empty((self._prices, PROFILE_FIELDS), dtype=np.int64)
        made = close_until(ts_event, self._state, self._book, minutes, profile)
        return _built(minutes, profile, made, np.zeros(0, dtype=np.bool_))

    def finish(self) -> Built:
        """Finish everything: the trade date is over."""
        return self.advance(_END_OF_TIME)

    @property
    def _prices(self) -> int:
        return int(self._state[HALF_PRICES])

    def _room(self, trades: int) -> None:
        """Make the half hour's price list long enough for a new price with every trade."""
        need = self._prices + trades
        if need > len(self._book):
            grown = np.zeros((max(need, 2 * len(self._book)), PROFILE_FIELDS), dtype=np.int64)
            grown[: self._prices] = self._book[: self._prices]
            self._book = grown


def _built(minutes: Array, profile: Array, made: tuple[int, int], late: Array) -> Built:
    # One copy, so that the rows do not hold on to the room that was made for them.
    return Built(
        Minutes(*np.ascontiguousarray(minutes[: made[0]].T)),
        Profile(*np.ascontiguousarray(profile[: made[1]].T)),
        late,
    )
