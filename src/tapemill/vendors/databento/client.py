"""Fetching from Databento through the vendor's own client.

The client raises errors of its own, of the HTTP library and of the file system; here they become
ours, so that a retry is tried where it can help and nowhere else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import zstandard

from tapemill.errors import (
    BadAnswerError,
    ConfigError,
    FileFormatError,
    NotEntitledError,
    RateLimitedError,
    TapemillError,
    UsageError,
    VendorFaultError,
)
from tapemill.secrets import redact
from tapemill.settings.declaration import DatabentoSettings
from tapemill.vendors.databento._frames import FrameWalker
from tapemill.vendors.databento._library import client_library, dbn_library
from tapemill.vendors.databento.reader import DbnFile

__all__ = ["Download", "FuturesRequest", "cost_of", "dataset_range", "download"]

T = TypeVar("T")

_API = "/v0"
_PIECE = 1 << 20
_NOT_ENTITLED = frozenset({401, 402, 403})
_LONGEST_WAIT_SECONDS = 3600.0


@dataclasses.dataclass(frozen=True, slots=True)
class FuturesRequest:
    """What to ask for.

    Attributes
    ----------
    dataset : str
        Such as ``"GLBX.MDP3"``.
    schema : str
        Such as ``"mbo"``.
    symbols : tuple of str
        Of the kind that `stype_in` says; ``("ALL_SYMBOLS",)`` for all.
    start_ns, end_ns : int
        Half-open range of receipt (ns UTC).
    stype_in : str
        ``"raw_symbol"``, ``"parent"``, ``"continuous"`` or ``"instrument_id"``.
    """

    dataset: str
    schema: str
    symbols: tuple[str, ...]
    start_ns: int
    end_ns: int
    stype_in: str = "raw_symbol"

    def arguments(self) -> dict[str, Any]:
        """What the vendor's client calls them."""
        return {
            "dataset": self.dataset,
            "schema": self.schema,
            "symbols": list(self.symbols),
            "start": self.start_ns,
            "end": self.end_ns,
            "stype_in": self.stype_in,
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Download:
    """A file that arrived: where, how big (bytes), and what the vendor warned of."""

    path: Path
    size: int
    warnings: tuple[str, ...]


def download(settings: DatabentoSettings, request: FuturesRequest, path: Path) -> Download:
    """Stream the answer of a request to a file. Costs money at the vendor.

    The file appears under its name once it is whole; a partial one is removed.

    Parameters
    ----------
    settings : DatabentoSettings
    request : FuturesRequest
    path : Path
        A file that does not exist yet, in a folder that does.

    Raises
    ------
    ConfigError
        The key is not set.
    UsageError
        The request cannot be meant (unknown symbol, schema, range), `path` exists, or the client
        is not installed.
    NotEntitledError
        Wrong key, or a plan that does not cover the request.
    RateLimitedError, VendorFaultError
        Worth another try: throttled, server error, time-out, cut transfer.
    BadAnswerError
        An answer that is no DBN file.
    OSError
        The file cannot be written.
    """
    if path.exists():
        raise UsageError(
            f"{path.name} exists already", where=str(path), next_step="remove it, or import it"
        )
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)

    def fetch(client: Any) -> None:
        # What it returns holds the file open and has no way to close it: let go of it at once.
        # It opens what arrived, and may stumble over it; that is judged below.
        with contextlib.suppress(dbn_library().DBNError, zstandard.ZstdError):
            client.timeseries.get_range(path=part, **request.arguments())

    try:
        _, said = _asked(settings, fetch)
        _check_whole(part)
        size = part.stat().st_size
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return Download(path, size, said)


def cost_of(settings: DatabentoSettings, request: FuturesRequest) -> float:
    """What the vendor would charge for a request, in US dollars. Asking is free.

    Raises
    ------
    TapemillError
        As :func:`download`, but for files.
    """
    answer, _ = _asked(settings, lambda client: client.metadata.get_cost(**request.arguments()))
    try:
        return float(answer)
    except (TypeError, ValueError) as error:
        raise _unbelievable(f"a cost of {answer!r}") from error


def dataset_range(settings: DatabentoSettings, dataset: str) -> dict[str, Any]:
    """From when to when the vendor has a dataset, as it says it (``start``, ``end``, by schema).

    Raises
    ------
    TapemillError
        As :func:`download`, but for files.
    """
    answer, _ = _asked(settings, lambda client: client.metadata.get_dataset_range(dataset))
    if not isinstance(answer, dict) or not {"start", "end"} <= answer.keys():
        raise _unbelievable(f"a range of {answer!r}")
    return answer


def _client(library: Any, settings: DatabentoSettings) -> Any:
    if settings.api_key is None:
        raise ConfigError(
            "the key of Databento is not set",
            where="databento.api_key",
            next_step="export DATABENTO_API_KEY=…, or rehearse with `tapemill sandbox`",
        )
    client = library.Historical(key=settings.api_key.reveal())
    # The client takes only https gateways; the sandbox on loopback has none.
    base = settings.base_url.rstrip("/")
    for name in ("timeseries", "metadata"):
        api = getattr(client, name)
        api._base_url = f"{base}{_API}/{name}"
        api.TIMEOUT = settings.timeout_seconds
    return client


def _asked(settings: DatabentoSettings, ask: Callable[[Any], T]) -> tuple[T, tuple[str, ...]]:
    """The answer and the vendor's warnings, or one of our errors."""
    library = client_library()
    client = _client(library, settings)
    failure: TapemillError
    # The client never closes its file; the warning of that is not ours.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            answer = ask(client)
        except library.BentoHttpError as error:
            failure = _of_status(error)
        except library.BentoError as error:
            failure = _of_transport(str(error))
        except ValueError as error:
            failure = _of_value(error)
        except OSError as error:
            # Errors of the HTTP library are errors of the system too; those of files stay.
            if not _is_of_http(error):
                raise
            failure = _of_transport(str(error))
        else:
            warned = library.common.error.BentoWarning
            said = [str(w.message) for w in caught if issubclass(w.category, warned)]
            return answer, tuple(redact(text) for text in said)
    raise failure


def _is_of_http(error: Exception) -> bool:
    return type(error).__module__.partition(".")[0] in ("requests", "urllib3")


def _of_value(error: ValueError) -> TapemillError:
    if _is_of_http(error):
        return _unbelievable("a body that is no JSON")
    if "empty" in str(error):
        return _of_transport("nothing arrived")
    return UsageError(
        redact(f"Databento's client refuses the request: {error}"),
        next_step="correct the request",
    )


def _of_transport(text: str) -> TapemillError:
    if "compression format" in text:
        return _unbelievable("a body that is no DBN file")
    return VendorFaultError(
        redact(f"the transfer from Databento broke: {text}"),
        where="databento",
        next_step="try again; if it stays, look at the vendor's status page",
    )


def _of_status(error: Any) -> TapemillError:
    status, text = int(error.http_status), redact(str(error))
    if status in _NOT_ENTITLED:
        return NotEntitledError(
            f"Databento does not let this key have it: {text}",
            where="databento",
            next_step="check DATABENTO_API_KEY, the licence of the dataset and the account",
        )
    if status == 429:
        return RateLimitedError(
            f"Databento asks to slow down: {text}",
            where="databento",
            next_step="wait",
            retry_after=_seconds(error.headers),
        )
    if status == 408 or status >= 500:
        return VendorFaultError(
            f"Databento failed: {text}", where="databento", next_step="try again later"
        )
    return UsageError(
        f"Databento refuses the request: {text}",
        where="databento",
        next_step="correct dataset, schema, symbols or range",
    )


def _seconds(headers: Any) -> float | None:
    for name, value in dict(headers).items():
        if name.lower() == "retry-after":
            with contextlib.suppress(ValueError):
                seconds = float(value)
                return min(seconds, _LONGEST_WAIT_SECONDS) if seconds >= 0 else None
    return None


def _unbelievable(what: str) -> BadAnswerError:
    return BadAnswerError(
        f"Databento answered with {what}",
        where="databento",
        next_step="check databento.base_url; a proxy may rewrite answers",
    )


def _check_whole(path: Path) -> None:
    """Raise if the file stops inside a frame, which needs no decompression to be seen."""
    walker = FrameWalker()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            walker.feed(piece)
    if walker.lost:
        raise _unbelievable(f"{path.stat().st_size} bytes of which not all are zstd")
    if not walker.complete:
        raise _of_transport(f"it stopped after {walker.position} bytes, inside a frame")
    try:
        DbnFile.open(path).close()
    except FileFormatError as error:
        raise _unbelievable(f"a file that does not read: {error.what}") from error
