"""What arrives at the sandbox, what it answers, and its own count of both."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Literal

import msgspec

__all__ = ["Call", "CallLog", "Reply", "http_date", "json_reply", "vendor_of"]

WireFault = Literal["", "timeout", "reset", "cut"]


@dataclass(frozen=True)
class Call:
    """A request as the sandbox sees it; header names in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    base_url: str = ""


@dataclass(frozen=True)
class Reply:
    """An answer, or what happens instead (`wire` set, `seconds` it takes, `declared` length)."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    wire: WireFault = ""
    seconds: float = 0.0
    declared: int = 0

    def with_header(self, name: str, value: str) -> Reply:
        """The same answer with one header set."""
        return replace(self, headers={**self.headers, name: value})


def json_reply(status: int, document: object, **headers: str) -> Reply:
    """Encode a document; header names take underscores for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(
        status, msgspec.json.encode(document), {"content-type": "application/json", **named}
    )


def http_date(ns: int) -> str:
    """Format nanoseconds UTC as an HTTP date."""
    return format_datetime(datetime.fromtimestamp(ns / 1e9, UTC), usegmt=True)


def vendor_of(path: str) -> str:
    """Which vendor answers at a path; they share one host and port in the sandbox."""
    if path.startswith("/equity/regsho/"):
        return "finra_cdn"
    if path.startswith(("/data/group/", "/fip/rest/")):
        return "finra_api"
    return "databento" if path.startswith("/v0/") else "massive"


class CallRecord(msgspec.Struct):
    """One call that reached the wire; `at` in seconds of the sandbox's monotonic clock."""

    at: float
    vendor: str
    method: str
    path: str
    status: int = 0
    fault: str = ""


class CallLog:
    """Everything that reached the wire. Keys and query strings are not kept."""

    def __init__(self) -> None:
        self._records: list[CallRecord] = []
        self._served: Counter[str] = Counter()
        self._taken: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def record(self, at: float, call: Call) -> CallRecord:
        """Note a call at the moment it arrives."""
        entry = CallRecord(at, vendor_of(call.path), call.method, call.path)
        with self._lock:
            self._records.append(entry)
        return entry

    def nth(self, text: str) -> int:
        """How often `text` was served, this time included; feeds unique request ids."""
        with self._lock:
            self._served[text] += 1
            return self._served[text]

    def reset(self) -> None:
        """Forget all calls."""
        with self._lock:
            self._records.clear()
            self._served.clear()
            self._taken.clear()

    @property
    def records(self) -> list[CallRecord]:
        """A copy of the log, in order of arrival."""
        with self._lock:
            return list(self._records)

    def count(self, vendor: str = "*") -> int:
        """Calls of one vendor, or all."""
        return sum(1 for record in self.records if vendor in ("*", record.vendor))

    def admit(self, vendor: str, at: float, most: int, seconds: float = 60.0) -> bool:
        """Whether a vendor takes one more call within a sliding window; only taken ones count."""
        with self._lock:
            taken = self._taken.setdefault(vendor, deque())
            while taken and taken[0] <= at - seconds:
                taken.popleft()
            if len(taken) >= most:
                return False
            taken.append(at)
            return True

    def busiest(self, vendor: str = "*", seconds: float = 60.0) -> int:
        """Largest number of calls in any sliding window, at the wire."""
        times = [r.at for r in self.records if vendor in ("*", r.vendor)]
        best, begin = 0, 0
        for end, at in enumerate(times):
            while times[begin] <= at - seconds:
                begin += 1
            best = max(best, end - begin + 1)
        return best

    def summary(self) -> dict[str, object]:
        """What ``/_sandbox/calls`` answers."""
        records = self.records
        vendors = sorted({record.vendor for record in records})
        return {
            "total": len(records),
            "by_vendor": dict(Counter(record.vendor for record in records)),
            "by_path": dict(Counter(record.path for record in records)),
            "by_status": dict(Counter(str(record.status) for record in records)),
            "busiest_minute": {vendor: self.busiest(vendor) for vendor in vendors},
            "calls": records,
        }
