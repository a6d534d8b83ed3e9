"""Inputs of evenings from a made market."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from tapemill.contracts import contract
from tapemill.flow.inputs import EveningInputs
from tapemill.flow.panel import Panel
from tapemill.world.flow import FlowMarket


def panel_of(market: FlowMarket, *, priced: bool = False) -> Panel:
    none = np.full(market.total_volume.shape, np.nan)
    close = market.close if priced else none
    volume = market.volume if priced else none
    facts = (market.short_volume, market.total_volume, market.share_factor)
    return Panel(market.symbols, market.sessions, *facts, close, close, close, volume)


def inputs_of(
    market: FlowMarket,
    evenings: tuple[date, ...],
    *,
    priced: bool = False,
    sectors: bool = False,
    otc: pl.DataFrame | None = None,
    panel: Panel | None = None,
) -> EveningInputs:
    memberships = market.sector_rows() if sectors else contract("reference.memberships").empty()
    return EveningInputs(
        evenings=evenings,
        panel=panel or panel_of(market, priced=priced),
        short=pl.DataFrame(),
        tape=pl.DataFrame(),
        otc=contract("silver.otc_weekly").empty() if otc is None else otc,
        interest=contract("silver.short_interest").empty(),
        memberships=memberships,
        symbols=market.symbol_table(),
    )
