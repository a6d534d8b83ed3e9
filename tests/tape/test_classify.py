from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tape.made import made_tape
from tape.reference import slow_side
from tapemill.errors import ConfigError, ContractError
from tapemill.tape import Classified, Quotes, Rules, Rung, TapeState, Trades, classify, rules
from tapemill.tape import _ladder as ladder

METHODS = ("ladder", "lee_ready", "quote", "tick", "emo", "clnv")
RULES = st.builds(
    Rules,
    method=st.sampled_from(METHODS),
    inclusive=st.booleans(),
    lag_ns=st.sampled_from([0, 1, 7]),
    max_quote_age_ns=st.sampled_from([0, 3]),
    through=st.sampled_from(["quote", "tick"]),
    retail=st.sampled_from(["subpenny", "midpoint"]),
)
OUTPUTS = ("side", "rung", "retail", "bid", "ask")


def outputs(made: Classified) -> list[bytes]:
    return [getattr(made, name).tobytes() for name in OUTPUTS]


def sides(prices: list[float], *, method: str = "tick", **flags: list[bool]) -> list[int]:
    trades = Trades.of(range(len(prices)), prices, [100] * len(prices), **flags)
    return classify(trades, Quotes.none(), method=method).side.tolist()


def against(price: float, bid: float, ask: float, **options: object) -> tuple[int, Rung]:
    """A print after one at 10.00 and then this quote."""
    trades = Trades.of([1, 10], [10.00, price], [100, 100])
    made = classify(trades, Quotes.of([5], [bid], [ask]), rules=Rules(**options))
    return int(made.side[1]), Rung(int(made.rung[1]))


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        (10.06, (1, Rung.QUOTE)),
        (10.05, (1, Rung.QUOTE)),
        (10.03, (1, Rung.MIDPOINT)),
        (10.025, (1, Rung.TICK)),
        (10.02, (-1, Rung.MIDPOINT)),
        (10.00, (-1, Rung.QUOTE)),
        (9.99, (-1, Rung.QUOTE)),
    ],
)
def test_ladder_rung_by_rung(price: float, expected: tuple[int, Rung]) -> None:
    assert against(price, 10.00, 10.05) == expected


@pytest.mark.parametrize(
    ("bid", "ask", "rung"),
    [
        (10.02, 10.02, Rung.TICK_LOCKED),
        (10.03, 10.02, Rung.TICK_CROSSED),
        (0.0, 10.02, Rung.TICK_NO_QUOTE),
        (10.02, 0.0, Rung.TICK_NO_QUOTE),
        (0.0, 0.0, Rung.TICK_NO_QUOTE),
    ],
)
def test_no_open_market_falls_to_the_tick_rule(bid: float, ask: float, rung: Rung) -> None:
    assert against(10.02, bid, ask) == (1, rung)
    assert against(9.98, bid, ask) == (-1, rung)


def test_emo_and_clnv_use_the_tick_rule_where_they_say() -> None:
    for price in (10.01, 10.09):  # rises against the print at 10.00
        assert against(price, 10.00, 10.10, method="emo") == (1, Rung.TICK)
    assert against(10.10, 10.00, 10.10, method="emo") == (1, Rung.QUOTE)
    assert against(10.00, 10.00, 10.10, method="emo") == (-1, Rung.QUOTE)
    assert against(10.03, 10.00, 10.10, method="clnv") == (-1, Rung.MIDPOINT)
    assert against(10.031, 10.00, 10.10, method="clnv") == (1, Rung.TICK)
    assert against(10.07, 10.00, 10.10, method="clnv") == (1, Rung.MIDPOINT)
    assert against(10.11, 10.00, 10.10, method="clnv") == (1, Rung.TICK_THROUGH)


def test_prints_outside_the_quote_by_choice() -> None:
    assert against(10.01, 10.02, 10.05) == (-1, Rung.QUOTE)
    assert against(10.01, 10.02, 10.05, through="tick") == (1, Rung.TICK_THROUGH)
    # Nothing to compare with: the quote still speaks.
    trades = Trades.of([10], [10.01], [1])
    made = classify(trades, Quotes.of([5], [10.02], [10.05]), rules=Rules(through="tick"))
    assert (made.side[0], made.rung[0]) == (-1, Rung.QUOTE)


def test_zero_ticks_carry_the_last_direction() -> None:
    assert sides([10, 10.01, 10.01, 10.01, 10.0, 10.0]) == [0, 1, 1, 1, -1, -1]


def test_tick_chains_of_exchanges_and_trf_are_apart_in_the_ladder_only() -> None:
    prices = [10.00, 9.90, 10.01, 9.91]
    trf = [False, True, False, True]
    assert sides(prices, method="ladder", trf=trf) == [0, 0, 1, 1]
    assert sides(prices, method="lee_ready", trf=trf) == [0, -1, 1, -1]


def test_ineligible_prints_move_nothing_and_auctions_only_the_price() -> None:
    prices = [10.00, 99.0, 10.01]
    assert sides(prices, eligible=[True, False, True]) == [0, 0, 1]
    assert sides(prices, auction=[False, True, False]) == [0, 0, -1]


def test_session_start_forgets_price_and_quote() -> None:
    trades = Trades.of([1, 2, 100, 101], [10.0, 10.01, 10.01, 10.02], [1] * 4)
    quotes = Quotes.of([0], [10.0], [10.02])
    made = classify(trades, quotes, session_starts=[50])
    assert made.side.tolist() == [-1, 1, 0, 1]
    assert made.rung.tolist() == [Rung.QUOTE, Rung.TICK, Rung.UNKNOWN, Rung.TICK_NO_QUOTE]
    assert made.bid.tolist() == [10.0, 10.0, 0.0, 0.0]


def test_missing_quote_does_not_flip_the_day() -> None:
    trades, quotes = made_tape(3)
    whole = classify(trades, quotes)
    holed = Quotes.of(quotes.ts, np.where(np.arange(len(quotes)) == 80, 0, quotes.bid), quotes.ask)
    changed = classify(trades, holed).rung != whole.rung
    until = quotes.ts[81]
    assert (trades.ts[changed] <= until).all() and (trades.ts[changed] > quotes.ts[79]).all()
    assert (whole.rung == Rung.QUOTE).sum() > 20


def test_own_nanosecond_counts_only_when_asked() -> None:
    trades, quotes = Trades.of([5], [10.05], [1]), Quotes.of([4, 5], [10.0, 10.05], [10.05, 10.1])
    assert classify(trades, quotes).side.tolist() == [1]
    assert classify(trades, quotes, rules=Rules(inclusive=True)).side.tolist() == [-1]
    assert classify(trades, quotes, rules=Rules(lag_ns=2)).rung.tolist() == [Rung.UNKNOWN]


@pytest.mark.parametrize(
    ("price", "side"),
    [
        (10.0, 0), (10.0001, -1), (10.0039, -1), (10.004, 0), (10.005, 0), (10.006, 0),
        (10.0061, 1), (10.0099, 1), (0.5012, 0), (95.6096, 1), (1234.5601, -1),
        (8.29, 0), (1.13, 0), (4.35, 0), (700000.01, 0),
    ],
)  # fmt: skip
def test_fraction_of_a_cent_marks_retail_trf_prints(price: float, side: int) -> None:
    for trf in (True, False):
        trades = Trades.of([1], [price], [10], trf=[trf])
        assert classify(trades, Quotes.none()).retail.tolist() == [side if trf else 0]


def test_retail_side_by_midpoint_is_silent_in_the_middle_fifth() -> None:
    prices = [10.0001, 10.0399, 10.0441, 10.0561, 10.0601, 10.0999, 10.05]
    trades = Trades.of([2] * 7, prices, [1] * 7, trf=[True] * 7)
    made = classify(trades, Quotes.of([1], [10.0], [10.1]), rules=Rules(retail="midpoint"))
    # 10.0601 has the fraction of a sale, but was printed above the midpoint.
    assert made.retail.tolist() == [-1, -1, 0, 0, 1, 1, 0]
    none = classify(trades, Quotes.none(), rules=Rules(retail="midpoint"))
    assert not none.retail.any()


@pytest.mark.property
@given(st.integers(0, 10_000), RULES, st.lists(st.integers(0, 90), max_size=2, unique=True))
def test_equals_a_slow_search_of_the_past(seed: int, options: Rules, starts: list[int]) -> None:
    trades, quotes = made_tape(seed, 60, 80)
    starts = sorted(starts)
    made = classify(trades, quotes, rules=options, session_starts=starts)
    expected = [slow_side(i, trades, quotes, options, starts) for i in range(len(trades))]
    assert list(zip(made.side.tolist(), made.rung.tolist(), strict=True)) == expected


@pytest.mark.property
@given(
    st.integers(0, 10_000),
    RULES,
    st.lists(st.integers(0, 91), max_size=5),
    st.lists(st.integers(0, 90), max_size=2, unique=True),
)
def test_any_cut_in_time_gives_the_same_bits(
    seed: int, options: Rules, cuts: list[int], starts: list[int]
) -> None:
    trades, quotes = made_tape(seed)
    starts = sorted(starts)
    whole = classify(trades, quotes, rules=options, session_starts=starts)
    state: TapeState | None = None
    parts = []
    for low, high in itertools.pairwise([-1, *sorted(cuts), 1000]):
        rows = [int(np.searchsorted(c, k)) for c in (trades.ts, quotes.ts) for k in (low, high)]
        part = classify(
            trades.between(rows[0], rows[1]),
            quotes.between(rows[2], rows[3]),
            rules=options,
            session_starts=starts,
            state=state,
        )
        state = part.state
        parts.append(part)
    for name in OUTPUTS:
        joined = np.concatenate([getattr(part, name) for part in parts])
        assert joined.tobytes() == getattr(whole, name).tobytes(), name


@pytest.mark.property
@given(st.integers(0, 10_000), RULES, st.integers(0, 90))
def test_later_prints_and_quotes_change_nothing_earlier(
    seed: int, options: Rules, moment: int
) -> None:
    trades, quotes = made_tape(seed)
    rng = np.random.default_rng(seed + 1)
    t, q = (int(np.searchsorted(c, moment, "right")) for c in (trades.ts, quotes.ts))
    mixed_t = np.r_[np.arange(t), t + rng.permutation(len(trades) - t)]
    mixed_q = np.r_[np.arange(q), q + rng.permutation(len(quotes) - q)]
    later = Trades(
        trades.ts,
        trades.price[mixed_t],
        trades.size[mixed_t],
        trades.trf[mixed_t],
        trades.eligible[mixed_t],
        trades.auction[mixed_t],
    )
    moved = Quotes.of(quotes.ts, quotes.bid[mixed_q], quotes.ask[mixed_q])
    whole = classify(trades, quotes, rules=options)
    scrambled = classify(later, moved, rules=options)
    for name in OUTPUTS:
        assert getattr(scrambled, name)[:t].tobytes() == getattr(whole, name)[:t].tobytes()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("through", ["quote", "tick"])
def test_interpreted_equals_compiled(
    method: str, through: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Rules(method=method, through=through, retail="midpoint")  # type: ignore[arg-type]
    trades, quotes = made_tape(5)
    compiled = classify(trades, quotes, rules=options, session_starts=[40])
    for name in ("run_ladder", "quote_kind", "quote_side", "retail_side", "subpenny_side"):
        monkeypatch.setattr(ladder, name, getattr(ladder, name).py_func)
    interpreted = classify(trades, quotes, rules=options, session_starts=[40])
    assert outputs(interpreted) == outputs(compiled)


def test_coverage_names_every_rung_and_adds_up() -> None:
    trades, quotes = made_tape(7)
    covered = classify(trades, quotes).coverage(trades.size)
    assert set(covered) == set(Rung)
    assert sum(count for count, _ in covered.values()) == len(trades)
    assert sum(shares for _, shares in covered.values()) == trades.size.sum()


def test_chunk_that_reaches_back_is_refused() -> None:
    first = classify(Trades.of([10], [1.0], [1]), Quotes.of([12], [1.0], [1.1]))
    with pytest.raises(ContractError, match="already read to 12"):
        classify(Trades.of([11], [1.0], [1]), Quotes.none(), state=first.state)
    inclusive = Rules(inclusive=True)
    with pytest.raises(ContractError, match="already read"):
        classify(
            Trades.of([], [], []), Quotes.of([12], [1], [2]), rules=inclusive, state=first.state
        )


def test_a_state_is_not_changed_by_its_use() -> None:
    trades, quotes = made_tape(9)
    state = classify(trades.between(0, 50), quotes.between(0, 0)).state
    once = classify(trades.between(50, 120), Quotes.none(), state=state)
    again = classify(trades.between(50, 120), Quotes.none(), state=state)
    assert outputs(once) == outputs(again)


def test_rules_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(ConfigError, match="'lee'"):
        Rules(method="lee")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="below zero"):
        Rules(lag_ns=-1)
    with pytest.raises(ContractError, match="ascend"):
        classify(Trades.of([], [], []), Quotes.none(), session_starts=[2, 1])


def test_method_outweighs_the_one_in_the_rules() -> None:
    trades, quotes = made_tape(6)
    short = classify(trades, quotes, method="emo", rules=Rules(lag_ns=1))
    assert outputs(short) == outputs(classify(trades, quotes, rules=Rules(method="emo", lag_ns=1)))


def test_digest_names_options() -> None:
    digests = {rules.classifier_digest(Rules(method=m)) for m in METHODS}  # type: ignore[arg-type]
    assert len(digests) == len(METHODS)
    assert rules.classifier_digest(Rules()) in digests


def test_kernel_numbers_are_those_of_the_declarations() -> None:
    codes = [Rules(method=m).code for m in METHODS]  # type: ignore[arg-type]
    kernel = [ladder._LADDER, ladder._LEE_READY, ladder._QUOTE, ladder._TICK, ladder._EMO]
    assert codes == [*kernel, ladder._CLNV]
    assert [
        ladder._BY_QUOTE, ladder._BY_MIDPOINT, ladder._BY_TICK, ladder._BY_TICK_LOCKED,
        ladder._BY_TICK_CROSSED, ladder._BY_TICK_NO_QUOTE, ladder._AUCTION, ladder._INELIGIBLE,
        ladder._BY_TICK_THROUGH,
    ] == [
        Rung.QUOTE, Rung.MIDPOINT, Rung.TICK, Rung.TICK_LOCKED, Rung.TICK_CROSSED,
        Rung.TICK_NO_QUOTE, Rung.AUCTION, Rung.INELIGIBLE, Rung.TICK_THROUGH,
    ]  # fmt: skip
