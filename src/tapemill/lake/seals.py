"""Seals: the SHA-256 of every log entry and checkpoint, so that a flipped bit is named.

Data files carry their hash in their name; the log's files have names that Delta prescribes, so
their hashes are kept beside them, one small file a version. A seal missing because its writer was
killed is made by the next writer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from tapemill.lake.places import Place

__all__ = ["Seals"]

_FOLDER = "_tapemill_seals"


def _log(version: int) -> str:
    return f"_delta_log/{version:020d}.json"


def _checkpoint(version: int) -> str:
    return f"_delta_log/{version:020d}.checkpoint.parquet"


def _seal(version: int, kind: str) -> str:
    return f"{_FOLDER}/{version:020d}.{kind}.json"


class Seals:
    """The seals of one table.

    Parameters
    ----------
    place : Place
        Root of the table.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._sealed_to = -1

    def catch_up(self, version: int, since: int | None = None) -> list[tuple[int, bytes]]:
        """Seal every log entry up to `version` that has none; the entries after `since`, read."""
        first = self._sealed_to + 1 if self._sealed_to >= 0 else self._first_unsealed(version)
        entries: list[tuple[int, bytes]] = []
        start = min(first, since + 1 if since is not None else first)
        for number in range(start, version + 1):
            try:
                content = self._place.get(_log(number))
            except FileNotFoundError:
                continue  # cleaned up after a checkpoint
            if number >= first:
                self._write(number, "log", {_log(number): content})
            if since is not None and number > since:
                entries.append((number, content))
        self._sealed_to = max(self._sealed_to, version)
        return entries

    def _first_unsealed(self, version: int) -> int:
        number = version
        while number >= 0 and not self._place.exists(_seal(number, "log")):
            if not self._place.exists(_log(number)):
                break
            number -= 1
        return number + 1

    def _write(self, version: int, kind: str, contents: dict[str, bytes]) -> None:
        hashes = {path: hashlib.sha256(content).hexdigest() for path, content in contents.items()}
        text = json.dumps(hashes, sort_keys=True)
        seal = hashlib.sha256(text.encode()).hexdigest()
        self._place.put_new(_seal(version, kind), f"{seal}\n{text}\n".encode())

    def seal_checkpoint(self, version: int) -> None:
        """Seal a checkpoint and the pointer to it."""
        contents = {_checkpoint(version): self._place.get(_checkpoint(version))}
        pointer = self._place.get("_delta_log/_last_checkpoint")
        if json.loads(pointer).get("version") == version:
            contents["_delta_log/_last_checkpoint"] = pointer
        self._write(version, "checkpoint", contents)

    def drop(self, version: int) -> None:
        """Forget the seal of a log entry that was cleaned up."""
        self._place.delete(_seal(version, "log"))
        self._place.delete(_seal(version, "checkpoint"))

    def broken(self) -> Iterator[tuple[str, str]]:
        """Every file that differs from its seal: (path, what is wrong)."""
        listed = {entry.path for entry in self._place.list("_delta_log")}
        sealed: set[str] = set()
        pointer_seals: dict[int, str] = {}
        for entry in self._place.list(_FOLDER):
            hashes = self._read(entry.path)
            if hashes is None:
                yield entry.path, "the seal itself is damaged"
                continue
            for path, sha256 in hashes.items():
                if path.endswith("_last_checkpoint"):
                    pointer_seals[int(entry.path.rsplit("/", 1)[-1][:20])] = sha256
                    continue
                sealed.add(path)
                if path in listed and self._hash(path) != sha256:
                    yield path, "its bytes differ from its seal"
        yield from self._broken_pointer(listed, pointer_seals)
        for path in sorted(listed - sealed):
            if path.endswith((".json", ".checkpoint.parquet")):
                yield path, "it has no seal (a writer was killed after its commit)"

    def _broken_pointer(
        self, listed: set[str], pointer_seals: dict[int, str]
    ) -> Iterator[tuple[str, str]]:
        path = "_delta_log/_last_checkpoint"
        if path in listed and self._hash(path) not in pointer_seals.values():
            yield path, "its bytes differ from every seal"

    def _hash(self, path: str) -> str:
        return hashlib.sha256(self._place.get(path)).hexdigest()

    def _read(self, path: str) -> dict[str, str] | None:
        seal, _, text = self._place.get(path).partition(b"\n")
        if hashlib.sha256(text.rstrip(b"\n")).hexdigest().encode() != seal or text[-1:] != b"\n":
            return None
        hashes: dict[str, str] = json.loads(text)
        return hashes
