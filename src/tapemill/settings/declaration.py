"""Every configuration key, declared once: name, type, bounds, default, unit, meaning.

The loader, the messages, ``tapemill config show`` and the reference page all read these classes.
A key that nobody reads is a defect: remove it here when its last reader goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

from tapemill.secrets import Secret

if TYPE_CHECKING:
    from tapemill.clock.injected import Clock

__all__ = [
    "BreakerSettings",
    "ChecksSettings",
    "ClockSettings",
    "DatabentoSettings",
    "FinraSettings",
    "FlowSettings",
    "LakeSettings",
    "LandingSettings",
    "LeaseSettings",
    "LevelsSettings",
    "LogsSettings",
    "MassiveSettings",
    "RetrySettings",
    "Settings",
]


def _about(
    description: str, unit: str = "", env: tuple[str, ...] = (), **bounds: int | float
) -> Meta:
    """Metadata of a key; `env` replaces the regular ``TAPEMILL_<SECTION>_<KEY>``."""
    options: dict[str, Any] = {"extra": {"unit": unit, "env": env}, **bounds}
    return Meta(description=description, **options)


class LakeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the tables lie."""

    location: Annotated[
        str, _about("Folder or object-store URL of the lake", env=("TAPEMILL_LAKE",))
    ] = "./lake"
    control_url: Annotated[
        str,
        _about("SQLAlchemy URL of the control state; empty: SQLite inside the lake's folder"),
    ] = ""
    storage_options: Annotated[
        dict[str, str],
        _about("Options of the object store; its keys belong in the environment"),
    ] = field(default_factory=dict)


class MassiveSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Massive (formerly Polygon.io) REST."""

    base_url: Annotated[str, _about("Address of the API; the sandbox's for rehearsals")] = (
        "https://api.massive.com"
    )
    api_key: Annotated[
        Secret | None,
        _about("API key", env=("MASSIVE_API_KEY", "POLYGON_API_KEY")),
    ] = None
    plan: Annotated[
        Literal["free", "starter", "developer", "advanced"],
        _about("Subscription; sets the defaults of the limits below"),
    ] = "free"
    calls_per_minute: Annotated[int, _about("Calls in any 60 s", "calls", ge=1)] = 5
    calls_per_day: Annotated[int, _about("Calls in any 24 h; 0: no limit", "calls", ge=0)] = 7200
    calls_per_session: Annotated[
        int, _about("Calls of one fetch command; 0: no limit", "calls", ge=0)
    ] = 0
    rate_margin_seconds: Annotated[
        float,
        _about("Added to each rate window, so that jitter on the wire cannot exceed it", "s", ge=0),
    ] = 1.5
    history_days: Annotated[
        int, _about("How far back the plan reaches, calendar days", "days", ge=1)
    ] = 730
    same_day: Annotated[bool, _about("Whether the plan serves today's bars")] = False
    feed_delay_minutes: Annotated[
        int, _about("Delay of the plan's data, part of known_at", "min", ge=0, le=1440)
    ] = 15
    timeout_seconds: Annotated[float, _about("Longest wait for one answer", "s", gt=0)] = 30.0
    connect_timeout_seconds: Annotated[float, _about("Longest wait to connect", "s", gt=0)] = 5.0
    max_in_flight: Annotated[int, _about("Calls under way at once", "calls", ge=1, le=256)] = 4


class FinraSettings(msgspec.Struct, frozen=True, kw_only=True):
    """FINRA daily short volume: CDN files and Query API."""

    cdn_url: Annotated[str, _about("Address of the daily files")] = "https://cdn.finra.org"
    api_url: Annotated[str, _about("Address of the Query API")] = "https://api.finra.org"
    token_url: Annotated[str, _about("Address that issues OAuth tokens")] = (
        "https://ews.fip.finra.org/fip/rest/ews/oauth2/access_token"  # noqa: S105
    )
    client_id: Annotated[
        Secret | None, _about("OAuth client; the public API needs none", env=("FINRA_CLIENT_ID",))
    ] = None
    client_secret: Annotated[
        Secret | None, _about("Secret of the OAuth client", env=("FINRA_CLIENT_SECRET",))
    ] = None
    calls_per_minute: Annotated[int, _about("Calls in any 60 s", "calls", ge=1)] = 60
    calls_per_day: Annotated[int, _about("Calls in any 24 h; 0: no limit", "calls", ge=0)] = 0
    calls_per_session: Annotated[
        int, _about("Calls of one fetch command; 0: no limit", "calls", ge=0)
    ] = 0
    rate_margin_seconds: Annotated[
        float,
        _about("Added to each rate window, so that jitter on the wire cannot exceed it", "s", ge=0),
    ] = 1.5
    timeout_seconds: Annotated[float, _about("Longest wait for one answer", "s", gt=0)] = 30.0
    connect_timeout_seconds: Annotated[float, _about("Longest wait to connect", "s", gt=0)] = 5.0
    max_in_flight: Annotated[int, _about("Calls under way at once", "calls", ge=1, le=256)] = 4


class DatabentoSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Databento's historical API, through the vendor's own client."""

    base_url: Annotated[str, _about("Address of the API; the sandbox's for rehearsals")] = (
        "https://hist.databento.com"
    )
    api_key: Annotated[Secret | None, _about("API key", env=("DATABENTO_API_KEY",))] = None
    timeout_seconds: Annotated[
        float, _about("Longest wait to connect, and between two parts of an answer", "s", gt=0)
    ] = 100.0
    calls_per_minute: Annotated[int, _about("Calls in any 60 s; 0: no limit", "calls", ge=0)] = 300
    max_cost_usd: Annotated[
        float,
        _about("One fetch command may cost so much at the vendor; 0: no limit", "USD", ge=0),
    ] = 10.0


class RetrySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts after a transient failure."""

    attempts: Annotated[int, _about("Calls spent on one request at most", "calls", ge=1)] = 6
    first_wait_seconds: Annotated[float, _about("Wait before the second attempt", "s", gt=0)] = 1.0
    longest_wait_seconds: Annotated[
        float, _about("Cap of the doubling wait, also of Retry-After", "s", gt=0)
    ] = 60.0


class BreakerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When a failing vendor is left alone."""

    window: Annotated[int, _about("Latest calls that are judged", "calls", ge=1)] = 50
    error_fraction: Annotated[
        float, _about("Pause above this share of failures", "fraction", gt=0, le=1)
    ] = 0.20
    consecutive: Annotated[int, _about("Pause after so many failures in a row", "calls", ge=1)] = 5
    first_probe_seconds: Annotated[float, _about("Pause before the first probe", "s", gt=0)] = 60.0
    longest_probe_seconds: Annotated[
        float, _about("Cap of the pause, which doubles", "s", gt=0)
    ] = 900.0


class LandingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How answers are gathered into commits of bronze."""

    batch_rows: Annotated[int, _about("Commit at so many rows", "rows", ge=1)] = 1000
    batch_seconds: Annotated[float, _about("Commit after so long", "s", gt=0)] = 1.0


class LeaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How several processes share one plan."""

    seconds: Annotated[float, _about("A silent owner loses its task after", "s", ge=1)] = 60.0


class ChecksSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of coverage and plausibility. Tier 1: symbols that trade in nearly every minute."""

    tier1_trades_per_minute: Annotated[
        float, _about("Median trades a minute from which a symbol is tier 1", "trades/min", gt=0)
    ] = 50.0
    tier1_coverage_min_frac: Annotated[
        float, _about("Least share of minutes present, tier 1", "fraction", ge=0, le=1)
    ] = 0.97
    tier2_coverage_min_frac: Annotated[
        float, _about("Least share of minutes present, tier 2", "fraction", ge=0, le=1)
    ] = 0.85
    tier1_longest_missing_run: Annotated[
        int, _about("Longest run of missing minutes, tier 1", "min", ge=0)
    ] = 5
    tier2_longest_missing_run: Annotated[
        int, _about("Longest run of missing minutes, tier 2", "min", ge=0)
    ] = 15
    vendor_incident_frac: Annotated[
        float,
        _about(
            "Share of tier 1 symbols missing the same minute that makes it the vendor's incident",
            "fraction",
            gt=0,
            le=1,
        ),
    ] = 0.02
    jump_mad_multiple: Annotated[
        float, _about("Suspect a price move beyond this many median deviations", "MAD", gt=0)
    ] = 12.0
    sentinels: Annotated[
        tuple[float, ...], _about("Prices that vendors write for a missing value", "USD")
    ] = (999.99, 9999.99, 99999.99, 999999.99)
    unit_change_ratio: Annotated[
        float, _about("Median of a column moved by this factor: its unit changed", "ratio", gt=1)
    ] = 1000.0


class FlowSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Off-exchange flow: baselines, who takes part in the scan, how old a week may be."""

    baseline_sessions: Annotated[
        int, _about("Sessions before an evening that make its baseline", "sessions", ge=15, le=252)
    ] = 60
    baseline_min_days: Annotated[
        int, _about("Least valid sessions in a baseline", "sessions", ge=5, le=252)
    ] = 15
    median_sessions: Annotated[int, _about("Window of median volumes", "sessions", ge=5, le=60)] = (
        20
    )
    min_price: Annotated[float, _about("Least price of a scanned name", "USD", ge=0)] = 3.0
    min_dollar_volume: Annotated[
        float, _about("Least median dollar volume, where prices are known", "USD", ge=0)
    ] = 5_000_000.0
    min_off_exchange_volume: Annotated[
        float, _about("Least median off-exchange volume, where prices are missing", "shares", ge=0)
    ] = 200_000.0
    min_presence_frac: Annotated[
        float, _about("Least share of baseline sessions with a row", "fraction", ge=0, le=1)
    ] = 0.95
    min_tape_volume: Annotated[
        float, _about("No imbalance under this classified volume", "shares", ge=0)
    ] = 10_000.0
    otc_expiry_t1_sessions: Annotated[
        int, _about("A Tier 1 week expires so long after it ended", "sessions", ge=1)
    ] = 20
    otc_expiry_t2_sessions: Annotated[
        int, _about("Any other week expires so long after it ended", "sessions", ge=1)
    ] = 30
    direction_weight: Annotated[
        float, _about("Weight of the tape's direction in the composite", "weight", ge=0)
    ] = 0.4
    pressure_weight: Annotated[
        float, _about("Weight of short-share pressure in the composite", "weight", ge=0)
    ] = 0.6
    pressure_label_z: Annotated[
        float,
        _about("Surprise (z) of the short share from which it is called pressure", "scales", gt=0),
    ] = 1.0
    label_enter: Annotated[float, _about("Score at which a label begins", "score", gt=0, le=1)] = (
        0.35
    )
    label_exit: Annotated[float, _about("Score at which it ends", "score", ge=0, le=1)] = 0.15
    divergence: Annotated[
        float, _about("Both beyond this, with opposite signs: divergent", "score", gt=0, le=1)
    ] = 0.25
    min_confidence: Annotated[
        float, _about("Below it the label is insufficient", "fraction", ge=0, le=1)
    ] = 0.5
    persistence_evenings: Annotated[
        int, _about("Evenings in a row that a new label must hold", "evenings", ge=1, le=5)
    ] = 1


class LevelsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Levels, approaches and outcomes. `sigma` is the volatility of one minute, in ticks."""

    sigma_minutes: Annotated[
        int, _about("Minutes behind the volatility (half life)", "min", ge=5, le=390)
    ] = 30
    approach_sigma: Annotated[
        float, _about("Approach band: price this near a zone has come to it", "sigma", gt=0)
    ] = 1.0
    approach_min_ticks: Annotated[int, _about("Least approach band", "ticks", ge=1)] = 2
    touch_sigma: Annotated[float, _about("Touch band around a zone", "sigma", ge=0)] = 0.1
    touch_min_ticks: Annotated[int, _about("Least touch band", "ticks", ge=0)] = 1
    leave_sigma: Annotated[
        float,
        _about("Leave band: price beyond it has left; wider than the approach", "sigma", gt=0),
    ] = 1.75
    leave_min_ticks: Annotated[int, _about("Least leave band", "ticks", ge=1)] = 4
    merge_sigma: Annotated[
        float, _about("Levels nearer than this stand in one zone", "sigma", ge=0)
    ] = 0.25
    merge_min_ticks: Annotated[int, _about("Least merging distance", "ticks", ge=0)] = 2
    attempt_gap_minutes: Annotated[
        int, _about("A later touch begins a new chain of attempts", "min", ge=1)
    ] = 15
    barrier_sigma: Annotated[
        float, _about("Half width of the price range watched in the book", "sigma", ge=0)
    ] = 0.5
    barrier_min_ticks: Annotated[int, _about("Least half width of it", "ticks", ge=1)] = 8
    tape_sigma: Annotated[float, _about("Trades this near a zone belong to it", "sigma", ge=0)] = (
        1.0
    )
    tape_min_ticks: Annotated[int, _about("Least distance of it", "ticks", ge=1)] = 20
    vacuum_ratio: Annotated[float, _about("Replenishment below it: vacuum", "ratio", ge=0)] = 0.3
    wall_ratio: Annotated[float, _about("Replenishment above it: wall", "ratio", gt=0)] = 1.5
    flow_min_contracts: Annotated[
        float, _about("Net change of the barrier that counts", "contracts", gt=0)
    ] = 100.0
    weak_contracts: Annotated[
        float, _about("Depth of the barrier under which it is weak", "contracts", ge=0)
    ] = 50.0
    sweep_gap_ms: Annotated[
        int, _about("Prints of a sweep follow each other within", "ms", ge=1)
    ] = 100
    sweep_multiple: Annotated[
        float, _about("Size of a sweep, in multiples of the usual trade a second", "ratio", gt=0)
    ] = 10.0
    horizons_seconds: Annotated[tuple[int, ...], _about("Horizons of outcomes", "s")] = (
        60,
        120,
        240,
        480,
        900,
    )
    barrier_multiples: Annotated[
        tuple[float, ...], _about("Barriers in units of the horizon's volatility", "sigma")
    ] = (0.5, 1.0, 2.0)
    barrier_ticks: Annotated[tuple[int, ...], _about("Barriers in ticks", "ticks")] = (4, 8, 16)
    gap_seconds: Annotated[
        int, _about("Silence of the whole feed that counts as a gap", "s", ge=1)
    ] = 300
    fee_per_side: Annotated[
        float, _about("Fees of one contract and side, in the contract's currency", "currency", ge=0)
    ] = 2.25
    placebos: Annotated[
        int, _about("Random placebo levels for each real level", "levels", ge=0, le=20)
    ] = 2
    round_ticks: Annotated[int, _about("Spacing of round numbers", "ticks", ge=1)] = 40
    round_ticks_of: Annotated[
        dict[str, str], _about('Spacing of round numbers by product, in ticks: {ZN = "32"}')
    ] = field(default_factory=dict)
    user_file: Annotated[
        str, _about("CSV of your own levels: symbol, price, name, valid_from, valid_to; or empty")
    ] = ""


class LogsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Messages on standard error."""

    json: Annotated[bool, _about("One JSON object a line")] = False
    level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], _about("Least severity shown")
    ] = "WARNING"


class ClockSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What time it is."""

    now: Annotated[
        str,
        _about("Moment to stand still at, ISO 8601 with offset, for replays; empty: the machine's"),
    ] = ""

    def make(self) -> Clock:
        """The machine's clock, or one that stands still at `now`."""
        from tapemill.clock.injected import SYSTEM_CLOCK, FixedClock

        if not self.now:
            return SYSTEM_CLOCK
        moment = datetime.fromisoformat(self.now)
        whole = int(moment.replace(microsecond=0).timestamp())
        return FixedClock(whole * 10**9 + moment.microsecond * 1000)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, one attribute a section; make them by `load_settings`."""

    lake: LakeSettings = LakeSettings()
    massive: MassiveSettings = MassiveSettings()
    finra: FinraSettings = FinraSettings()
    databento: DatabentoSettings = DatabentoSettings()
    retry: RetrySettings = RetrySettings()
    breaker: BreakerSettings = BreakerSettings()
    landing: LandingSettings = LandingSettings()
    lease: LeaseSettings = LeaseSettings()
    checks: ChecksSettings = ChecksSettings()
    flow: FlowSettings = FlowSettings()
    levels: LevelsSettings = LevelsSettings()
    logs: LogsSettings = LogsSettings()
    clock: ClockSettings = ClockSettings()
    origins: dict[str, str] = field(default_factory=dict)

    def origin(self, key: str) -> str:
        """Where the value of a key such as ``"lake.location"`` came from."""
        return self.origins.get(key, "default")

    def override(self, values: Mapping[str, Any] | None = None, /, **more: Any) -> Settings:
        """A copy with some keys replaced: ``override({"massive.base_url": "…"})``.

        Raises
        ------
        ConfigError
            Unknown key or unacceptable value.
        """
        from tapemill.settings.load import overridden

        return overridden(self, {**(values or {}), **more})
