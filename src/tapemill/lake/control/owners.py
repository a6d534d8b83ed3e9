"""Who holds a claim or a batch: a process, named so that its death can be seen from its host."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from functools import cache
from pathlib import Path

__all__ = ["is_dead", "is_local", "this_process"]

_SEPARATOR = "|"
_PREFIX = "process"


def this_process(label: str = "") -> str:
    """Name of the running process: host, boot, pid, start time, and a label for several in one."""
    pid = os.getpid()
    return _SEPARATOR.join((_PREFIX, _host(), _boot(), str(pid), _started(pid), label))


def is_dead(owner: str) -> bool:
    """Whether `owner` certainly no longer runs.

    Only a process of this host can be judged; for any other owner the answer is no, and its lease
    has to expire.
    """
    if not is_local(owner):
        return False
    _, _, boot, pid, started, _ = owner.split(_SEPARATOR)
    if boot != _boot():
        return True
    return not _runs(int(pid), started)


def is_local(owner: str) -> bool:
    """Whether `owner` is a process of this host, dead or alive."""
    parts = owner.split(_SEPARATOR)
    return len(parts) == 6 and parts[0] == _PREFIX and parts[1] == _host()


def _runs(pid: int, started: str) -> bool:
    if Path("/proc/self/stat").exists():
        return bool(started) and _started(pid) == started
    if sys.platform == "win32":
        return True  # os.kill(pid, 0) would end the process there; wait for the lease instead
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _started(pid: int) -> str:
    """Start of a process in ticks since boot; empty if it is gone, a zombie, or not known."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    state, start = fields[0], fields[19]
    return "" if state in ("Z", "X") else start


@cache
def _host() -> str:
    # Containers share kernels and often host names, but not their space of process ids.
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        space = ""
    machine = _content(Path("/etc/machine-id"))
    return hashlib.sha256(f"{platform.node()}/{machine}/{space}".encode()).hexdigest()[:16]


@cache
def _boot() -> str:
    return _content(Path("/proc/sys/kernel/random/boot_id"))[:8]


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
