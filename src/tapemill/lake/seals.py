"""Seals: the SHA-256 of every log entry and checkpoint, so that a flipped bit is named.

Data files carry their hash in their name; the log's files have names that Delta prescribes, so
their hashes are kept beside them, one small file a version. A seal missing because its writer was
killed is made by the next writer.
"""

from __future__ import annotations

import hashlib
import json

from tapemill.lake.places import Place

__all__ = ["Seals"]

_FOLDER = "_tapemill_seals"
_POINTER = "_delta_log/_last_checkpoint"


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
        content = f"{seal}\n{text}\n".encode()
        # A seal guards against rot, not against the power cut that may take it along: two fsyncs
        # less a commit. An empty one, left by such a cut, counts as none.
        self._place.put_new(_seal(version, kind), content, durable=False)

    def seal_checkpoint(self, version: int) -> None:
        """Seal a checkpoint and, if it is there, the pointer to it."""
        contents = {_checkpoint(version): self._place.get(_checkpoint(version))}
        try:
            pointer = self._place.get(_POINTER)
        except FileNotFoundError:
            pointer = b"{}"
        if json.loads(pointer).get("version") == version:
            contents[_POINTER] = pointer
        self._write(version, "checkpoint", contents)

    def tidy(self) -> None:
        """Forget the seals of log entries that were cleaned up."""
        listed = {entry.path for entry in self._place.list("_delta_log")}
        for entry in list(self._place.list(_FOLDER)):
            version = int(entry.path.rsplit("/", 1)[-1][:20])
            kept = _checkpoint if entry.path.endswith(".checkpoint.json") else _log
            if kept(version) not in listed:
                self._place.delete(entry.path)

    def broken(self) -> list[tuple[str, str]]:
        """Every file that differs from its seal: (path, what is wrong).

        The newest entries may lack a seal if their writer was killed right after its commit; that
        is no finding, the next writer seals them.
        """
        findings: list[tuple[str, str]] = []
        sealed: dict[str, str] = {}
        pointers: dict[int, str] = {}
        excused: set[str] = set()
        for entry in self._place.list(_FOLDER):
            hashes = self._read(entry.path) if entry.size else {}
            if not entry.size:
                excused.add(_log(int(entry.path.rsplit("/", 1)[-1][:20])))
            if hashes is None:
                findings.append((entry.path, "the seal itself is damaged"))
                continue
            pointer = hashes.pop(_POINTER, None)
            if pointer is not None:
                pointers[int(entry.path.rsplit("/", 1)[-1][:20])] = pointer
            sealed.update(hashes)
        listed = {entry.path for entry in self._place.list("_delta_log")}
        findings += [
            (path, "its bytes differ from its seal")
            for path in sorted(sealed.keys() & listed)
            if self._hash(path) != sealed[path]
        ]
        entries = sorted(path for path in listed if path.endswith(".json"))
        newest = max((path for path in sealed if path.endswith(".json")), default="")
        findings += [
            (path, "it has no seal, though later entries have")
            for path in entries
            if path not in sealed and path not in excused and path < newest
        ]
        versions = [int(path.rsplit("/", 1)[-1].removesuffix(".json")) for path in entries]
        gaps = sorted(set(range(versions[0], versions[-1])) - set(versions)) if versions else []
        findings += [(_log(version), "it is missing from the log") for version in gaps]
        if _POINTER in listed and not self._pointer_holds(pointers):
            findings.append((_POINTER, "its bytes differ from every seal"))
        return findings

    def _pointer_holds(self, pointers: dict[int, str]) -> bool:
        content = self._place.get(_POINTER)
        if hashlib.sha256(content).hexdigest() in pointers.values():
            return True
        try:
            version = int(json.loads(content)["version"])
        except (ValueError, KeyError, TypeError):
            return False
        # Its writer may have been killed before it sealed: then the checkpoint is newest and bare.
        return version > max(pointers, default=-1) and self._place.exists(_checkpoint(version))

    def _hash(self, path: str) -> str:
        return hashlib.sha256(self._place.get(path)).hexdigest()

    def _read(self, path: str) -> dict[str, str] | None:
        seal, _, text = self._place.get(path).partition(b"\n")
        if hashlib.sha256(text.rstrip(b"\n")).hexdigest().encode() != seal or text[-1:] != b"\n":
            return None
        hashes: dict[str, str] = json.loads(text)
        return hashes
