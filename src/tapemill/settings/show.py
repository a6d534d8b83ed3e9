"""Settings for people: the values in force, and the reference of all keys."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tapemill.secrets import MASK, Secret, redact
from tapemill.settings.declaration import Settings
from tapemill.settings.keys import Key, declared_keys

__all__ = ["SettingRow", "describe", "render_markdown"]


class SettingRow(NamedTuple):
    """One line of ``tapemill config show``."""

    key: str
    value: str
    origin: str
    description: str
    unit: str
    default: str
    accepts: str
    environment: str


def _text(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, bool | dict | tuple):
        return redact(json.dumps(value))
    return redact(str(value))


def _row(key: Key, value: Any, origin: str) -> SettingRow:
    return SettingRow(
        key=key.name,
        value=_text(value),
        origin=origin,
        description=key.description,
        unit=key.unit,
        default=_text(key.default),
        accepts=key.accepts,
        environment=" or ".join(key.environment),
    )


def describe(settings: Settings) -> list[SettingRow]:
    """Every key with its value (secrets masked) and origin, in the order of declaration."""
    return [
        _row(key, getattr(getattr(settings, key.section), key.field), settings.origin(key.name))
        for key in declared_keys().values()
    ]


def render_markdown() -> str:
    """Reference of all keys as Markdown, made from their declaration."""
    lines = [
        "# Configuration",
        "",
        "Later wins: default, `tapemill.toml`, environment, command line. Unknown keys are errors.",
        "Secrets are read from the environment only.",
    ]
    section = ""
    settings = Settings()
    for row in describe(settings):
        name, field = row.key.split(".", 1)
        if name != section:
            section = name
            about = (type(getattr(settings, section)).__doc__ or "").strip()
            lines += ["", f"## [{section}]", "", about, ""]
            lines += ["| key | meaning | accepts | unit | default | environment |"]
            lines += ["|---|---|---|---|---|---|"]
        default = f"`{row.default}`" if row.default else "empty"
        variables = " or ".join(f"`{name}`" for name in row.environment.split(" or "))
        lines.append(
            f"| `{field}` | {row.description} | {row.accepts} | {row.unit} | {default}"
            f" | {variables} |"
        )
    return "\n".join(lines) + "\n"
