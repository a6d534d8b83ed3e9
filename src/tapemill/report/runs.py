"""Run folders: named by what went into them, written whole or not at all, never overwritten.

A run lies in ``<out>/<kind>/<day>-<12 hex digits>/``. The digits come from the SHA-256 of its
inputs, parameters and code: the same content has the same folder, other content another one, so
two runs on one day both remain. ``latest`` points at the run that was asked for last.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path

import polars as pl

from tapemill.errors import CorruptError, FaultError

__all__ = ["LATEST", "MANIFEST", "Run", "frame_digest", "run_digest", "write_run"]

MANIFEST = "run.json"
LATEST = "latest"
_DIGITS = 12


@dataclasses.dataclass(frozen=True)
class Run:
    """One run on disk.

    Attributes
    ----------
    folder : Path
    reused : bool
        Whether the same content had been written before.
    files : tuple of Path
        Everything in it, the manifest left out, sorted by name.
    """

    folder: Path
    reused: bool
    files: tuple[Path, ...]


def frame_digest(frame: pl.DataFrame) -> str:
    """SHA-256 of a frame's names, types and values in their order."""
    digest = hashlib.sha256()
    for name, dtype in frame.schema.items():
        digest.update(f"{name}:{dtype}\n".encode())
    # Null and empty text must differ: a report shows them differently.
    digest.update(frame.write_csv(null_value="\x00").encode())
    return digest.hexdigest()


def run_digest(
    inputs: Mapping[str, pl.DataFrame], parameters: Mapping[str, object], modules: Iterable[str]
) -> str:
    """SHA-256 of what a run is made of.

    Parameters
    ----------
    inputs : mapping of str to pl.DataFrame
        Every frame that is shown, by name.
    parameters : mapping
        Plain values that change what is shown.
    modules : iterable of str
        Names of the modules that draw it: other code is another run.
    """
    from tapemill.refine.recipe import code_version

    document = {
        "inputs": {name: frame_digest(frame) for name, frame in inputs.items()},
        "parameters": {name: str(value) for name, value in parameters.items()},
        "code": code_version(tuple(sorted(modules))),
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def write_run(
    out: Path,
    kind: str,
    day: date,
    digest: str,
    facts: Mapping[str, object],
    write: Callable[[Path], None],
) -> Run:
    """Write a run, or find the same one again.

    The files are made in a folder beside and take their place in one step: a run that was
    interrupted leaves nothing under a run's name.

    Parameters
    ----------
    out : Path
        Made if absent.
    kind : str
        Folder of this kind of run, for example ``"flow"``.
    day : date
        Last session shown.
    digest : str
        From :func:`run_digest`.
    facts : mapping
        Plain values noted in ``run.json``.
    write : callable
        Called with an empty folder to fill; not called for a run that is there already.

    Raises
    ------
    CorruptError
        The run is there and its files are not what was written.
    FaultError
        The folder cannot be written.
    """
    home = out / kind
    folder = home / f"{day}-{digest[:_DIGITS]}"
    try:
        home.mkdir(parents=True, exist_ok=True)
        reused = folder.exists() or not _make(home, folder, digest, facts, write)
        if reused:
            _check(folder, digest)
        _point(home, folder.name)
    except OSError as error:
        raise FaultError(
            f"cannot write the report: {error.strerror or error}",
            where=str(home),
            next_step="name a folder that can be written and has room with --out",
        ) from error
    return Run(folder, reused, tuple(_files(folder)))


def _make(
    home: Path,
    folder: Path,
    digest: str,
    facts: Mapping[str, object],
    write: Callable[[Path], None],
) -> bool:
    """Fill a folder beside and move it to its place; False if another process was faster."""
    making = Path(tempfile.mkdtemp(prefix=".making-", dir=home))
    try:
        write(making)
        manifest = {
            "digest": digest,
            **{name: str(value) for name, value in facts.items()},
            "files": {path.name: _sha256(path) for path in _files(making)},
        }
        text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
        (making / MANIFEST).write_text(text, encoding="utf-8")
        making.chmod(0o755)
        with contextlib.suppress(FileExistsError):
            making.rename(folder)
            return True
    except OSError:
        if not folder.exists():
            raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return False


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name != MANIFEST)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _check(folder: Path, digest: str) -> None:
    """An existing run is only handed out again if it is what was written."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        found = {path.name: _sha256(path) for path in _files(folder)}
        whole = manifest["files"] == found and manifest["digest"] == digest
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise CorruptError(
            "this run was written before, and its files have been changed since",
            where=str(folder),
            next_step="move that folder away and repeat the command: it makes the run anew",
        )


def _point(home: Path, name: str) -> None:
    """Let ``latest`` name a run: a link, or a text file where links are impossible."""
    latest = home / LATEST
    beside = home / f".{LATEST}-{name}-{os.getpid()}"
    beside.unlink(missing_ok=True)
    try:
        beside.symlink_to(name, target_is_directory=True)
    except (OSError, NotImplementedError):
        beside.write_text(f"{name}\n", encoding="utf-8")
    beside.replace(latest)
