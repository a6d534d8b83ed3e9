"""The canary must not come out of any log, in any mode, whoever writes the record."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import textwrap
import threading
import warnings

import pytest
import structlog

from tapemill.errors import ConfigError, VendorFaultError
from tapemill.logs import LEVELS, TELEMETRY_OFF, configure, get_logger, silence_telemetry
from tapemill.secrets import MASK, Secret

KEY = Secret("CANARY-d41d8cd98f00b204", "massive.api_key")
CANARY = KEY.reveal()
URL = f"https://api.example.com/v2/aggs?limit=5&apiKey={CANARY}"


@pytest.fixture(autouse=True)
def logging_as_it_was():
    root = logging.getLogger()
    # Other tests of this process may have run the command line, which configures logging.
    for handler in [one for one in root.handlers if "StandardError" in type(one).__name__]:
        root.removeHandler(handler)
    logging.captureWarnings(False)
    before = root.handlers[:], root.level, sys.excepthook, sys.unraisablehook, threading.excepthook
    yield
    root.handlers[:], level, sys.excepthook, sys.unraisablehook, threading.excepthook = before
    root.setLevel(level)
    logging.captureWarnings(False)


def fail_deeply(key: str) -> None:
    try:
        raise ConnectionResetError(104, f"peer closed {URL}")
    except ConnectionResetError as error:
        error.add_note(f"sent Authorization: Bearer {key}")
        try:
            raise VendorFaultError(f"cannot read {URL}", where=URL) from error
        except VendorFaultError as outer:
            raise ExceptionGroup("both", [outer, ValueError(key)]) from outer


def write_every_kind_of_record() -> None:
    log = get_logger("tapemill.intake.wire")
    log.info("calling %s", URL, url=URL, key=KEY, nested={"headers": [("apiKey", CANARY)]})
    log.bind(token=CANARY).warning("bound", raw=CANARY.encode())
    structlog.contextvars.bind_contextvars(session_key=CANARY)
    log.info("context")
    structlog.contextvars.clear_contextvars()
    third = logging.getLogger("somebody.client")
    third.info("GET %s", URL, extra={"request_headers": {"Authorization": f"Bearer {CANARY}"}})
    try:
        fail_deeply(CANARY)
    except ExceptionGroup:
        log.exception("failed", url=URL)
        third.exception("failed too: %s", CANARY)
    third.info("stack", stack_info=True)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"old endpoint {URL}", DeprecationWarning, stacklevel=1)


@pytest.mark.parametrize("as_json", [False, True])
def test_no_record_shows_the_canary(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    configure(json=as_json, level="DEBUG")
    write_every_kind_of_record()
    out, text = capsys.readouterr()
    assert out == ""
    assert CANARY not in text
    assert text.count(MASK) > 15
    for expected in ("calling", "bound", "context", "GET https", "ConnectionResetError", "both"):
        assert expected in text
    assert "old endpoint" in text
    if as_json:
        records = [json.loads(line) for line in text.splitlines()]
        assert all({"timestamp", "level", "logger", "event"} <= set(record) for record in records)
        failed = next(record for record in records if record["event"] == "failed")
        assert failed["level"] == "error"
        assert failed["logger"] == "tapemill.intake.wire"
        assert "VendorFaultError" in failed["exception"]
        assert "limit=5" in failed["url"]


@pytest.mark.parametrize("as_json", [False, True])
def test_a_record_that_cannot_be_written_stays_masked(as_json, capsys) -> None:
    configure(json=as_json)
    root = logging.getLogger()
    root.handlers[:] = root.handlers[-1:]  # pytest's own handlers raise instead
    logging.getLogger("somebody").error("%d rows", CANARY)
    text = capsys.readouterr().err
    assert CANARY not in text
    assert "somebody" in text


def test_silent_and_masked_without_configuration(capsys) -> None:
    get_logger("tapemill.lake").error("not for %s", URL)
    assert capsys.readouterr() == ("", "")
    foreign = logging.StreamHandler(sys.stderr)
    logging.getLogger().addHandler(foreign)
    try:
        get_logger("tapemill.lake").error("for %s", URL, url=URL)
    finally:
        logging.getLogger().removeHandler(foreign)
    text = capsys.readouterr().err
    assert "apiKey=" in text
    assert CANARY not in text


def test_level_and_chatty_libraries(capsys) -> None:
    configure(level="info")
    get_logger("tapemill.a").debug("too fine")
    logging.getLogger("aiohttp.access").info("GET /")
    logging.getLogger("aiohttp.client").warning("unclosed")
    get_logger("tapemill.a").info("shown", rows=3)
    text = capsys.readouterr().err
    assert "too fine" not in text
    assert "GET /" not in text
    assert "unclosed" in text
    assert "rows=3" in text


def test_configuring_twice_writes_once(capsys) -> None:
    configure()
    configure(json=True)
    get_logger("tapemill.a").info("once")
    assert capsys.readouterr().err.count("once") == 1


def test_unknown_level() -> None:
    with pytest.raises(ConfigError, match="there is no log level 'INFOO'") as caught:
        configure(level="INFOO")
    assert "did you mean 'INFO'?" in str(caught.value)
    assert LEVELS == ("DEBUG", "INFO", "WARNING", "ERROR")


UNCAUGHT = {
    "main": "raise ValueError('Bearer ' + key)",
    "thread": """
        import threading
        def work():
            raise ValueError(key)
        worker = threading.Thread(target=work); worker.start(); worker.join()
    """,
    "finaliser": """
        class Sinking:
            def __del__(self): raise ValueError(key)
        Sinking()
    """,
    "task": """
        import asyncio, gc
        async def work(): raise ValueError(key)
        async def main():
            task = asyncio.create_task(work()); await asyncio.sleep(0.01); del task; gc.collect()
        asyncio.run(main())
    """,
    "nested": """
        try:
            raise ValueError(key)
        except ValueError as error:
            raise RuntimeError(f'https://user:{key}@host/') from error
    """,
}


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("place", UNCAUGHT)
def test_uncaught_exceptions(place: str, as_json: bool, tmp_path) -> None:
    script = (
        "import os\n"
        "from tapemill.logs import configure\n"
        "from tapemill.secrets import Secret\n"
        "key = Secret(os.environ['CANARY'], 'test').reveal()\n"
        f"configure(json={as_json})\n" + textwrap.dedent(UNCAUGHT[place])
    )
    path = tmp_path / "script.py"
    path.write_text(script)
    done = subprocess.run(
        [sys.executable, str(path)],
        env=os.environ | {"CANARY": CANARY},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode != 0) == (place in {"main", "nested"})
    assert done.stdout == ""
    assert "ValueError" in done.stderr
    assert MASK in done.stderr
    assert CANARY not in done.stderr


def test_telemetry_is_off_unless_the_user_said_otherwise() -> None:
    environment = {"RAY_USAGE_STATS_ENABLED": "1"}
    silence_telemetry(environment)
    assert environment == TELEMETRY_OFF | {"RAY_USAGE_STATS_ENABLED": "1"}
    configure()
    assert os.environ["DO_NOT_TRACK"] == "1"
