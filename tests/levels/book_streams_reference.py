"""Features of book and tape by the letter of their declaration: plain Python over lists, slow.

Shares no code with the kernels. Every answer is computed anew from logs of what happened.
"""

from __future__ import annotations

import math

from tapemill.book.events import NO_DEPTH, NO_PRICE, Cause

SECOND = 1_000_000_000
NAN = math.nan


def ratio(top: float, bottom: float) -> float:
    return top / bottom if bottom else NAN


def bin_of(size: int) -> int:
    """Sizes are told apart exactly below 256, above it to a 32nd of the next power of two."""
    if size < 256:
        return size
    unit = 1 << (size.bit_length() - 6)
    return size // unit * unit


def slope(trades: list[tuple[int, int]]) -> float:
    """Exact least squares over (moment in µs, price), per second."""
    n = len(trades)
    t, p = sum(t for t, _ in trades), sum(p for _, p in trades)
    bottom = n * sum(t * t for t, _ in trades) - t * t
    return 1e6 * (n * sum(t * p for t, p in trades) - t * p) / bottom if bottom else NAN


class SlowPhysics:
    def __init__(self, settings) -> None:
        self.settings = settings
        self.books = {"A": {}, "B": {}}
        self.flows, self.trades, self.samples, self.views = [], [], [], {}
        self.active: list[int] = []
        self.since = self.last_ts = self.second = None
        self.limited, self.levels = True, 0  # nothing is known to be in view
        self.known: dict = {}

    def once(self, *key):
        """What `key[0]` gives for the rest of it; the past does not change."""
        if key not in self.known:
            self.known[key] = getattr(self, key[0])(*key[1:])
        return self.known[key]

    def answers(self, stream, decisions) -> list[dict[str, float]]:
        events, changes = stream
        columns = zip(*(column.tolist() for column in events[:-1]), strict=True)
        wanted = [
            dict(zip(decisions._fields, row, strict=True))
            for row in zip(*(column.tolist() for column in decisions), strict=True)
        ]
        rows, first = [], events.first_change.tolist()
        all_changes = list(zip(*(column.tolist() for column in changes), strict=True))
        for place, event in enumerate(columns):
            while wanted and (wanted[0]["decision_ns"], wanted[0]["ordinal"]) < event[1:3]:
                rows.append(self.answer(wanted.pop(0)))
            self.take(event, all_changes[first[place] : first[place + 1]])
        return rows + [self.answer(one) for one in wanted]

    # What happens -------------------------------------------------------------------------

    def take(self, event, changes) -> None:
        _, ts, _, action, side, price, size, depth, *_ = event
        flags = event[9]
        if self.last_ts is None or ts - self.last_ts > self.settings.gap_seconds * SECOND:
            self.since = ts
        self.last_ts = ts
        if ts // SECOND != self.second:
            self.open(ts // SECOND)
        for which, at, left, orders, cause, signed in changes:
            self.change(chr(which), at, left, orders, cause, signed, ts)
        self.limited = depth != NO_DEPTH
        if self.limited:
            self.levels = max(self.levels, *(len(book) for book in self.books.values()))
        if action == ord("T") and price != NO_PRICE and not flags & 32:
            sign = {"B": 1, "A": -1}.get(chr(side), 0)
            limit = self.once("large_limit", self.second)
            large = limit is not None and bin_of(size) > limit
            self.trades.append((ts, price, size, sign, large))

    def open(self, second: int) -> None:
        self.second = second
        self.active.append(second)
        self.views[second] = {side: self.limit(side) for side in "AB"}
        if all(self.books.values()) and self.best("B") < self.best("A"):
            sample = {}
            for side in "AB":
                for distance in range(128):
                    price = self.best(side) + (distance if side == "A" else -distance)
                    if self.seen(price, side, self.views[second][side]):
                        sample[side, distance] = self.books[side].get(price, (0, 0))[0]
            self.samples.append(sample)

    def change(self, side, price, left, orders, cause, signed, ts) -> None:
        before = self.best(side)
        if left:
            self.books[side][price] = (left, orders)
        else:
            self.books[side].pop(price, None)
        if cause == Cause.RESET:
            self.since = ts
        if cause in (Cause.ADD, Cause.CANCEL, Cause.FILL):
            known = [best for best in (before, self.best(side)) if best is not None] or [price]
            away = price - min(known) if side == "A" else max(known) - price
            self.flows.append((ts // SECOND, side, price, cause, signed, away))

    def best(self, side):
        book = self.books[side]
        return (min(book) if side == "A" else max(book)) if book else None

    def limit(self, side):
        """The worst price in view: None is none at all, infinite is all."""
        if not self.limited:
            return math.inf if side == "A" else -math.inf
        if not self.levels:
            return None
        prices = sorted(self.books[side], reverse=side == "B")
        if len(prices) < self.levels:
            return math.inf if side == "A" else -math.inf
        return prices[self.levels - 1]

    @staticmethod
    def seen(price, side, limit) -> bool:
        return limit is not None and (price <= limit if side == "A" else price >= limit)

    # What was usual -----------------------------------------------------------------------

    def volumes(self, before: int) -> dict[int, int]:
        sums: dict[int, int] = {}
        for ts, _, size, sign, _ in self.trades:
            if sign and ts // SECOND < before:
                sums[ts // SECOND] = sums.get(ts // SECOND, 0) + size
        return sums

    def usual(self, second: int) -> float:
        sums = self.volumes(second)
        if len(sums) < 30:
            return NAN
        newest, half = max(sums), self.settings.sigma_minutes * 60
        weights = {s: 0.5 ** ((newest - s) / half) for s in sums}
        return sum(sums[s] * w for s, w in weights.items()) / sum(weights.values())

    def usual_since(self) -> float:
        sums = sorted(self.volumes(self.second))
        later = [s for s in self.active if len(sums) >= 30 and s > sums[29]]
        return min(later, default=math.inf)

    def large_limit(self, second: int):
        sizes = sorted(bin_of(t[2]) for t in self.trades if t[3] and t[0] // SECOND < second)
        if len(sizes) < 100:
            return None
        return sizes[-(-95 * len(sizes) // 100) - 1]

    def large_since(self) -> float:
        prints = [t[0] // SECOND for t in self.trades if t[3]]
        later = [s for s in self.active if len(prints) >= 100 and s > prints[99]]
        return min(later, default=math.inf)

    def baseline(self, distance: int, _samples: int) -> float:
        found = [s[side, min(distance, 127)] for s in self.samples for side in "AB"
                 if (side, min(distance, 127)) in s]  # fmt: skip
        return ratio(sum(found), len(found))

    # Answers ------------------------------------------------------------------------------

    def answer(self, one) -> dict[str, float]:
        found: dict[str, float] = {}
        if self.last_ts is None:
            return found
        if one["decision_ns"] - self.last_ts > self.settings.gap_seconds * SECOND:
            return found
        keys, sigma = self.settings, 0.0 if math.isnan(one["sigma"]) else one["sigma"]
        reach = max(keys.barrier_min_ticks, keys.barrier_sigma * sigma)
        zone = range(math.ceil(one["low"] - reach), math.floor(one["high"] + reach) + 1)
        reach = max(keys.tape_min_ticks, keys.tape_sigma * sigma)
        band = range(math.ceil(one["low"] - reach), math.floor(one["high"] + reach) + 1)
        side = "A" if one["direction"] > 0 else "B"
        depth = self.barrier_now(found, zone, side)
        self.quotes(found, one["direction"])
        now = one["decision_ns"] // SECOND
        spans = {f"{w}s": w for w in (5, 15, 60, 240)}
        if one["delay"] > 0:
            spans["touch"] = now - one["touch_ns"] // SECOND
        for suffix, span in spans.items():
            if span > 254 or (now - span) * SECOND < self.since:
                continue
            self.barrier_window(found, suffix, now - span, zone, side, depth)
            self.tape_volume(found, suffix, now - span, band, one)
            self.tape_motion(found, suffix, now, span, one)
            self.imbalance(found, suffix, now - span, one["direction"])
        return found

    def barrier_now(self, found, zone, side) -> float:
        limit = self.limit(side)
        visible = [price for price in zone if self.seen(price, side, limit)]
        found["barrier_visible_frac"] = len(visible) / len(zone)
        if not visible:
            return NAN
        there = [self.books[side].get(price, (0, 0)) for price in visible]
        depth, orders = sum(size for size, _ in there), sum(n for _, n in there)
        found["barrier_depth"], found["barrier_orders"] = depth, orders
        found["barrier_order_size"] = ratio(depth, orders)
        best = self.best(side)
        away = [] if best is None else [
            price - best if side == "A" else best - price for price in visible
        ]  # fmt: skip
        away = [distance for distance in away if distance >= 0]
        found["barrier_density"] = ratio(depth, len(away))
        usual = [self.once("baseline", distance, len(self.samples)) for distance in away]
        if len(self.samples) >= 30:
            found["barrier_wall_ratio"] = ratio(depth, sum(u for u in usual if not math.isnan(u)))
        return depth

    def quotes(self, found, direction) -> None:
        bid, ask = self.best("B"), self.best("A")
        if bid is None or ask is None or bid >= ask:
            return
        b, a = self.books["B"][bid][0], self.books["A"][ask][0]
        found["queue_pressure"] = direction * (b - a) / (b + a)
        found["spread_ticks"] = ask - bid
        micro = (bid * a + ask * b) / (a + b) - (bid + ask) / 2
        found["microprice_ticks"] = direction * micro

    def barrier_window(self, found, suffix, first, zone, side, depth) -> None:
        views = [self.views[s][side] for s in self.active if s >= first] + [self.limit(side)]
        if not any(self.seen(price, side, view) for view in views for price in zone):
            return
        a, c, f = (
            sum(abs(q) for s, which, price, cause, q, _ in self.flows
                if cause == kind and which == side and price in zone and s >= first)
            for kind in (Cause.ADD, Cause.CANCEL, Cause.FILL)
        )  # fmt: skip
        keys, net, went = self.settings, a - c - f, c + f
        values = {
            "added": a, "canceled": c, "filled": f, "net": net, "churn": a + went,
            "replenishment": ratio(a, went), "net_pull": ratio(c - a, depth),
            "cancel_share": ratio(c, a + went), "fill_share": ratio(f, went),
            "confidence": min(1.0, (a + went) / (5 * keys.flow_min_contracts)),
        }  # fmt: skip
        flow, times = keys.flow_min_contracts, a / went if went else math.inf * a if a else NAN
        if not math.isnan(depth):
            if times < keys.vacuum_ratio and net < -flow and c > f:
                state = 1
            elif times > keys.wall_ratio and net > flow:
                state = 2
            elif net < -flow and f >= c:
                state = 4
            elif net > 0:
                state = 3
            elif depth < keys.weak_contracts:
                state = 5
            else:
                state = 3 if abs(net) < flow / 2 and a + went > flow else 6
            values["state"] = state
        found.update({f"barrier_{name}_{suffix}": value for name, value in values.items()})

    def tape_volume(self, found, suffix, first, band, one) -> None:
        inside = [t for t in self.trades if t[0] // SECOND >= first and t[3] and t[1] in band]
        buy = sum(t[2] for t in inside if t[3] > 0)
        sell = sum(t[2] for t in inside if t[3] < 0)
        up = one["direction"] > 0
        through = sum(t[2] for t in inside if (t[1] > one["high"] if up else t[1] < one["low"]))
        values = {
            "buy_volume": buy, "sell_volume": sell, "imbalance": ratio(buy - sell, buy + sell),
            "pressure": one["direction"] * ratio(buy - sell, buy + sell),
            "trade_size": ratio(buy + sell, len(inside)), "through_volume": through,
        }  # fmt: skip
        if self.large_since() <= first:
            values["large_share"] = ratio(sum(t[2] for t in inside if t[4]), buy + sell)
        if self.usual_since() <= first:
            sweeps = [
                (side, size)
                for last, side, low, high, size in self.bursts()
                if last >= first and low <= band[-1] and high >= band[0]
            ]
            values["sweeps"] = len(sweeps)
            values["sweep_multiple"] = max((size for _, size in sweeps), default=NAN)
            values["sweep_pressure"] = one["direction"] * sum(s * size for s, size in sweeps)
        found.update({f"tape_{name}_{suffix}": value for name, value in values.items()})

    def bursts(self):
        groups: list[list] = []
        for trade in (t for t in self.trades if t[3]):
            last = groups[-1][-1] if groups else None
            gap = self.settings.sweep_gap_ms * 1_000_000
            if last and last[3] == trade[3] and trade[0] - last[0] <= gap:
                groups[-1].append(trade)
            else:
                groups.append([trade])
        for group in groups:
            size, prices = sum(t[2] for t in group), [t[1] for t in group]
            if len(group) < 2 or size < self.settings.sweep_multiple:
                continue
            usual = self.once("usual", group[0][0] // SECOND)
            if size >= self.settings.sweep_multiple * usual:
                yield group[-1][0] // SECOND, group[0][3], min(prices), max(prices), size / usual

    def tape_motion(self, found, suffix, now, span, one) -> None:
        def among(newest, oldest):
            return [
                (t[0] // 1000, t[1])
                for t in self.trades
                if newest <= now - t[0] // SECOND <= oldest
            ]

        whole, half = among(0, span), span // 2
        found[f"tape_velocity_{suffix}"] = slope(whole)
        found[f"tape_advance_{suffix}"] = one["direction"] * slope(whole)
        change = slope(among(0, half)) - slope(among(half + 1, span))
        found[f"tape_acceleration_{suffix}"] = one["direction"] * change
        length = (one["decision_ns"] - (now - span) * SECOND) / SECOND
        found[f"tape_trade_rate_{suffix}"] = len(whole) / length

    def imbalance(self, found, suffix, first, direction) -> None:
        for ticks in (1, 5, 10):
            usual = sum(
                self.once("baseline", distance, len(self.samples)) for distance in range(ticks)
            )
            if (self.limited and self.levels < ticks) or len(self.samples) < 30:
                continue
            flow = sum(
                signed if side == "B" else -signed
                for second, side, _, _, signed, away in self.flows
                if second >= first and away < ticks
            )
            found[f"ofi_{ticks}_{suffix}"] = direction * ratio(flow, usual)
