"""A small made-up futures day that went the whole way: file, import, gold tables."""

from __future__ import annotations

import datetime

from tapemill.clock import eastern_ns
from tapemill.clock.injected import FixedClock
from tapemill.intake.orders import import_orders
from tapemill.lake import Lake
from tapemill.levels.recipes import LEVEL_RECIPES
from tapemill.refine import RECIPES, build
from tapemill.settings import load_settings
from tapemill.world.order_book import OrderBookSpec, OrderBookWorld, Pause, Plant

DAY = datetime.date(2023, 12, 26)
NOW = FixedClock(1_790_000_000 * 10**9)
GAP = (eastern_ns(DAY, 12), eastern_ns(DAY, 12, 25))


def fill(folder):
    """A lake with one made-up day, and the settings it was made with."""
    spec = OrderBookSpec(
        trade_dates=(DAY,),
        trades=5_000,
        sigma_minute=1.5,
        records_per_trade=10.0,
        plants=(Plant(name="wall", kind="wall", level=19_230, probability=0.9),),
        pauses=(Pause(kind="gap", start_ns=GAP[0], end_ns=GAP[1]),),
    )
    world = OrderBookWorld(5, spec)
    files = [folder / "day.mbp-10.dbn.zst", folder / "day.definition.dbn.zst"]
    world.write(files[0], "mbp-10")
    world.write_definitions(files[1])
    lake = Lake.open(folder / "lake", create=True, clock=NOW)
    settings = load_settings(None)
    import_orders(lake, settings, NOW, files)
    build(lake, settings, NOW, ["gold.episodes"], recipes={**RECIPES, **LEVEL_RECIPES})
    return lake, settings
