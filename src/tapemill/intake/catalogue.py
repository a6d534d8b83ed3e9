"""What can be fetched, by the names people type."""

from __future__ import annotations

import dataclasses
from typing import Literal

from tapemill.errors import UnknownNameError, UsageError, did_you_mean

__all__ = ["Offer", "offer", "offered_names"]

Route = Literal[
    "minutes",
    "days",
    "splits",
    "dividends",
    "tickers",
    "status",
    "short_files",
    "short_api",
    "weeks",
    "firms",
    "interest",
    "ticks",
]


@dataclasses.dataclass(frozen=True, slots=True)
class Offer:
    """A dataset on offer: its short name, its table, who has it and by which route."""

    name: str
    dataset: str
    vendor: str
    route: Route


_OFFERS = (
    Offer("bars_1m", "bronze.massive_bars_1m", "massive", "minutes"),
    Offer("bars_1d", "bronze.massive_bars_1d", "massive", "days"),
    Offer("tape", "bronze.massive_tape_5m", "massive", "ticks"),
    Offer("splits", "bronze.massive_splits", "massive", "splits"),
    Offer("dividends", "bronze.massive_dividends", "massive", "dividends"),
    Offer("tickers", "bronze.massive_tickers", "massive", "tickers"),
    Offer("market_status", "bronze.massive_market_status", "massive", "status"),
    Offer("short_volume", "bronze.finra_short_volume", "finra", "short_files"),
    Offer("otc_weekly", "bronze.finra_otc_weekly", "finra", "weeks"),
    Offer("otc_firms", "bronze.finra_otc_weekly", "finra", "firms"),
    Offer("short_interest", "bronze.finra_short_interest", "finra", "interest"),
)


def offered_names() -> dict[str, str]:
    """Short name → bronze dataset of everything that can be fetched."""
    return {one.name: one.dataset for one in _OFFERS}


def offer(dataset: str, via: str | None = None) -> Offer:
    """The offer behind a short or bronze name.

    Raises
    ------
    UnknownNameError
        Nothing of that name can be fetched.
    UsageError
        There is no such route.
    """
    found = next((one for one in _OFFERS if dataset in (one.name, one.dataset)), None)
    if found is None:
        names = [one.name for one in _OFFERS]
        raise UnknownNameError(
            f"there is nothing to fetch called {dataset!r}",
            next_step=did_you_mean(dataset, names) or f"can be fetched: {', '.join(names)}",
        )
    routes = {"file", "api"} if found.name == "short_volume" else set()
    if via is None:
        return found
    if via not in routes:
        raise UsageError(
            f"{found.name} has no route {via!r}",
            next_step=f"leave --via out{' or give file or api' if routes else ''}",
        )
    return dataclasses.replace(found, route="short_api" if via == "api" else "short_files")
