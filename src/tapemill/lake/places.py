"""Bytes at rest under one root: a local folder or an S3-compatible bucket.

Everything the lake writes goes through these few verbs, so that durability (tmp file, fsync,
rename, fsync of the folder), full disks and read-only folders are dealt with once.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from tapemill.errors import LakeError

__all__ = ["LocalPlace", "Place", "Stored", "disk_error", "open_place"]

_TEMPORARY = ".tmp"
_serial = itertools.count()


class Stored(NamedTuple):
    """One object of a place."""

    path: str
    size: int
    modified_ns: int


class Place(Protocol):
    """A root under which named byte strings are kept. Paths are relative, with ``/``."""

    uri: str

    @property
    def storage_options(self) -> dict[str, str]:
        """What Delta and Polars need to reach the place."""
        ...

    def put(self, path: str, content: bytes) -> None:
        """Write atomically and durably, replacing what was there."""
        ...

    def put_new(self, path: str, content: bytes, *, durable: bool = True) -> bool:
        """Write only if nothing is there; False if something was.

        Without `durable` a power cut may leave it empty or absent (a killed process never does).
        """
        ...

    def put_new_stream(self, path: str, pieces: Iterable[bytes]) -> bool:
        """:meth:`put_new`, durable, of content that need not fit into memory."""
        ...

    def get(self, path: str) -> bytes:
        """Read; FileNotFoundError if absent."""
        ...

    def open(self, path: str) -> BinaryIO:
        """A reader of content that need not fit into memory; FileNotFoundError if absent."""
        ...

    def size(self, path: str) -> int:
        """Bytes of an object; FileNotFoundError if absent."""
        ...

    def exists(self, path: str) -> bool:
        """Whether an object of that name is there."""
        ...

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Everything below `prefix`, finished objects only."""
        ...

    def delete(self, path: str) -> None:
        """Remove; nothing happens if it is absent."""
        ...

    def sync(self, path: str) -> None:
        """Make durable what another library wrote at `path`."""
        ...

    def sweep(self, before_ns: int) -> int:
        """Remove leftovers of killed writers older than `before_ns`; how many."""
        ...

    def at(self, folder: str) -> Place:
        """The place one folder down."""
        ...


def disk_error(error: OSError, where: str) -> LakeError:
    """The deliberate error behind an operating-system error, with what to do about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return LakeError(
            "the disk is full: nothing was committed by this write",
            where=where,
            next_step="free space (`tapemill purge DATASET --before DATE` shows what can go), then "
            "run again; the work resumes where it stopped",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return LakeError(
            "the lake cannot be written: permission denied or read-only",
            where=where,
            next_step="make the folder writable for this user, or choose another one with --lake",
        )
    return LakeError(
        f"the lake's storage failed: {error.strerror or error}",
        where=where,
        next_step="check the disk, then `tapemill verify`",
    )


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class LocalPlace:
    """A folder of this machine.

    Parameters
    ----------
    root : Path
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.uri = str(root)

    @property
    def storage_options(self) -> dict[str, str]:
        """Nothing: a folder needs no credentials."""
        return {}

    def _write_aside(
        self, path: str, pieces: Iterable[bytes], *, durable: bool
    ) -> tuple[Path, Path]:
        target = self.root / path
        self._make_folder(target.parent)
        aside = target.with_name(f".{target.name}.{os.getpid()}.{next(_serial)}{_TEMPORARY}")
        try:
            with aside.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
        except BaseException:  # whatever the pieces raise: nobody else would remove the file
            aside.unlink(missing_ok=True)
            raise
        return aside, target

    def _make_folder(self, folder: Path) -> None:
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for made in reversed(missing):
            made.mkdir(exist_ok=True)
            _fsync(made.parent)

    def put(self, path: str, content: bytes) -> None:
        """Write atomically and durably, replacing what was there."""
        try:
            aside, target = self._write_aside(path, (content,), durable=True)
            aside.replace(target)
            _fsync(target.parent)
        except OSError as error:
            raise disk_error(error, f"{self.uri}/{path}") from error

    def put_new(self, path: str, content: bytes, *, durable: bool = True) -> bool:
        """Write only if nothing is there; False if something was."""
        return self._put_new(path, (content,), durable=durable)

    def put_new_stream(self, path: str, pieces: Iterable[bytes]) -> bool:
        """:meth:`put_new`, durable, of content that need not fit into memory."""
        return self._put_new(path, pieces, durable=True)

    def _put_new(self, path: str, pieces: Iterable[bytes], *, durable: bool) -> bool:
        try:
            aside, target = self._write_aside(path, pieces, durable=durable)
            try:
                os.link(aside, target)
            except FileExistsError:
                return False
            finally:
                aside.unlink(missing_ok=True)
            if durable:
                _fsync(target.parent)
        except OSError as error:
            raise disk_error(error, f"{self.uri}/{path}") from error
        return True

    def get(self, path: str) -> bytes:
        """Read; FileNotFoundError if absent."""
        return (self.root / path).read_bytes()

    def open(self, path: str) -> BinaryIO:
        """A reader of content that need not fit into memory; FileNotFoundError if absent."""
        return (self.root / path).open("rb")

    def size(self, path: str) -> int:
        """Bytes of an object; FileNotFoundError if absent."""
        return (self.root / path).stat().st_size

    def exists(self, path: str) -> bool:
        """Whether an object of that name is there."""
        return (self.root / path).is_file()

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Everything below `prefix`, finished objects only."""
        for folder, folders, names in os.walk(self.root / prefix):
            folders.sort()
            for name in sorted(names):
                if name.endswith(_TEMPORARY):
                    continue
                file = Path(folder, name)
                try:
                    status = file.stat()
                except FileNotFoundError:
                    continue  # another process removed it between listing and asking
                relative = file.relative_to(self.root).as_posix()
                yield Stored(relative, status.st_size, status.st_mtime_ns)

    def delete(self, path: str) -> None:
        """Remove; nothing happens if it is absent."""
        try:
            (self.root / path).unlink(missing_ok=True)
        except OSError as error:
            raise disk_error(error, f"{self.uri}/{path}") from error

    def sync(self, path: str) -> None:
        """Make durable what another library wrote at `path`."""
        try:
            _fsync(self.root / path)
            _fsync((self.root / path).parent)
        except OSError as error:
            raise disk_error(error, f"{self.uri}/{path}") from error

    def sweep(self, before_ns: int) -> int:
        """Remove temporary files of killed writers older than `before_ns`; how many."""
        swept = 0
        for file in self.root.rglob(f"*{_TEMPORARY}"):
            try:
                if file.stat().st_mtime_ns < before_ns:
                    file.unlink()
                    swept += 1
            except FileNotFoundError:
                continue  # another process swept it
        return swept

    def at(self, folder: str) -> LocalPlace:
        """The place one folder down."""
        return LocalPlace(self.root / folder)


def open_place(location: str, storage_options: Mapping[str, str] | None = None) -> Place:
    """The place behind a path or an ``s3://`` address.

    Raises
    ------
    LakeError
        The address needs the ``s3`` extra and it is not installed.
    """
    if location.startswith("s3://"):
        from tapemill.lake.bucket import BucketPlace

        return BucketPlace(location.rstrip("/"), dict(storage_options or {}))
    return LocalPlace(Path(location).expanduser().absolute())
