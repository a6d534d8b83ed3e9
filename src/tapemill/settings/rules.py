"""What no single key can say: limits that follow the plan, and values that must fit together."""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from tapemill.errors import ConfigError
from tapemill.settings.declaration import Settings

__all__ = ["check_together", "plan_defaults"]

# Massive asks paying users to stay below 100 requests a second.
_PAID = {"massive.calls_per_minute": 6000, "massive.calls_per_day": 0, "massive.same_day": True}
_PLANS: dict[str, dict[str, Any]] = {
    "free": {},
    "starter": _PAID | {"massive.history_days": 1826},
    "developer": _PAID | {"massive.history_days": 3652},
    "advanced": _PAID | {"massive.history_days": 7305, "massive.feed_delay_minutes": 0},
}


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def plan_defaults(plan: str) -> dict[str, Any]:
    """Defaults that a Massive plan changes, by key."""
    return _PLANS[plan]


def _check_address(name: str, url: str, origin: str) -> None:
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigError(
            f"{name} = {url!r} is not an address",
            where=origin,
            next_step="write it like https://api.massive.com",
        )
    if parts.username or parts.query or parts.fragment:
        raise ConfigError(
            f"{name} must be a bare address, without user, query or fragment",
            where=origin,
            next_step=f"use {parts.scheme}://{host}{parts.path}; keys travel in headers",
        )
    if parts.scheme == "http" and not _is_loopback(host):
        raise ConfigError(
            f"{name} = {url!r} would send keys unencrypted",
            where=origin,
            next_step="use https; plain http is for the sandbox on 127.0.0.1",
        )


def _check_order(settings: Settings, lower: str, upper: str) -> None:
    low, high = (
        getattr(getattr(settings, name.split(".")[0]), name.split(".")[1])
        for name in (lower, upper)
    )
    if low > high:
        raise ConfigError(
            f"{lower} = {low} is greater than {upper} = {high}",
            where=f"{settings.origin(lower)}; {settings.origin(upper)}",
            next_step=f"raise {upper} or lower {lower}",
        )


def _check_moment(settings: Settings) -> None:
    text = settings.clock.now
    if not text:
        return
    try:
        aware = datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        raise ConfigError(
            f"clock.now = {text!r} is not a moment with an offset from UTC",
            where=settings.origin("clock.now"),
            next_step="write it like 2026-06-30T21:00:00-04:00",
        )


def check_together(settings: Settings) -> None:
    """Check what spans several keys.

    Raises
    ------
    ConfigError
        An address that is none or not safe for keys, crossed bounds, half a pair of credentials,
        a clock that cannot be set.
    """
    for name in (
        "massive.base_url",
        "finra.cdn_url",
        "finra.api_url",
        "finra.token_url",
        "databento.base_url",
    ):
        section, field = name.split(".")
        _check_address(name, getattr(getattr(settings, section), field), settings.origin(name))
    _check_order(settings, "retry.first_wait_seconds", "retry.longest_wait_seconds")
    _check_order(settings, "breaker.first_probe_seconds", "breaker.longest_probe_seconds")
    _check_order(settings, "breaker.consecutive", "breaker.window")
    _check_order(settings, "checks.tier2_coverage_min_frac", "checks.tier1_coverage_min_frac")
    if (settings.finra.client_id is None) != (settings.finra.client_secret is None):
        missing = "FINRA_CLIENT_ID" if settings.finra.client_id is None else "FINRA_CLIENT_SECRET"
        raise ConfigError(
            f"FINRA credentials are a pair, and {missing} is not set",
            next_step=f"export {missing}=<value>, or unset the other: the public API needs none",
        )
    _check_moment(settings)
