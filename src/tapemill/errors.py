"""Every error that Tapemill raises on purpose, in one tree.

::

    TapemillError                    what happened · where · what to do next
    ├── UsageError                   the call is wrong                       exit 2
    │   ├── ConfigError              a key, value or file of the configuration
    │   ├── UnknownNameError         dataset, symbol, column … with "did you mean"
    │   └── DateError                a date or range that cannot be meant
    ├── CheckFailedError             the data is red                         exit 1
    └── FaultError                   the data, the store or a vendor failed  exit 3
        ├── FileFormatError          Terminal  a file is not what it claims to be
        ├── ContractError            Terminal  rows or columns break a dataset's contract
        ├── CorruptError             Terminal  stored bytes differ from their recorded hash
        ├── LakeError                Terminal  the lake is missing, read-only, full, foreign
        │   └── ConflictError        Transient another writer was faster
        └── VendorError
            ├── NotEntitledError     Terminal  the plan or key does not cover the request
            ├── RateLimitedError     Transient the vendor asked to slow down
            ├── VendorFaultError     Transient time-out, reset, 5xx
            └── BadAnswerError       Terminal  an answer that cannot be believed

The mix-ins `Transient` and `Terminal` decide whether a retry can help; no other code may.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "BadAnswerError",
    "CheckFailedError",
    "ConfigError",
    "ConflictError",
    "ContractError",
    "CorruptError",
    "DateError",
    "FaultError",
    "FileFormatError",
    "LakeError",
    "NotEntitledError",
    "RateLimitedError",
    "TapemillError",
    "Terminal",
    "Transient",
    "UnknownNameError",
    "UsageError",
    "VendorError",
    "VendorFaultError",
    "did_you_mean",
]


class Transient:
    """A retry may help."""


class Terminal:
    """A retry cannot help: something must change first."""


class TapemillError(Exception):
    """Base of every deliberate error.

    Parameters
    ----------
    what : str
        What happened, naming the thing and its value.
    where : str, optional
        File, vendor, dataset, row or key concerned.
    next_step : str, optional
        The command or change that helps.
    """

    exit_code = 3

    def __init__(self, what: str, *, where: str = "", next_step: str = "") -> None:
        self.what = what
        self.where = where
        self.next_step = next_step
        super().__init__(what)

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.next_step:
            lines.append(f"  next:  {self.next_step}")
        return "\n".join(lines)


class UsageError(TapemillError):
    """The call cannot be meant as written."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration key, value or file is wrong."""


class UnknownNameError(UsageError):
    """A name that does not exist; carries the nearest one that does."""


class DateError(UsageError):
    """A date or a range of dates that cannot be meant."""


class CheckFailedError(TapemillError):
    """The data was read and judged red."""

    exit_code = 1


class FaultError(TapemillError):
    """Data, store or vendor failed."""


class FileFormatError(FaultError, Terminal):
    """A file is not what it claims to be."""


class ContractError(FaultError, Terminal):
    """Rows or columns break the contract of a dataset."""


class CorruptError(FaultError, Terminal):
    """Stored bytes differ from their recorded hash."""


class LakeError(FaultError, Terminal):
    """The lake is missing, read-only, full or not ours."""


class ConflictError(LakeError, Transient):
    """Another writer committed first; the work can be done again."""


class VendorError(FaultError):
    """A vendor did not give usable data."""


class NotEntitledError(VendorError, Terminal):
    """The plan or the key does not cover the request."""


class RateLimitedError(VendorError, Transient):
    """The vendor asked to slow down.

    Parameters
    ----------
    retry_after : float, optional
        Seconds the vendor asked to wait, when it said so.
    """

    def __init__(
        self, what: str, *, where: str = "", next_step: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(what, where=where, next_step=next_step)
        self.retry_after = retry_after


class VendorFaultError(VendorError, Transient):
    """Time-out, reset connection or server error."""


class BadAnswerError(VendorError, Terminal):
    """An answer that cannot be believed: wrong shape, wrong type, broken paging."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint such as ``did you mean 'SPY'?``, or an empty string."""
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else ""
