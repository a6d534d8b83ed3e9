"""An S3-compatible bucket as a place. Needs the ``s3`` extra (obstore)."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, cast

from tapemill.errors import LakeError
from tapemill.lake.places import Stored

__all__ = ["BucketPlace"]

_AHEAD = 4 * 1024**2
"""Bytes of one request of a reader."""


class _ObjectReader(io.RawIOBase):
    """An object of the store as a raw binary file."""

    def __init__(self, reader: Any) -> None:
        super().__init__()
        self._reader = reader

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = bytes(self._reader.read(len(buffer)))
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        if not self.closed:
            self._reader.close()
        super().close()


class BucketPlace:
    """A prefix of a bucket. One PUT is atomic and durable; creation is a conditional PUT.

    Parameters
    ----------
    uri : str
        ``s3://bucket/prefix``.
    storage_options : dict
        ``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID`` … as delta-rs and Polars take them.
    """

    def __init__(self, uri: str, storage_options: dict[str, str]) -> None:
        try:
            import obstore
            import obstore.exceptions
            import obstore.store
        except ImportError as error:
            raise LakeError(
                "a lake on S3 needs the package obstore",
                where=uri,
                next_step='install the extra: pip install "tapemill[s3]"',
            ) from error
        self.uri = uri
        self._options = storage_options
        self._obstore: Any = obstore
        self._failures = (obstore.exceptions.BaseError, OSError)
        config: dict[str, Any] = {key.lower(): value for key, value in storage_options.items()}
        client: dict[str, Any] = {}
        if config.pop("aws_allow_http", config.pop("allow_http", "false")).lower() == "true":
            client["allow_http"] = True
        connect: Any = obstore.store.from_url  # its overloads want literal option names
        self._store: Any = connect(uri, config=config, client_options=client)

    @property
    def storage_options(self) -> dict[str, str]:
        """What Delta and Polars need to reach the place."""
        return dict(self._options)

    def _error(self, error: BaseException, path: str) -> LakeError:
        return LakeError(
            f"the object store failed: {str(error).splitlines()[0]}",
            where=f"{self.uri}/{path}",
            next_step="check the endpoint, the bucket and the credentials, then run again",
        )

    def put(self, path: str, content: bytes) -> None:
        """Write, replacing what was there."""
        try:
            self._obstore.put(self._store, path, content)
        except self._failures as error:
            raise self._error(error, path) from error

    def put_new(self, path: str, content: bytes, *, durable: bool = True) -> bool:
        """Write only if nothing is there; False if something was. Always durable."""
        del durable
        try:
            self._obstore.put(self._store, path, content, mode="create")
        except self._obstore.exceptions.AlreadyExistsError:
            return False
        except self._failures as error:
            raise self._error(error, path) from error
        return True

    def put_new_stream(self, path: str, pieces: Iterable[bytes]) -> bool:
        """Write in parts; the object appears whole or not at all. Always durable.

        Stores take no condition on an upload in parts, so two writers may both pass: this is for
        names that tell the content.
        """
        if self.exists(path):
            return False
        try:
            self._obstore.put(self._store, path, iter(pieces))
        except self._failures as error:
            raise self._error(error, path) from error
        return True

    def get(self, path: str) -> bytes:
        """Read; FileNotFoundError if absent."""
        try:
            return bytes(self._obstore.get(self._store, path).bytes())
        except FileNotFoundError:
            raise
        except self._failures as error:
            raise self._error(error, path) from error

    def open(self, path: str) -> BinaryIO:
        """A reader of content that need not fit into memory; FileNotFoundError if absent."""
        self.size(path)
        try:
            reader = self._obstore.open_reader(self._store, path, buffer_size=_AHEAD)
        except self._failures as error:
            raise self._error(error, path) from error
        return cast("BinaryIO", io.BufferedReader(_ObjectReader(reader), _AHEAD))

    def size(self, path: str) -> int:
        """Bytes of an object; FileNotFoundError if absent."""
        try:
            return int(self._obstore.head(self._store, path)["size"])
        except FileNotFoundError:
            raise
        except self._failures as error:
            raise self._error(error, path) from error

    def exists(self, path: str) -> bool:
        """Whether an object of that name is there."""
        try:
            self.size(path)
        except FileNotFoundError:
            return False
        return True

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Everything below `prefix`."""
        try:
            for batch in self._obstore.list(self._store, prefix=prefix or None):
                for entry in batch:
                    modified = round(entry["last_modified"].timestamp() * 1e9)
                    yield Stored(str(entry["path"]), int(entry["size"]), modified)
        except self._failures as error:
            raise self._error(error, prefix) from error

    def delete(self, path: str) -> None:
        """Remove; nothing happens if it is absent."""
        try:
            self._obstore.delete(self._store, path)
        except FileNotFoundError:
            return
        except self._failures as error:
            raise self._error(error, path) from error

    def sync(self, path: str) -> None:
        """Nothing to do: a PUT that returned is durable."""

    def sweep(self, before_ns: int) -> int:
        """Nothing to do: an interrupted PUT leaves no object."""
        del before_ns
        return 0

    def at(self, folder: str) -> BucketPlace:
        """The place one folder down."""
        return BucketPlace(f"{self.uri}/{folder}", self._options)
