"""One wire-accurate budget per vendor, shared by every process on the machine.

The counting is pyrate-limiter's sliding-window log in a SQLite file behind a file lock; this module
adds what the wire needs. A call is stamped when it is granted, and again when its answer began to
arrive later than the margin allows, so that the order of arrival at the vendor can never put more
than the cap into any sliding window there.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from filelock import FileLock
from pyrate_limiter import Rate, RateItem, SQLiteBucket, SQLiteQueries

__all__ = ["Budget", "VendorFile"]

_DAY_MS = 24 * 3_600_000
_CLEANING_SECONDS = 5.0


class VendorFile:
    """The small SQLite file in which processes share a vendor's budget and pause.

    Parameters
    ----------
    path : Path
        Created with its parents if it is not there.

    Notes
    -----
    Hold :attr:`lock` around every use: it is what makes check-and-take one step among processes.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.lock = FileLock(f"{path}.lock")
        with self.lock.acquire(poll_interval=0.002):
            self.connection = sqlite3.connect(path, timeout=30.0, check_same_thread=False)
            self.connection.execute("PRAGMA journal_mode=WAL").close()
            self.connection.execute("PRAGMA synchronous=NORMAL").close()

    def bucket(self, table: str, limit: int, interval_ms: int) -> SQLiteBucket:
        """A sliding-window log of `limit` calls per `interval_ms`, kept in `table`."""
        with self.lock.acquire(poll_interval=0.002):
            self.connection.execute(SQLiteQueries.CREATE_BUCKET_TABLE.format(table=table)).close()
            index = SQLiteQueries.CREATE_INDEX_ON_TIMESTAMP.format(
                index_name=f"by_time_{table}", table_name=table
            )
            self.connection.execute(index).close()
            self.connection.commit()
            return SQLiteBucket([Rate(limit, interval_ms)], self.connection, table, lock=self.lock)

    def close(self) -> None:
        """Close the connection; the file stays."""
        self.connection.close()


class Budget:
    """Calls that may go on the wire, per minute and per day.

    Parameters
    ----------
    file : VendorFile
    per_minute, per_day : int
        Caps; 0 means none. A day is any sliding 24 hours.
    margin_seconds : float
        By how much the minute is widened.
    window_seconds : float
        Length of the "minute"; tests shorten it.
    """

    def __init__(
        self,
        file: VendorFile,
        *,
        per_minute: int,
        per_day: int = 0,
        margin_seconds: float = 1.5,
        window_seconds: float = 60.0,
    ) -> None:
        self._file = file
        self._margin = margin_seconds
        self._cleaned = float("-inf")
        window = round((window_seconds + margin_seconds) * 1000) + 1
        self._minute = file.bucket("minute", per_minute, window) if per_minute else None
        self._day = file.bucket("day", per_day, _DAY_MS) if per_day else None

    def take(self, name: str, monotonic: float, now_ns: int) -> float:
        """Charge one call named `name`, or tell how long to wait.

        Returns
        -------
        float
            0.0 if the call was charged; else seconds after which to ask again.
        """
        lanes = ((self._day, now_ns // 1_000_000), (self._minute, round(monotonic * 1000)))
        with self._file.lock.acquire(poll_interval=0.002):
            self._clean(monotonic)
            charged: list[SQLiteBucket] = []
            for bucket, stamp in lanes:
                if bucket is None:
                    continue
                item = RateItem(name, stamp)
                if bucket.put(item):
                    charged.append(bucket)
                    continue
                for earlier in charged:
                    self._execute(f"DELETE FROM {earlier.table} WHERE name = ?", (name,))  # noqa: S608
                waiting = bucket.waiting(item)
                return max(float(waiting if isinstance(waiting, int) else 0) / 1000, 0.001)
        return 0.0

    def arrived(self, name: str, granted: float, monotonic: float) -> None:
        """Move a call's stamp to the latest moment at which the vendor can have seen it."""
        if self._minute is not None and monotonic - granted > self._margin:
            with self._file.lock.acquire(poll_interval=0.002):
                self._execute(
                    f"UPDATE {self._minute.table} SET item_timestamp = ? WHERE name = ?",  # noqa: S608
                    (round(monotonic * 1000), name),
                )

    def left(self, now_ns: int) -> int | None:
        """Calls left of the day, or None where it is not capped."""
        if self._day is None:
            return None
        query = f"SELECT COUNT(*) FROM {self._day.table} WHERE item_timestamp >= ?"  # noqa: S608
        start = now_ns // 1_000_000 - _DAY_MS
        with self._file.lock.acquire(poll_interval=0.002):
            used = self._file.connection.execute(query, (start,)).fetchone()[0]
        return max(self._day.rates[0].limit - int(used), 0)

    def _clean(self, monotonic: float) -> None:
        """Forget calls that no window counts; mend stamps of a machine that was restarted."""
        if monotonic - self._cleaned < _CLEANING_SECONDS:
            return
        self._cleaned = monotonic
        if self._minute is not None:
            # The monotonic clock restarts with the machine: a stamp of the future is one of
            # before, and counts as made now, which can only be too careful.
            elapsed = round(monotonic * 1000)
            self._execute(
                f"UPDATE {self._minute.table} SET item_timestamp = ?1 WHERE item_timestamp > ?1",  # noqa: S608
                (elapsed,),
            )
            self._minute.leak(elapsed)

    def _execute(self, statement: str, values: tuple[object, ...]) -> None:
        self._file.connection.execute(statement, values).close()
        self._file.connection.commit()
