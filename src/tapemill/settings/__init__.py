"""Configuration: every key declared once, read from file and environment, each with its origin.

In: ``tapemill.toml``, environment variables, options of a command. Out: one frozen `Settings` that
is handed down; nothing below reads files or the environment for its settings.
"""

from __future__ import annotations

from tapemill.settings.declaration import FlowSettings, LevelsSettings, Settings
from tapemill.settings.keys import Key, declared_keys
from tapemill.settings.load import default_settings, load_settings
from tapemill.settings.show import SettingRow, describe, render_markdown

__all__ = [
    "FlowSettings",
    "Key",
    "LevelsSettings",
    "SettingRow",
    "Settings",
    "declared_keys",
    "default_settings",
    "describe",
    "load_settings",
    "render_markdown",
]
