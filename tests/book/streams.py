"""Order streams for the tests of the book: real files, random orders, ladders in bulk."""

from __future__ import annotations

import io
import itertools
import struct
from pathlib import Path

import numpy as np
import zstandard
from numba import njit

from tapemill.book.records import MBO, MBP_1, MBP_10, UNDEFINED

TICK = 250_000_000
A, B, C, F, M, N, R, T = (ord(code) for code in "ABCFMNRT")
LAST, SNAPSHOT = 128, 32
ES_MBO = "databento/es-real/esh4-20231225-a.mbo.dbn.zst"
ES_MBP_10 = "databento/es-derived/esh4-20231225-a.mbp-10.dbn.zst"
ES_MBP_1 = "databento/es-real/futures_mbp-1_2024-07-01T23-58_2024-07-02T00-02.dbn.zst"


def read_real(path: Path, layout: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Records of a one-schema DBN file, straight from its bytes, and their ordinals."""
    with path.open("rb") as source:
        data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(source.read())).read()
    assert data[:3] == b"DBN"
    header = 8 + struct.unpack("<I", data[4:8])[0]
    records = np.frombuffer(data[header:], layout)
    return records, np.arange(records.size)


def in_chunks(book, records, cuts):
    """Apply in chunks that end at `cuts`; return all columns joined, first_change made global."""
    events, changes, total = [], [], 0
    for start, stop in itertools.pairwise([0, *sorted(cuts), records.size]):
        e, c = book.apply(records[start:stop], np.arange(start, stop))
        events.append([*e[:-1], e.first_change[:-1] + total])
        total += c.side.size
        changes.append(c)
    joined = [np.concatenate(column) for column in zip(*events, strict=True)]
    return joined, [np.concatenate(column) for column in zip(*changes, strict=True)]


def same(one, other):
    """Hold columns to be equal to the bit."""
    for ours, theirs in zip(one, other, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def matches(records, ladders):
    """Ladder record of each order record, −1 where there is none: both files in one order."""
    found = np.full(records.size, -1)
    names = ("sequence", "ts_event", "action", "side", "price", "size", "flags")
    rows = list(zip(*(ladders[name].tolist() for name in names), strict=True))
    at = 0
    for i, row in enumerate(zip(*(records[name].tolist() for name in names), strict=True)):
        if at < len(rows) and row == rows[at]:
            found[i] = at
            at += 1
    assert at == ladders.size
    return found


def random_orders(seed: int, n: int) -> np.ndarray:
    """MBO records of an odd market: auctions, sweeps, icebergs, far prices, doubled ids, clears."""
    rng = np.random.default_rng(seed)
    live: dict[int, list[int]] = {}
    rows: list[tuple] = []
    clock, next_id, middle = 1_000_000, 1, 20_000

    def put(action, side, price, size, order, flags=LAST):
        rows.append((action, side, price, size, order, flags, clock))

    def draw_price(side):
        away = int(rng.geometric(0.3))
        if rng.random() < 0.02:
            away += int(rng.integers(1 << 17, 1 << 18))  # far from the dense middle
        return middle - away if side == B else middle + away

    def add(flags=LAST):
        nonlocal next_id
        side = (A, B)[int(rng.integers(2))]
        order = int(rng.choice(list(live))) if live and rng.random() < 0.01 else next_id
        next_id += int(rng.integers(1, 5))
        price, size = draw_price(side), int(rng.integers(1, 20))
        live[order] = [side, price, size]
        put(A, side, price, size, order, flags)

    def trade():
        resting = (A, B)[int(rng.integers(2))]
        hit = [(o, r) for o, r in live.items() if r[0] == resting]
        hit.sort(key=lambda item: (item[1][1] if resting == A else -item[1][1], item[0]))
        auction = rng.random() < 0.1
        for order, (side, price, size) in hit[: int(rng.integers(1, 4))]:
            # An iceberg trades more than it shows.
            took = int(rng.integers(1, (size if rng.random() < 0.8 else 3 * size) + 1))
            put(T, N if auction else (A if side == B else B), price, took, 0, 0)
            put(F, N if auction else side, price, took, order, 0)
            if took >= size and rng.random() < 0.7:
                put(C, side, price, size, order, 0)
                del live[order]
            else:  # what is left, or an iceberg that refills itself
                rest = size - took if took < size else int(rng.integers(1, 2 * size + 1))
                put(M, side, price, rest, order, 0)
                live[order][2] = rest
        rows[-1] = (*rows[-1][:5], LAST, clock)

    for _ in range(6):
        add(SNAPSHOT | 8)
    while len(rows) < n:
        clock += int(rng.integers(0, 3))
        middle += int(rng.integers(-1, 2)) if rng.random() < 0.2 else 0
        what = rng.random()
        if what < 0.4 or not live:
            add()
        elif what < 0.85:
            order = int(rng.choice(list(live)))
            side, price, size = live[order]
            if what < 0.6:
                part = size if rng.random() < 0.8 else int(rng.integers(1, size + 1))
                put(C, side, price, part, order)
                live[order][2] -= part
                if live[order][2] == 0:
                    del live[order]
            else:
                move = rng.random() < 0.6
                live[order] = [side, draw_price(side) if move else price, int(rng.integers(1, 20))]
                put(M, *live[order], order)
        elif what < 0.97:
            trade()
        elif what < 0.99:
            put(int(rng.choice([C, M, F])), A, middle, 1, 10**12 + len(rows))  # nobody's order
            put(N, N, None, 0, 0)
        elif what < 0.992:
            put(R, N, None, 0, 0)
            live.clear()
    return _records(rows[:n])


def _records(rows: list[tuple]) -> np.ndarray:
    records = np.zeros(len(rows), MBO)
    for k, (action, side, price, size, order, flags, clock) in enumerate(rows):
        record = records[k]
        record["action"], record["side"], record["size"] = action, side, size
        record["price"] = UNDEFINED if price is None else price * TICK
        record["order_id"], record["flags"], record["sequence"] = order, flags, k
        record["ts_event"], record["ts_recv"], record["channel_id"] = clock, clock + 7, 3
    return records


def ladder_records(mbo: np.ndarray, tops: list, levels: int) -> np.ndarray:
    """Ladder records of an order feed: one a record that changes the top, one a trade.

    `tops[k]` is (bids, asks) after record k, each a list of (price, size, orders), best first.
    """
    out = np.zeros(mbo.size, MBP_10 if levels == 10 else MBP_1)
    count, before = 0, ([], [])
    for k, record in enumerate(mbo):
        now = tuple(side[:levels] for side in tops[k])
        if now == before and record["action"] not in (T, R):
            continue
        before = now
        row = out[count]
        count += 1
        for name in ("price", "size", "action", "side", "flags", "ts_event", "ts_recv", "sequence"):
            row[name] = record[name]
        for name in ("bid_px", "ask_px"):
            row["levels"][name] = UNDEFINED
        for side, rows in zip(("bid", "ask"), now, strict=True):
            for level, (price, size, orders) in enumerate(rows):
                row["levels"][level][f"{side}_px"] = price * TICK
                row["levels"][level][f"{side}_sz"] = size
                row["levels"][level][f"{side}_ct"] = orders
                if price * TICK == record["price"]:
                    row["depth"] = level
    return out[:count]


@njit(cache=True)
def _fill_ladders(out, draws, sizes, orders, first, tick):
    """Walk a dense book: draws[i] = (what, side, level, size) in [0, 1)."""
    best = np.array([first, first + 1])
    clock = np.int64(10**18)
    i = 0
    while i < out.shape[0]:
        what, part = draws[i, 0], np.int64(draws[i, 1] < 0.5)
        sign = 1 if part else -1
        level = min(np.int64(-2.2 * np.log(draws[i, 2] + 1e-9)), 9)
        at = best[part] + sign * level
        size = 1 + np.int64(-3.0 * np.log(draws[i, 3] + 1e-9))
        clock += np.int64(1e6 * draws[i, 3]) + 1
        action = 65
        emits = 1
        if what < 0.49:
            # Now and then a better price is bid while the spread is open.
            if level == 0 and best[1] - best[0] > 1:
                at = best[part] - sign
                best[part] = at
            sizes[part, at] += size
            orders[part, at] += 1
        elif what < 0.97:
            action = 67
            if orders[part, at] <= 1 and level > 0:
                size = 0
            elif orders[part, at] <= 1:
                size = sizes[part, at]
            else:
                size = min(size, sizes[part, at] - orders[part, at] + 1)
            if size > 0:
                sizes[part, at] -= size
                orders[part, at] = 0 if sizes[part, at] == 0 else orders[part, at] - 1
        else:
            at = best[part]
            size = min(size, sizes[part, at])
            emits = 2
            action = 84
        for step in range(emits):
            if i == out.shape[0]:
                break
            if emits == 2 and step == 1:
                action = 67
                sizes[part, at] -= size
                gone = sizes[part, at] == 0
                orders[part, at] = 0 if gone else max(1, min(orders[part, at] - 1, sizes[part, at]))
            while sizes[part, best[part]] == 0:
                best[part] += sign
            record = out[i]
            record.price = at * tick
            record.size = size
            record.action = action
            record.side = (66 if part else 65) if action == 84 else (65 if part else 66)
            record.flags = 0 if action == 84 else 130
            record.depth = min(9, abs(at - best[part]))
            record.ts_event = clock
            record.ts_recv = clock + 100_000
            record.sequence = i
            for one in range(2):
                way = 1 if one else -1
                where = best[one]
                for k in range(10):
                    while sizes[one, where] == 0:
                        where += way
                    if one:
                        record.levels[k].ask_px = where * tick
                        record.levels[k].ask_sz = sizes[one, where]
                        record.levels[k].ask_ct = orders[one, where]
                    else:
                        record.levels[k].bid_px = where * tick
                        record.levels[k].bid_sz = sizes[one, where]
                        record.levels[k].bid_ct = orders[one, where]
                    where += way
            i += 1


def bulk_ladders(seed: int, n: int) -> np.ndarray:
    """Ten-level records of a busy future: 49 % adds, 48 % cancels, 3 % trades; 368 bytes each."""
    rng = np.random.default_rng(seed)
    out = np.zeros(n, MBP_10)
    sizes = rng.integers(20, 200, (2, 1 << 18)).astype(np.int64)
    orders = sizes // 3 + 1
    _fill_ladders(out, rng.random((n, 4)), sizes, orders, 1 << 17, TICK)
    return out
