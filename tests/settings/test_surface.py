"""The names that other rooms may use."""

from __future__ import annotations

import tapemill.logs
import tapemill.secrets
import tapemill.settings


def test_public_names() -> None:
    assert sorted(tapemill.settings.__all__) == [
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
    assert sorted(tapemill.secrets.__all__) == ["MASK", "Secret", "redact", "register"]
    assert sorted(tapemill.logs.__all__) == [
        "LEVELS",
        "TELEMETRY_OFF",
        "configure",
        "get_logger",
        "silence_telemetry",
    ]
