"""Settings from defaults, file, environment and command, each value with its origin."""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.parse import unquote, urlsplit

import msgspec

from tapemill.errors import ConfigError, did_you_mean
from tapemill.secrets import Secret, redact
from tapemill.settings.declaration import Settings
from tapemill.settings.keys import Key, declared_keys, known_key
from tapemill.settings.rules import check_together, plan_defaults

__all__ = ["default_settings", "load_settings", "overridden"]

DEFAULT_FILE = "tapemill.toml"

# Read by the tests and the loader itself, so no typing mistakes.
_OTHER_VARIABLES = {"TAPEMILL_CONFIG", "TAPEMILL_REQUIRE_DATA"}
_OTHER_PREFIXES = ("TAPEMILL_TEST_",)
_SECRET_OPTION = re.compile(r"secret|token|password|credential|sas|access_key|account_key", re.I)


class _Given(NamedTuple):
    """A value that somebody gave, before its type is checked."""

    value: Any
    origin: str
    where: str
    lenient: bool = False


def _no_secret(kind: type, value: Any) -> NoReturn:
    raise TypeError(f"a {type(value).__name__} is no {kind.__name__}")


def _shown(key: Key, value: Any) -> str:
    return key.name if key.secret else f"{key.name} = {redact(repr(value))[:80]}"


def _typed(key: Key, given: _Given) -> Any:
    """The value in the declared type, or a ConfigError that says what is accepted."""
    value = given.value
    if key.secret:
        if value is None or isinstance(value, Secret):
            return value
        if isinstance(value, str):
            return Secret(value, key.environment[0])
    try:
        container = isinstance(key.default, dict | tuple)
        if given.lenient and container and isinstance(value, str):
            value = msgspec.json.decode(value)
        typed = msgspec.convert(
            value, key.annotation, strict=not given.lenient, dec_hook=_no_secret
        )
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise ConfigError(
            f"{_shown(key, given.value)} cannot be used",
            where=given.where,
            next_step=f"{key.name} accepts: {key.accepts}; the default is {key.default!r}",
        ) from error
    numbers = typed if isinstance(typed, tuple) else (typed,)
    if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
        raise ConfigError(
            f"{_shown(key, given.value)} is not finite",
            where=given.where,
            next_step=f"{key.name} accepts: {key.accepts}",
        )
    return typed


def _refuse_secret_in_file(key: Key, value: Any, where: str) -> None:
    hidden = key.secret or (
        isinstance(value, dict) and any(_SECRET_OPTION.search(name) for name in value)
    )
    if hidden or (isinstance(value, str) and redact(value) != value):
        name = key.environment[0]
        example = "<JSON of the whole table>" if isinstance(value, dict) else "<value>"
        raise ConfigError(
            f"{key.name} holds a secret, and secrets are read from the environment only",
            where=where,
            next_step=f"delete it from the file (and its history), then: export {name}={example}",
        )


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            "the configuration file does not exist",
            where=str(path),
            next_step="check --config, or leave it out to use the defaults",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the configuration file cannot be read: {error}",
            where=str(path),
            next_step="make it a UTF-8 text file that you may read",
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"the configuration file is not valid TOML: {redact(str(error))}",
            where=str(path),
            next_step='values look like  calls_per_minute = 5  or  plan = "free"',
        ) from error


def _from_file(path: Path) -> dict[str, _Given]:
    given: dict[str, _Given] = {}
    sections = {key.section for key in declared_keys().values()}
    for section, table in _read_file(path).items():
        if section not in sections:
            raise ConfigError(
                f"{section!r} is no section of the configuration",
                where=str(path),
                next_step=did_you_mean(section, sections)
                or f"sections: {', '.join(sorted(sections))}",
            )
        if not isinstance(table, dict):
            raise ConfigError(
                f"{section!r} must be a section, not a value",
                where=str(path),
                next_step=f"write [{section}] on a line of its own and its keys below",
            )
        for field, value in table.items():
            key = known_key(f"{section}.{field}", str(path))
            _refuse_secret_in_file(key, value, f"{path}, {key.name}")
            given[key.name] = _Given(value, str(path), f"{path}, {key.name}")
    return given


def _from_environment(environment: Mapping[str, str]) -> dict[str, _Given]:
    given: dict[str, _Given] = {}
    known: dict[str, Key] = {}
    for key in declared_keys().values():
        known |= dict.fromkeys(key.environment, key)
        for variable in reversed(key.environment):
            value = environment.get(variable, "").strip()
            if value:
                where = f"environment variable {variable}"
                given[key.name] = _Given(value, f"environment {variable}", where, lenient=True)
    for variable in environment:
        ours = variable.startswith("TAPEMILL_") and not variable.startswith(_OTHER_PREFIXES)
        if ours and variable not in known and variable not in _OTHER_VARIABLES:
            raise ConfigError(
                f"there is no setting for the environment variable {variable}",
                next_step=did_you_mean(variable, known) or f"unset {variable}",
            )
    return given


def _from_command(values: Mapping[str, Any], origin: str) -> dict[str, _Given]:
    return {
        known_key(name, origin).name: _Given(value, origin, f"{origin}, {name}")
        for name, value in values.items()
    }


def _assemble(layers: Iterable[Mapping[str, _Given]]) -> Settings:
    """The last layer that names a key wins; the rest follows the plan, then the default."""
    given: dict[str, _Given] = {}
    for layer in layers:
        given |= layer
    plan_key = known_key("massive.plan", "")
    plan = _typed(plan_key, given[plan_key.name]) if plan_key.name in given else plan_key.default
    for name, value in plan_defaults(plan).items():
        if value != declared_keys()[name].default:
            given.setdefault(name, _Given(value, f"plan {plan}", "massive.plan"))

    sections: dict[str, dict[str, Any]] = {}
    for key in declared_keys().values():
        value = _typed(key, given[key.name]) if key.name in given else key.default
        sections.setdefault(key.section, {})[key.field] = value
    kinds = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    built = {name: kinds[name](**fields) for name, fields in sections.items()}
    settings = Settings(**built, origins={name: item.origin for name, item in given.items()})
    _hide_embedded_secrets(settings)
    check_together(settings)
    return settings


def _hide_embedded_secrets(settings: Settings) -> None:
    """Secrets inside other values become known to the redaction."""
    for name, value in settings.lake.storage_options.items():
        if value and _SECRET_OPTION.search(name):
            Secret(value, name)
    for url in (settings.lake.control_url, settings.lake.location):
        try:
            password = urlsplit(url).password
        except ValueError:
            continue  # no address at all: the lake says so when it opens it
        if password:
            Secret(unquote(password), "lake.control_url")


def load_settings(
    path: Path | None = None,
    env: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """Read the settings: default < file < environment < overrides.

    Parameters
    ----------
    path : Path, optional
        Configuration file, which must exist; without it ``TAPEMILL_CONFIG``, then
        ``./tapemill.toml`` if there is one.
    env : mapping, optional
        Environment variables; default the process's own. Empty values count as unset.
    overrides : mapping, optional
        Values of the command line by key, such as ``{"lake.location": "/data/lake"}``.

    Raises
    ------
    ConfigError
        Unknown key, unacceptable value, secret in the file, unreadable file.
    """
    environment = os.environ if env is None else env
    named = path or environment.get("TAPEMILL_CONFIG", "").strip()
    layers = []
    if named:
        layers.append(_from_file(Path(named)))
    elif Path(DEFAULT_FILE).is_file():
        layers.append(_from_file(Path(DEFAULT_FILE)))
    layers.append(_from_environment(environment))
    layers.append(_from_command(overrides or {}, "command line"))
    return _assemble(layers)


def default_settings() -> Settings:
    """The declared defaults, untouched by files and environment."""
    return _assemble([])


def overridden(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """A copy of `settings` with `values` by key on top."""
    kept = {
        name: _Given(getattr(getattr(settings, key.section), key.field), origin, origin)
        for name, origin in settings.origins.items()
        if not origin.startswith("plan ")
        for key in (declared_keys()[name],)
    }
    return _assemble([kept, _from_command(values, "override")])
