"""Structured logs whose every rendered record passes redaction.

One handler on standard error serves Tapemill's own loggers (structlog) and those of the libraries
below (standard logging); the mask is applied to the finished text, so tracebacks, extra fields and
other people's messages cannot slip past it. Uncaught exceptions and warnings go the same way.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor

from tapemill.errors import ConfigError, did_you_mean
from tapemill.secrets import redact

__all__ = ["LEVELS", "TELEMETRY_OFF", "configure", "get_logger", "silence_telemetry"]

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

# Third-party telemetry is off, in this one place: the general switches, and those of the
# libraries that users run beside Tapemill on the same lake.
TELEMETRY_OFF = {
    "DO_NOT_TRACK": "1",
    "SCARF_NO_ANALYTICS": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}

# One line a request, a lock or a statement: their INFO is our DEBUG.
_CHATTY = ("aiohttp", "asyncio", "filelock", "matplotlib", "sqlalchemy", "urllib3")


def silence_telemetry(environment: MutableMapping[str, str] | None = None) -> None:
    """Switch third-party telemetry off, also for child processes; what the user set stays."""
    target = os.environ if environment is None else environment
    for name, value in TELEMETRY_OFF.items():
        target.setdefault(name, value)


class _RedactingFormatter(structlog.stdlib.ProcessorFormatter):
    """Render a record to its final text, then mask that text."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class _StandardErrorHandler(logging.StreamHandler[TextIO]):
    """Write to whatever ``sys.stderr`` is at the moment of writing."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        pass  # the stream is never ours to keep

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        # The default prints the arguments of the record unmasked.
        name = type(sys.exc_info()[1]).__name__
        self.stream.write(f"a log record of {record.name!r} could not be written: {name}\n")


def _stamp(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Time and place of the record, from the standard record that carries it."""
    record: logging.LogRecord = event["_record"]
    moment = datetime.fromtimestamp(record.created, UTC)
    event["timestamp"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    event["level"] = record.levelname.lower()
    event["logger"] = record.name
    return event


def _mask_text(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """First mask, for the case that somebody else's handler renders our record."""
    return {key: redact(item) if isinstance(item, str) else item for key, item in event.items()}


_OWN_PROCESSORS: list[Processor] = [
    structlog.stdlib.filter_by_level,
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
    _mask_text,
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
]


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A structured logger, ``log.info("landed", dataset=…, rows=…)``.

    Parameters
    ----------
    name : str
        Usually ``__name__``. Silent until `configure` (or the embedding program) adds a handler.
    """
    standard = logging.getLogger(name)
    bound = structlog.wrap_logger(
        standard, processors=_OWN_PROCESSORS, wrapper_class=structlog.stdlib.BoundLogger
    )
    return cast("structlog.stdlib.BoundLogger", bound)


def _renderer(*, json: bool, colours: bool) -> Processor:
    if json:
        return structlog.processors.JSONRenderer(default=str, ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(
        colors=colours, exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
    )


def _formatter(*, json: bool, colours: bool) -> _RedactingFormatter:
    processors: list[Processor] = [
        _stamp,
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
    ]
    if json:
        processors.append(structlog.processors.format_exc_info)
    processors.append(_renderer(json=json, colours=colours))
    return _RedactingFormatter(
        processors=processors, foreign_pre_chain=[structlog.stdlib.ExtraAdder()]
    )


def _log_uncaught(
    kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt) or error is None:
        sys.__excepthook__(kind, error or kind(), traceback)
        return
    logging.getLogger("tapemill").critical("uncaught exception", exc_info=(kind, error, traceback))


def _log_uncaught_in_thread(details: threading.ExceptHookArgs) -> None:
    if not issubclass(details.exc_type, SystemExit):
        _log_uncaught(details.exc_type, details.exc_value, details.exc_traceback)


def _log_unraisable(details: sys.UnraisableHookArgs) -> None:
    _log_uncaught(details.exc_type, details.exc_value, details.exc_traceback)


def configure(json: bool = False, level: str = "INFO") -> None:
    """Send all logs, warnings and uncaught exceptions to standard error, masked.

    Parameters
    ----------
    json : bool, default False
        One JSON object a line instead of text for people.
    level : str, default "INFO"
        Least severity shown: one of `LEVELS`.

    Raises
    ------
    ConfigError
        When the level is unknown.
    """
    wanted = level.upper()
    if wanted not in LEVELS:
        raise ConfigError(
            f"there is no log level {level!r}",
            where="logs.level",
            next_step=did_you_mean(wanted, LEVELS) or f"use one of {', '.join(LEVELS)}",
        )
    silence_telemetry()
    handler = _StandardErrorHandler()
    handler.setFormatter(_formatter(json=json, colours=not json and sys.stderr.isatty()))
    root = logging.getLogger()
    for old in [*root.handlers]:
        if isinstance(old, _StandardErrorHandler):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(wanted)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(
            wanted if wanted == "DEBUG" else max(logging.WARNING, logging.getLevelName(wanted))
        )
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    sys.unraisablehook = _log_unraisable
    threading.excepthook = _log_uncaught_in_thread


# A library stays silent, and leaves no unmasked text to Python's handler of last resort.
logging.getLogger("tapemill").addHandler(logging.NullHandler())
