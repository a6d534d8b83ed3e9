"""Random walks of trades past zones, and a plain state machine that the compiled one must match."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np

from tapemill.levels.episodes import Decisions, EndedEpisodes, EpisodeTracker
from tapemill.levels.trades import FeedSilence, Gaps, Trades
from tapemill.levels.volatility import Volatility
from tapemill.levels.zones import ZoneRows
from tapemill.settings.declaration import LevelsSettings

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
BASE = 1_703_545_200 * SECOND
DELAYS = (0, 30, 60, 120, 240)


def trades_at(seconds, prices, ordinals=None) -> Trades:
    count = len(prices)
    return Trades(
        np.array([BASE + round(second * SECOND) for second in seconds], np.int64),
        np.arange(count) if ordinals is None else np.array(ordinals, np.int64),
        np.array(prices, np.int32),
        np.ones(count, np.int32),
        np.zeros(count, np.int8),
    )


def zone_rows(*rows) -> ZoneRows:
    """Rows of (second, zone, low, high); None as an edge: gone."""
    seconds, zones, low, high = zip(*rows, strict=True)
    edges = [
        np.array([np.nan if e is None else e for e in side], np.float64) for side in (low, high)
    ]
    at = np.array([BASE + round(second * SECOND) for second in seconds], np.int64)
    return ZoneRows(at, np.array(zones, np.int32), *edges)


def sigma_rows(*rows) -> Volatility:
    seconds, sigma = zip(*rows, strict=True)
    at = np.array([BASE + round(second * SECOND) for second in seconds], np.int64)
    return Volatility(at, np.array(sigma, np.float64))


@dataclasses.dataclass
class World:
    trades: Trades
    zones: ZoneRows
    sigma: Volatility
    close_ns: int
    until_ns: int
    settings: LevelsSettings

    @property
    def gaps(self) -> Gaps:
        silence = FeedSilence(self.settings.gap_seconds)
        parts = silence.advance(self.trades.ts_gateway), silence.finish(self.until_ns)
        return Gaps(*map(np.concatenate, zip(*parts, strict=True)))


def world(seed: int, trades: int = 300) -> World:
    """A walk of prices on whole seconds (ties at boundaries are wanted) past moving zones."""
    rng = np.random.default_rng(seed)
    waits = rng.choice([0, 0, 1, 2, 5, 30, 400], trades, p=[0.2, 0.1, 0.3, 0.2, 0.15, 0.045, 0.005])
    seconds = np.cumsum(waits) + 60
    steps = rng.choice(
        [-9, -2, -1, 0, 1, 2, 9], trades, p=[0.02, 0.14, 0.24, 0.2, 0.24, 0.14, 0.02]
    )
    rows = []
    last = int(seconds[-1])
    for zone in range(int(rng.integers(1, 6))):
        low = float(rng.integers(-20, 21)) + rng.choice([0.0, 0.5, 0.3])
        width = rng.choice([0.0, 1.0, 2.5])
        for second in range(0 if rng.random() < 0.7 else 120, last, 60):
            if rng.random() < 0.08:
                rows.append((second, zone * 3 + 7, None, None))
            elif second < 200 or rng.random() < 0.3:
                low += rng.choice([0.0, 0.4, -0.4, 3.0, -15.0], p=[0.4, 0.25, 0.25, 0.05, 0.05])
                rows.append((second, zone * 3 + 7, low, low + width))
    rows.sort(key=lambda row: row[:2])
    start = int(rng.choice([0, 120]))
    sigma = [(second, float(rng.choice([1.0, 2.0, 3.3, 6.0]))) for second in range(start, last, 60)]
    return World(
        trades_at(seconds, np.cumsum(steps)),
        zone_rows(*(rows or [(0, 7, 5.0, 5.0)])),
        sigma_rows(*(sigma or [(start, 2.0)])),
        BASE + (last - int(rng.choice([-100, 40]))) * SECOND,
        BASE + (last + int(rng.choice([1, 70, 500]))) * SECOND,
        LevelsSettings(attempt_gap_minutes=5),
    )


def track(made: World, cuts=(), *, late=False) -> tuple[EndedEpisodes, Decisions]:
    """All that the tracker says, trades cut into chunks; `late`: schedules arrive in pieces."""
    tracker = EpisodeTracker(made.settings, made.close_ns)
    if not late:
        tracker.zones(made.zones)
        tracker.volatility(made.sigma)
    parts = []
    bounds = [0, *cuts, len(made.trades.price)]
    given = [0, 0]
    for start, stop in itertools.pairwise(bounds):
        part = Trades(*(column[start:stop] for column in made.trades))
        until = int(made.trades.ts_gateway[max(stop, 1) - 1])
        if late:
            for place, (rows, extend) in enumerate(
                ((made.zones, tracker.zones), (made.sigma, tracker.volatility))
            ):
                stop_row = int(np.searchsorted(rows.at_ns, until, side="right"))
                extend(type(rows)(*(column[given[place] : stop_row] for column in rows)))
                given[place] = stop_row
        parts.append(tracker.advance(part, until))
    if late:
        tracker.zones(ZoneRows(*(column[given[0] :] for column in made.zones)))
        tracker.volatility(Volatility(*(column[given[1] :] for column in made.sigma)))
    parts.append(tracker.finish(made.until_ns))
    ended, decided = zip(*parts, strict=True)
    return (
        EndedEpisodes(*map(np.concatenate, zip(*ended, strict=True))),
        Decisions(*map(np.concatenate, zip(*decided, strict=True))),
    )


class PlainZone:
    """One zone as the words of the rule say it, without care for speed."""

    def __init__(self, number: int, machine: PlainMachine) -> None:
        self.number, self.machine = number, machine
        self.edges = None
        self.side = 0  # +1 price was away below, -1 above, 0 not away since
        self.episode = None
        self.touches = {1: None, -1: None}

    def bands(self):
        settings, sigma = self.machine.settings, self.machine.sigma
        approach = max(settings.approach_min_ticks, settings.approach_sigma * sigma)
        touch = max(settings.touch_min_ticks, settings.touch_sigma * sigma)
        leave = max(settings.leave_min_ticks, settings.leave_sigma * sigma, approach)
        return approach, touch, leave

    def arm(self):
        machine = self.machine
        if None in (self.edges, machine.sigma, machine.price) or self.episode or self.side:
            return
        leave = self.bands()[2]
        if machine.price < self.edges[0] - leave:
            self.side = 1
        elif machine.price > self.edges[1] + leave:
            self.side = -1

    def move(self, edges, now):
        if self.episode:
            self.edges = edges  # the approach keeps the edges that it began at
            return
        if edges is None:
            self.side = 0
        elif self.side:
            away = (
                self.machine.price < edges[0] if self.side == 1 else self.machine.price > edges[1]
            )
            self.side = self.side if away else 0
        self.edges = edges

    def end(self, reason, now):
        if self.episode:
            self.episode |= {"end_ns": now, "reason": reason}
            self.machine.ended.append(self.episode)
            self.episode = None

    def trade(self, now, ordinal, price):
        machine = self.machine
        if self.edges is None and not self.episode:
            return
        low, high = self.edges if not self.episode else (self.episode["low"], self.episode["high"])
        if self.side and not self.episode:
            approach, touch, leave = self.bands()
            if price >= low - approach if self.side == 1 else price <= high + approach:
                self.episode = {
                    "episode": len(machine.begun), "zone": self.number, "direction": self.side,
                    "low": low, "high": high, "sigma": machine.sigma, "enter_ns": now,
                    "enter_ordinal": ordinal, "touch_ns": None, "touch_ordinal": None,
                    "attempt": 0, "chain": len(machine.begun), "bands": (touch, leave),
                }  # fmt: skip
                machine.begun.append(self.episode)
                self.side = 0
        episode = self.episode
        if not episode:
            return
        touch, leave = episode["bands"]
        upward = episode["direction"] == 1
        if episode["touch_ns"] is None and (
            price >= low - touch if upward else price <= high + touch
        ):
            episode |= {"touch_ns": now, "touch_ordinal": ordinal}
            episode |= {"attempt": 1}
            before = self.touches[episode["direction"]]
            if before and now - before["touch_ns"] <= machine.settings.attempt_gap_minutes * MINUTE:
                episode |= {"attempt": before["attempt"] + 1, "chain": before["chain"]}
            self.touches[episode["direction"]] = episode
            self.decide(now, ordinal, 0)
        if price > high + leave or price < low - leave:
            self.end("through" if (price > high) == upward else "turned", now)

    def decide(self, now, ordinal, delay):
        e = self.episode
        row = (now, ordinal, e["episode"], self.number, delay, e["direction"], e["low"], e["high"])
        self.machine.decided.append((*row, e["sigma"], e["touch_ns"]))


class PlainMachine:
    """Everything in one list by moment: rows, then trades, then decisions, gaps and the close."""

    def __init__(self, made: World) -> None:
        self.settings, self.sigma, self.price = made.settings, None, None
        self.begun, self.ended, self.decided = [], [], []
        self.zones = {}
        items = [(int(at), 0, "sigma", float(sigma)) for at, sigma in zip(*made.sigma, strict=True)]
        items += [(int(row[0]), 0, "zone", *row[1:]) for row in zip(*made.zones, strict=True)]
        items += [(int(row[0]), 1, "trade", *row[1:3]) for row in zip(*made.trades, strict=True)]
        items += [(int(at), 3, "gap") for at in made.gaps.known_ns]
        items.append((made.close_ns, 4, "close"))
        items.sort(key=lambda item: item[:2])
        for place, item in enumerate(items):
            after = items[place + 1] if place + 1 < len(items) else None
            if item[0] >= made.until_ns:
                break
            self.fire((item[0], 2 if item[1] > 2 else item[1]))
            if self.step(item):
                break
            if not (item[1] == 0 and after and after[:2] == item[:2]):
                for zone in self.zones.values():
                    zone.arm()
        if made.until_ns <= made.close_ns:
            self.fire((made.until_ns, 0))
            for zone in self.zones.values():
                zone.end("end_of_data", made.until_ns)

    def fire(self, before):
        """Timed decisions with (moment, 2) at or before a key."""
        due = []
        for zone in self.zones.values():
            if zone.episode and zone.episode["touch_ns"] is not None:
                for delay in DELAYS[1:]:
                    at = zone.episode["touch_ns"] + delay * SECOND
                    done = zone.episode.setdefault("done", set())
                    if delay not in done and ((at, 2) < before or (at, 2) == before):
                        done.add(delay)
                        due.append((at, zone, delay))
        for at, zone, delay in sorted(due, key=lambda entry: entry[0]):
            zone.decide(at, 2**63 - 1, delay)

    def step(self, item):
        now, _, kind = item[:3]
        if kind == "sigma":
            self.sigma = item[3]
        elif kind == "zone":
            zone = self.zones.setdefault(int(item[3]), PlainZone(int(item[3]), self))
            gone = math.isnan(item[4])
            zone.move(None if gone else (float(item[4]), float(item[5])), now)
        elif kind == "trade":
            self.price = int(item[4])
            for zone in self.zones.values():
                zone.trade(now, int(item[3]), self.price)
        else:
            for zone in self.zones.values():
                zone.end(kind, now)
                zone.side = 0
            self.price = None
        return kind == "close"
