"""Databento's historical API on loopback: DBN files of a folder, cut to what was asked.

It answers as the real one does: basic authentication with the key as user, form bodies, zstd DBN
streams, errors with a case and a message. Files are read when they are asked for, so a folder may
grow while the sandbox runs.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime as dt
import importlib
import io
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import zstandard

from tapemill.world.sandbox.wire import Call, Reply, json_reply

__all__ = ["DatabentoApi"]

_USD_PER_GIB = 1.0
_MONTHS = "FGHJKMNQUVXZ"
_ALL = "ALL_SYMBOLS"
_SECOND = 10**9


class _Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    def __init__(self, status: int, case: str, message: str) -> None:
        super().__init__(message)
        self.reply = json_reply(
            status,
            {"detail": {"case": case, "message": message, "status_code": status, "docs": ""}},
        )


@dataclasses.dataclass(frozen=True)
class _File:
    """A DBN file of the folder, decoded."""

    head: Any
    records: list[Any]

    @property
    def end(self) -> int:
        """End of its range; of an open one, a nanosecond after its last record."""
        if self.head.end is not None:
            return int(self.head.end)
        return max((_moment(record) for record in self.records), default=self.head.start) + 1


def _moment(record: Any) -> int:
    """The clock that requests filter on: receipt, or the start of a bar."""
    return int(getattr(record, "ts_recv", record.ts_event))


class DatabentoApi:
    """``timeseries.get_range``, ``metadata.get_cost``, ``get_billable_size``,
    ``get_record_count`` and ``get_dataset_range``.

    Parameters
    ----------
    folder : Path
        DBN files, zstd or plain, in any sub-folders; each one of one schema, with metadata.
    api_keys : collection of str
        Keys that are known.
    licensed : collection of str, optional
        Datasets that they may read; default: all.
    """

    def __init__(
        self, folder: Path, *, api_keys: Collection[str], licensed: Collection[str] | None = None
    ) -> None:
        self._folder = folder
        self._api_keys = frozenset(api_keys)
        self._licensed = licensed

    def answer(self, call: Call) -> Reply:
        """Answer one call."""
        name = call.path.removeprefix("/v0/")
        asked = dict(call.query) | dict(parse_qsl(call.body.decode("utf-8", "replace")))
        try:
            self._admit(call, asked.get("dataset", ""))
            match name:
                case "timeseries.get_range":
                    return Reply(
                        200, self._range(asked), {"content-type": "application/octet-stream"}
                    )
                case "metadata.get_record_count":
                    return json_reply(200, len(self._chosen(asked)[1]))
                case "metadata.get_billable_size":
                    return json_reply(200, self._size(asked))
                case "metadata.get_cost":
                    return json_reply(200, self._size(asked) / 2**30 * _USD_PER_GIB)
                case "metadata.get_dataset_range":
                    return json_reply(200, self._dataset_range(asked["dataset"]))
        except _Refused as refused:
            return refused.reply
        except (KeyError, ValueError) as wrong:
            return _Refused(422, "validation_failed", f"bad request: {wrong}").reply
        return _Refused(404, "not_found", f"no {name}").reply

    def _admit(self, call: Call, dataset: str) -> None:
        scheme, _, text = call.headers.get("authorization", "").partition(" ")
        try:
            key = base64.b64decode(text, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            key = ""
        if scheme.lower() != "basic" or key not in self._api_keys:
            raise _Refused(401, "auth_authentication_failed", "Authentication failed.")
        if self._licensed is not None and dataset not in self._licensed:
            raise _Refused(
                403, "license_not_found_unauthorized", f"A license is required for {dataset}."
            )

    def _files(self, dataset: str, schema: str = "") -> Iterator[_File]:
        library = importlib.import_module("databento_dbn")
        for path in sorted(self._folder.rglob("*.dbn*")):
            if path.suffix not in (".dbn", ".zst"):
                continue
            data = _unpacked(path.read_bytes())
            if data[:3] != b"DBN":
                continue
            head = library.Metadata.decode(data[: 8 + int.from_bytes(data[4:8], "little")])
            if head.dataset != dataset or head.schema is None:
                continue
            if schema and str(head.schema) != schema:
                continue
            decoder = library.DBNDecoder()
            decoder.write(data)
            yield _File(head, [r for r in decoder.decode() if not isinstance(r, library.Metadata)])

    def _chosen(self, asked: dict[str, str]) -> tuple[Any, list[Any]]:
        """Metadata and records of the answer, as the vendor would cut and merge them."""
        library = importlib.import_module("databento_dbn")
        dataset, schema = asked["dataset"], asked["schema"]
        files = list(self._files(dataset, schema))
        if not files:
            known = sorted({str(file.head.schema) for file in self._files(dataset)})
            raise _Refused(422, "data_schema_not_available", f"{dataset} has {known}, not {schema}")
        start, end = _nanoseconds(asked["start"]), _nanoseconds(asked["end"])
        if start >= end:
            raise _Refused(422, "data_time_range_start_on_or_after_end", "start is not before end")
        if start >= max(file.end for file in files):
            raise _Refused(422, "data_start_after_available_end", "start is after the data's end")
        mappings: dict[str, list[Any]] = {}
        for file in files:
            for symbol, intervals in file.head.mappings.items():
                if _wanted(symbol, intervals, asked):
                    mappings.setdefault(symbol, []).extend(intervals)
        if not mappings:
            raise _Refused(
                422,
                "symbology_invalid_request",
                f"None of the symbols could be resolved: {asked['symbols']}",
            )
        ids = {int(item["symbol"]) for found in mappings.values() for item in found}
        records = [
            record
            for file in files
            for record in file.records
            if record.instrument_id in ids and start <= _moment(record) < end
        ]
        records.sort(key=_moment)
        head = library.Metadata(
            dataset=dataset,
            start=start,
            end=end,
            stype_in=library.SType(asked.get("stype_in", "raw_symbol")),
            stype_out=library.SType("instrument_id"),
            schema=library.Schema(schema),
            symbols=asked.get("symbols", _ALL).split(","),
            mappings=[_entry(symbol, found) for symbol, found in sorted(mappings.items())],
            version=library.DBN_VERSION,
        )
        return head, records

    def _range(self, asked: dict[str, str]) -> bytes:
        head, records = self._chosen(asked)
        body = io.BytesIO()
        body.write(bytes(head))
        for record in records[: int(asked.get("limit", len(records)))]:
            body.write(bytes(record))
        return zstandard.ZstdCompressor(level=1, write_checksum=True).compress(body.getvalue())

    def _size(self, asked: dict[str, str]) -> int:
        return sum(len(bytes(record)) for record in self._chosen(asked)[1])

    def _dataset_range(self, dataset: str) -> dict[str, Any]:
        found: dict[str, dict[str, str]] = {}
        for file in self._files(dataset):
            schema = str(file.head.schema)
            start, end = _iso(file.head.start), _iso(file.end)
            known = found.setdefault(schema, {"start": start, "end": end})
            known["start"], known["end"] = min(known["start"], start), max(known["end"], end)
        if not found:
            raise _Refused(422, "data_dataset_not_found", f"there is no dataset {dataset}")
        return {
            "start": min(times["start"] for times in found.values()),
            "end": max(times["end"] for times in found.values()),
            "schema": found,
        }


def _unpacked(data: bytes) -> bytes:
    if data[:4] != b"\x28\xb5\x2f\xfd":
        return data
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
        return reader.read()


def _wanted(symbol: str, intervals: list[Any], asked: dict[str, str]) -> bool:
    wanted = asked.get("symbols", _ALL).split(",")
    kind = asked.get("stype_in", "raw_symbol")
    if wanted == [_ALL]:
        return True
    if kind == "instrument_id":
        return any(item["symbol"] in wanted for item in intervals)
    if kind == "parent":
        roots = [name.removesuffix(".FUT") for name in wanted if name.endswith(".FUT")]
        return any(re.match(rf"{re.escape(root)}[{_MONTHS}]\d", symbol) for root in roots)
    return kind == "raw_symbol" and symbol in wanted


@dataclasses.dataclass(frozen=True)
class _Interval:
    start_date: dt.date
    end_date: dt.date
    symbol: str


@dataclasses.dataclass(frozen=True)
class _Entry:
    raw_symbol: str
    intervals: list[_Interval]


def _entry(symbol: str, intervals: list[Any]) -> _Entry:
    unique = {(i["start_date"], i["end_date"], i["symbol"]) for i in intervals}
    return _Entry(symbol, [_Interval(*item) for item in sorted(unique)])


def _nanoseconds(text: str) -> int:
    """Nanoseconds UTC of an integer or an ISO 8601 text."""
    if text.isdigit():
        return int(text)
    whole, _, rest = text.removesuffix("Z").partition(".")
    moment = dt.datetime.fromisoformat(whole).replace(tzinfo=dt.UTC)
    fraction = re.sub(r"\D.*", "", rest)
    return int(moment.timestamp()) * _SECOND + int(fraction.ljust(9, "0")[:9] or 0)


def _iso(ns: int) -> str:
    whole = dt.datetime.fromtimestamp(ns // _SECOND, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{ns % _SECOND:09d}Z"
