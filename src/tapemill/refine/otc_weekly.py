"""Weekly off-exchange volume: one fact per symbol, week and class of venue, however it was told.

FINRA tells the same volume twice, as a total per symbol and again per venue or firm. The total
wins; rows of firms give the number of firms and how concentrated they are, and stand in for the
total where it is missing. They are never added to it.

A row is dated by its publication, so versions follow the vendor's own stamps: a week restated on
29 July is restated from that evening on, whenever the file reached us. Only what a later answer
brings against its stamp, a value that an answer received after that stamp did not hold, counts from
its arrival.
"""

from __future__ import annotations

import polars as pl

from tapemill.clock import known_at_expr
from tapemill.contracts import contract
from tapemill.refine.symbology import massive_symbol
from tapemill.refine.versions import lane_rank, resolve_versions

__all__ = ["otc_weekly"]

_FACT = ("symbol", "week_start", "venue_class")
_TELLING = (*_FACT, "of_firm", "otc_equity", "firm")
_VALUES = ("shares", "trades", "notional")
_ABOUT = ("week_start", "venue_class", "of_firm", "tier", "source")
_FILES = "finra.file"
_ONE_LISTING = pl.duration(hours=1)
"""Pages of one listing lie closer together."""
_RESTATED = (
    "issue_name",
    "tier",
    "week_inferred",
    "shares",
    "trades",
    "notional",
    "firms",
    "venue_concentration",
    "from_firm_rows",
)


def otc_weekly(bronze: pl.DataFrame) -> pl.DataFrame:
    """Refine weekly volumes of whole weeks.

    Parameters
    ----------
    bronze : pl.DataFrame
        Rows of ``bronze.finra_otc_weekly``, complete for their weeks.

    Returns
    -------
    pl.DataFrame
        Rows of ``silver.otc_weekly``, symbols in the house's spelling. ``venue_concentration`` is
        the sum of squared shares of the firms' volumes (Herfindahl), null without rows of firms.
    """
    declared = contract("silver.otc_weekly")
    if bronze.is_empty():
        return declared.empty()
    of_firm = pl.col("summary_type").str.ends_with("_FIRM")
    rows = bronze.with_columns(
        symbol=massive_symbol(pl.col("symbol"), "any"),
        venue_class=pl.when(pl.col("summary_type").str.starts_with("ATS"))
        .then(pl.lit("ats"))
        .otherwise(pl.lit("non_ats")),
        of_firm=of_firm,
        firm=pl.when(of_firm)
        .then(pl.coalesce("mpid", "firm_crd", "participant_name", pl.lit("")))
        .otherwise(pl.lit("")),
        # A symbol that moved to an exchange within the week has a row in each market.
        otc_equity=pl.col("tier") == "OTC",
        published=known_at_expr("otc_publication"),
    )
    spoken = _newest_publications(_dated(rows))
    told = resolve_versions(spoken, key=_TELLING, group=_TELLING, values=_VALUES)
    told = told.with_columns(source="lane")
    versions = _numbered(_stood(told)).with_columns(year=pl.col("week_start").dt.year())
    return declared.conform(versions.select(declared.schema.names()).sort(*declared.order))


def _dated(rows: pl.DataFrame) -> pl.DataFrame:
    """Give each row the moment from which it counts, as `rule_known_at` and `ts_recv`."""
    place = [*_TELLING, "source"]
    rows = rows.sort(*place, "ts_recv", "raw_sha256", "ordinal").with_columns(
        _before=pl.col("ts_recv").shift(1).over(place),
        _same=pl.col("published").shift(1).over(place) == pl.col("published"),
    )
    rows = rows.with_columns(_before=pl.when(pl.col("_before") < pl.col("ts_recv")).then("_before"))
    # Files may be of any age: when they came says nothing of what had been published before.
    from_file = pl.col("source").str.starts_with(_FILES)
    earlier = (
        pl.when(from_file)
        .then(pl.when(pl.col("_same")).then("_before"))
        .otherwise(pl.coalesce("_before", "_held_without"))
    )
    late = (pl.col("published") <= earlier).fill_null(value=False)
    moment = pl.when(late).then(pl.max_horizontal("published", "ts_recv")).otherwise("published")
    dated = _held_without(rows).with_columns(rule_known_at=moment, arrived="ts_recv")
    return dated.with_columns(ts_recv="rule_known_at").drop("_before", "_same", "_held_without")


def _held_without(rows: pl.DataFrame) -> pl.DataFrame:
    """Add `_held_without`: when most of the list was here that lacked the row; null if none was.

    Only an answer that repeats what came before is a second one about the same thing, and only the
    better part of a list, not a question about one symbol, tells by its silence.
    """
    answer = [*_ABOUT, "raw_sha256", "ts_recv"]
    second = (
        rows.filter(pl.col("_before").is_not_null())
        .select(answer)
        .unique()
        .with_columns(_second=pl.lit(value=True))
    )
    arrivals = rows.group_by(*_ABOUT, "symbol", "firm").agg(pl.col("ts_recv").min())
    most = arrivals.group_by(_ABOUT).agg(_most=pl.col("ts_recv").median())
    late = pl.col("_second") & (pl.col("ts_recv") > pl.col("_most") + _ONE_LISTING)
    return (
        rows.join(second, on=answer, how="left")
        .join(most, on=_ABOUT, how="left")
        .with_columns(_held_without=pl.when(late).then("_most"))
        .drop("_second", "_most")
    )


def _newest_publications(rows: pl.DataFrame) -> pl.DataFrame:
    """One row a moment, and none of an older publication after a newer one has spoken."""
    ordered = (
        rows.with_columns(lane_rank())
        .sort(
            *_TELLING,
            "ts_recv",
            "published",
            "arrived",
            "lane_rank",
            "raw_sha256",
            "ordinal",
            descending=[False] * (len(_TELLING) + 3) + [True, False, False],
        )
        .filter(pl.col("published") >= pl.col("published").cum_max().over(_TELLING))
        .unique([*_TELLING, "ts_recv"], keep="last", maintain_order=True)
    )
    # All lanes carry the words of one house; its stamps decide, not who brought them.
    return ordered.drop("lane_rank").with_columns(lane="source", source=pl.lit("finra"))


def _stood(told: pl.DataFrame) -> pl.DataFrame:
    """What was the case at each moment at which something was told of a fact."""
    moments = told.select(*_FACT, moment="known_at").unique()
    began = pl.col("known_at") <= pl.col("moment")
    lasts = (pl.col("superseded_at") > pl.col("moment")).fill_null(value=True)
    alive = told.join(moments, on=_FACT).filter(began & lasts)
    by_firm = pl.col("of_firm")
    total_known = (~by_firm).any().over(*_FACT, "moment")
    counts = by_firm != total_known
    shares = pl.col("shares").cast(pl.Float64)
    firm_shares = shares.filter(by_firm)
    newest = alive.sort(
        *_FACT,
        "moment",
        "known_at",
        "raw_sha256",
        "ordinal",
        descending=[False] * 4 + [True, False, False],
    ).with_columns(counts=counts)
    chosen = pl.col("counts")
    return newest.group_by(*_FACT, "moment", maintain_order=True).agg(
        *(pl.col(name).filter(chosen).first() for name in ("issue_name", "source", "raw_sha256")),
        pl.col("ordinal").filter(chosen).first(),
        # T1 before T2 before OTC, where there are rows of two.
        tier=pl.col("tier").filter(chosen).replace({"OTC": "T3"}).min().replace({"T3": "OTC"}),
        week_inferred=pl.col("week_inferred").filter(chosen).any(),
        shares=pl.col("shares").filter(chosen).sum(),
        trades=_sum_if_all("trades", chosen),
        notional=_sum_if_all("notional", chosen),
        firms=pl.col("firm").filter(by_firm).n_unique().cast(pl.Int32),
        venue_concentration=pl.when(firm_shares.sum() > 0).then(
            (firm_shares**2).sum() / firm_shares.sum() ** 2
        ),
        from_firm_rows=~(~by_firm).any(),
        initial_published_date=pl.col("initial_published_date").filter(chosen).min(),
        last_update_date=pl.col("last_update_date").filter(chosen).max(),
    )


def _sum_if_all(name: str, chosen: pl.Expr) -> pl.Expr:
    """A sum of which a part is unknown is unknown."""
    part = pl.col(name).filter(chosen)
    return pl.when(part.null_count() == 0).then(part.sum()).alias(name)


def _numbered(stood: pl.DataFrame) -> pl.DataFrame:
    """Versions of each fact: moments at which something changed."""
    ordered = stood.sort(*_FACT, "moment")
    changed = pl.any_horizontal(
        pl.col(name).ne_missing(pl.col(name).shift(1).over(_FACT)) for name in _RESTATED
    )
    first = pl.col("moment") == pl.col("moment").min().over(_FACT)
    kept = ordered.filter(changed | first)
    return kept.with_columns(
        version=pl.int_range(1, pl.len() + 1, dtype=pl.Int16).over(_FACT),
        known_at=pl.col("moment"),
        superseded_at=pl.col("moment").shift(-1).over(_FACT),
    )
