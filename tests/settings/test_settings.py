"""Where values come from, what is refused, and what is never shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import msgspec
import pytest

from tapemill.clock import SYSTEM_CLOCK, eastern_ns
from tapemill.errors import ConfigError
from tapemill.secrets import MASK, Secret, redact
from tapemill.settings import (
    Settings,
    declared_keys,
    default_settings,
    describe,
    load_settings,
    render_markdown,
)

CANARY = "CANARY-0cc175b9c0f1b6a8"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(folder, text: str):
    path = folder / "tapemill.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(*, env=None, path=None, overrides=None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(path, env=env or {}, overrides=overrides)
    assert CANARY not in str(caught.value)
    assert caught.value.next_step
    return str(caught.value)


def test_later_sources_win_and_leave_their_name(tmp_path) -> None:
    path = write(
        tmp_path,
        """
        [lake]
        location = "/file"
        [massive]
        calls_per_minute = 7
        timeout_seconds = 12
        [checks]
        sentinels = [1, 2.5]
        """,
    )
    env = {
        "TAPEMILL_LAKE": "/environment",
        "TAPEMILL_MASSIVE_CALLS_PER_MINUTE": "9",
        "TAPEMILL_LOGS_JSON": "true",
        "TAPEMILL_FINRA_CDN_URL": "",
        "PATH": "/bin",
    }
    settings = load_settings(path, env=env, overrides={"lake.location": "/command"})
    assert settings.lake.location == "/command"
    assert settings.massive.calls_per_minute == 9
    assert settings.massive.timeout_seconds == 12.0
    assert isinstance(settings.massive.timeout_seconds, float)
    assert settings.checks.sentinels == (1.0, 2.5)
    assert settings.logs.json is True
    assert settings.finra.cdn_url == "https://cdn.finra.org"
    origins = {row.key: row.origin for row in describe(settings)}
    assert origins["lake.location"] == "command line"
    assert origins["massive.calls_per_minute"] == "environment TAPEMILL_MASSIVE_CALLS_PER_MINUTE"
    assert origins["massive.timeout_seconds"] == str(path)
    assert origins["finra.cdn_url"] == "default"
    assert settings.origin("massive.history_days") == "default"


def test_the_file_of_the_folder_is_found(tmp_path) -> None:
    assert load_settings(env={}).lake.location == "./lake"
    write(tmp_path, '[lake]\nlocation = "/here"\n')
    assert load_settings(env={}).lake.location == "/here"
    other = tmp_path / "other.toml"
    other.write_text('[lake]\nlocation = "/there"\n')
    assert load_settings(env={"TAPEMILL_CONFIG": str(other)}).lake.location == "/there"
    assert default_settings().lake.location == "./lake"


def test_defaults_are_what_the_free_plan_allows() -> None:
    massive = default_settings().massive
    assert (massive.plan, massive.calls_per_minute, massive.history_days) == ("free", 5, 730)
    assert (massive.same_day, massive.feed_delay_minutes) == (False, 15)
    assert default_settings() == Settings()


def test_a_plan_sets_limits_that_the_user_may_overrule() -> None:
    env = {"TAPEMILL_MASSIVE_PLAN": "advanced", "TAPEMILL_MASSIVE_HISTORY_DAYS": "30"}
    settings = load_settings(env=env)
    assert (settings.massive.calls_per_day, settings.massive.feed_delay_minutes) == (0, 0)
    assert settings.massive.history_days == 30
    assert settings.origin("massive.feed_delay_minutes") == "plan advanced"
    back = settings.override({"massive.plan": "free"})
    assert (back.massive.calls_per_minute, back.massive.history_days) == (5, 30)


def test_override_copies(tmp_path) -> None:
    first = load_settings(env={"MASSIVE_API_KEY": CANARY})
    second = first.override(
        {"massive.api_key": Secret("sandbox-key", "x")}, **{"landing.batch_rows": 3}
    )
    assert first.massive.api_key.reveal() == CANARY
    assert (second.massive.api_key.reveal(), second.landing.batch_rows) == ("sandbox-key", 3)
    assert second.origin("landing.batch_rows") == "override"
    with pytest.raises(ConfigError, match=r"did you mean 'landing\.batch_rows'"):
        first.override({"landing.batch_row": 3})
    with pytest.raises(ConfigError, match="whole number ≥ 1"):
        first.override({"landing.batch_rows": 0})
    with pytest.raises(AttributeError):
        first.lake = second.lake  # type: ignore[misc]


def test_vendor_keys() -> None:
    assert load_settings(env={"POLYGON_API_KEY": CANARY}).massive.api_key.reveal() == CANARY
    both = load_settings(env={"POLYGON_API_KEY": "older-key", "MASSIVE_API_KEY": f" {CANARY}\n"})
    assert both.massive.api_key.reveal() == CANARY
    assert both.origin("massive.api_key") == "environment MASSIVE_API_KEY"
    finra = load_settings(env={"FINRA_CLIENT_ID": "tape-client", "FINRA_CLIENT_SECRET": CANARY})
    assert finra.finra.client_secret.reveal() == CANARY
    assert load_settings(env={}).massive.api_key is None


def test_nothing_shows_a_secret() -> None:
    options = json.dumps({"AWS_SECRET_ACCESS_KEY": CANARY, "region": "eu-west-1"})
    env = {
        "MASSIVE_API_KEY": CANARY,
        "TAPEMILL_LAKE_STORAGE_OPTIONS": options,
        "TAPEMILL_LAKE_CONTROL_URL": "postgresql://tape:pass%2Fword9@db/control",
    }
    settings = load_settings(env=env)
    assert settings.lake.storage_options["AWS_SECRET_ACCESS_KEY"] == CANARY
    rows = {row.key: row for row in describe(settings)}
    assert rows["massive.api_key"].value == MASK
    shown = repr(list(rows.values())) + render_markdown() + redact(repr(settings))
    for hidden in (CANARY, "pass%2Fword9", "pass/word9"):
        assert hidden not in shown
        assert hidden not in redact(f"cannot connect with {hidden}")
    assert "eu-west-1" in rows["lake.storage_options"].value
    assert "postgresql://tape:" in rows["lake.control_url"].value
    with pytest.raises(TypeError):
        msgspec.json.encode(settings)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (f'[massive]\napi_key = "{CANARY}"', "massive.api_key"),
        (f'[finra]\nclient_secret = "{CANARY}"', "finra.client_secret"),
        (f'[lake]\ncontrol_url = "postgresql://a:{CANARY}@b/c"', "lake.control_url"),
        (
            f'[lake.storage_options]\naws_secret_access_key = "{CANARY}"',
            "lake.storage_options",
        ),
    ],
)
def test_secrets_in_the_file_are_refused(tmp_path, text: str, key: str) -> None:
    path = write(tmp_path, text)
    message = refused(path=path)
    assert f"{key} holds a secret" in message
    assert "environment only" in message
    assert str(path) in message
    assert "export " in message
    assert redact(message) == message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[massive]\ncalls_per_minut = 5", "did you mean 'massive.calls_per_minute'?"),
        ("[masive]\nplan = 'free'", "did you mean 'massive'?"),
        ("[lake]\nzzz = 1", "[lake] knows location, control_url, storage_options"),
        ("[zzz]\na = 1", "sections: breaker"),
        ("massive = 5", "write [massive] on a line of its own"),
        ("[massive]\ncalls_per_minute = 'five'", "whole number ≥ 1; the default is 5"),
        ("[massive]\ncalls_per_minute = 0", "whole number ≥ 1"),
        ("[massive]\ncalls_per_minute = 2.5", "whole number ≥ 1"),
        ("[massive]\ncalls_per_minute = true", "whole number ≥ 1"),
        ("[massive]\nplan = 'gold'", "one of free, starter, developer, advanced"),
        ("[massive]\nsame_day = 'yes'", "true or false"),
        ("[massive]\ntimeout_seconds = nan", "number > 0"),
        ("[massive]\ntimeout_seconds = inf", "is not finite"),
        ("[checks]\nsentinels = [1, inf]", "is not finite"),
        ("[breaker]\nerror_fraction = 20", "number > 0, ≤ 1"),
        ("[lake]\nstorage_options = 5", "table of texts"),
        ("[massive\nplan = 1", "not valid TOML"),
        ("[massive]\nplan = 'free'\nplan = 'free'", "not valid TOML"),
        ("[clock]\nnow = '2026-06-30'", "not a moment with an offset"),
        ("[clock]\nnow = 'noon'", "like 2026-06-30T21:00:00-04:00"),
        ("[massive]\nbase_url = 'http://api.example.com'", "use https"),
        ("[massive]\nbase_url = 'api.example.com'", "is not an address"),
        ("[massive]\nbase_url = 'https://h:port'", "is not an address"),
        ("[massive]\nbase_url = 'https://h/?a=b'", "keys travel in headers"),
        ("[retry]\nfirst_wait_seconds = 100", "raise retry.longest_wait_seconds"),
        ("[breaker]\nwindow = 3", "raise breaker.window"),
    ],
)
def test_wrong_files(tmp_path, text: str, expected: str) -> None:
    path = write(tmp_path, text)
    message = refused(path=path)
    assert expected in message
    assert str(path) in message


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"TAPEMILL_MASIVE_PLAN": "free"}, "did you mean 'TAPEMILL_MASSIVE_PLAN'?"),
        ({"TAPEMILL_LAKE_LOCATION": "/x"}, "TAPEMILL_LAKE"),
        ({"TAPEMILL_MASSIVE_CALLS_PER_MINUTE": "many"}, "TAPEMILL_MASSIVE_CALLS_PER_MINUTE"),
        ({"TAPEMILL_LOGS_JSON": "perhaps"}, "true or false"),
        ({"TAPEMILL_CHECKS_SENTINELS": "999.99"}, "list of numbers"),
        ({"TAPEMILL_LAKE_STORAGE_OPTIONS": "{"}, "table of texts"),
        ({"MASSIVE_API_KEY": f"{CANARY} x"}, "MASSIVE_API_KEY is empty, in quotes"),
        ({"MASSIVE_API_KEY": f"'{CANARY}'"}, "without quotes"),
        ({"FINRA_CLIENT_ID": "tape-client"}, "FINRA_CLIENT_SECRET is not set"),
        ({"TAPEMILL_CONFIG": "/nowhere/tapemill.toml"}, "does not exist"),
    ],
)
def test_wrong_environment(env, expected: str) -> None:
    assert expected in refused(env=env)


def test_wrong_overrides() -> None:
    assert "text, environment only" in refused(overrides={"massive.api_key": 5})
    assert "did you mean 'lake.location'?" in refused(overrides={"lake.locatoin": "/x"})


def test_a_broken_control_address_is_left_to_the_lake() -> None:
    settings = load_settings(env={"TAPEMILL_LAKE_CONTROL_URL": "postgresql://[::1"})
    assert settings.lake.control_url == "postgresql://[::1"


def test_test_variables_are_no_settings() -> None:
    load_settings(env={"TAPEMILL_TEST_DATA": "/x", "TAPEMILL_REQUIRE_DATA": "1"})


def test_unreadable_files(tmp_path) -> None:
    assert "does not exist" in refused(path=tmp_path / "none.toml")
    assert "cannot be read" in refused(path=tmp_path)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in refused(path=binary)


@pytest.mark.parametrize("address", ["http://127.0.0.1:8808", "http://localhost:1", "http://[::1]"])
def test_the_sandbox_may_be_plain_http(address: str) -> None:
    assert default_settings().override({"massive.base_url": address}).massive.base_url == address


def test_the_clock_that_settings_make() -> None:
    assert default_settings().clock.make() is SYSTEM_CLOCK
    from datetime import date

    fixed = default_settings().override({"clock.now": "2026-06-30T21:00:00.000125-04:00"})
    assert fixed.clock.make().now_ns() == eastern_ns(date(2026, 6, 30), 21) + 125_000


def test_each_key_is_declared_whole() -> None:
    keys = declared_keys()
    variables = [name for key in keys.values() for name in key.environment]
    assert len(set(variables)) == len(variables)
    for name, key in keys.items():
        assert key.description[:1].isupper(), name
        assert not key.description.endswith("."), name
        number = isinstance(key.default, int | float) and not isinstance(key.default, bool)
        assert bool(key.unit) == (number or isinstance(key.default, tuple)), name
        assert f"| `{key.field}` | {key.description} |" in render_markdown()
    assert {row.key for row in describe(Settings())} == set(keys)


def test_every_default_may_be_written_into_a_file(tmp_path) -> None:
    lines: list[str] = []
    for key in declared_keys().values():
        if not key.secret and key.default != {}:
            lines += [f"[{key.section}]"] if f"[{key.section}]" not in lines else []
            lines.append(f"{key.field} = {json.dumps(key.default)}")
    settings = load_settings(write(tmp_path, "\n".join(lines)), env={})
    assert settings.override({}).origins == settings.origins
    for section in msgspec.structs.fields(Settings)[:-1]:
        assert getattr(settings, section.name) == getattr(Settings(), section.name)


def test_loading_is_light() -> None:
    code = (
        "import sys, tapemill.settings as s; s.load_settings(env={}).massive;"
        "print([m for m in ('polars', 'numpy', 'structlog', 'deltalake') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == "[]"
