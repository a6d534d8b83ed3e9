"""The scripted mistakes: one a line, in the order name, command, exit code, cause, place, next step."""

# ruff: noqa: E501  one mistake a line reads as a table

from __future__ import annotations

from dataclasses import dataclass, field

from acceptance.mistakes import KEY

BARS = "import bars {desk}/bars.csv --map symbol=SPY --map time=time"
GOOD_BARS = f"{BARS} --map zone=America/New_York"
NEAR = "--start 2026-01-26 --end 2026-01-30"


@dataclass(frozen=True)
class Mistake:
    """A command line, and what its answer must say.

    `cause`, `place` and `step` are regular expressions, searched in the whole answer.
    """

    name: str
    line: str
    code: int
    cause: str
    place: str
    step: str
    env: dict[str, str] = field(default_factory=dict)


# fmt: off
FILES = [
    Mistake("missing file", "import finra-short {desk}/nowhere.txt", 2, "no such file", r"nowhere\.txt", "check the path"),
    Mistake("empty folder", "import finra-short {desk}/{empty}", 2, "holds no files", "empty folder", "name the folder or the files"),
    Mistake("folder of the wrong things", "import massive-minute {desk}/foreign", 3, "not a stock aggregates file", r"holiday\.jpg", "kind bars"),
    Mistake("unknown kind", "import finra-shorts {desk}/cut.txt", 2, "no kind of file 'finra-shorts'", "finra-shorts", "did you mean 'finra-short'"),
    Mistake("truncated FINRA file", "import finra-short {desk}/truncated.txt", 3, "trailer declares 9 rows, the file has 3", r"truncated\.txt", "download the file again"),
    Mistake("FINRA file without trailer", "import finra-short {desk}/cut.txt", 3, "truncated: no row count", r"cut\.txt", "download the file again"),
    Mistake("FINRA file of another day", "import finra-short {desk}/CNMSshvol20260107.txt", 3, "named after 2026-01-07 and holds rows of 2026-01-08", "CNMSshvol20260107", "rename it"),
    Mistake("not a FINRA header", "import finra-short {desk}/exchange.txt", 3, "unknown header", r"exchange\.txt", r"header is Date\|Symbol"),
    Mistake("garbage as FINRA file", "import finra-short {desk}/binary.txt", 3, "unknown header", r"binary\.txt", r"header is Date\|Symbol"),
    Mistake("empty file", "import finra-short {desk}/empty.txt", 3, "the file is empty", r"empty\.txt", "download it again"),
    Mistake("unknown facility", "import finra-short {desk}/CNMSshvol20260105.txt --map facility=FNSX", 2, "no facility 'FNSX'", "FNSX", "did you mean|known:"),
    Mistake("cut gzip", "import massive-minute {desk}/cut.csv.gz", 3, "gzip stream is cut", r"cut\.csv\.gz", "download the file again"),
    Mistake("no gzip at all", "import massive-minute {desk}/not.csv.gz", 3, "gzip stream is cut or broken", r"not\.csv\.gz", "download the file again"),
    Mistake("another vendor file", "import massive-minute {desk}/trades.csv", 3, "no column volume", r"trades\.csv", "kind bars"),
    Mistake("option where none is taken", "import massive-minute {desk}/good.csv.gz --map zone=UTC", 2, "no option 'zone'", "massive-minute", "takes none"),
    Mistake("corrupt Parquet", "import bars {desk}/corrupt.parquet --map symbol=SPY", 3, "neither CSV nor Parquet", r"corrupt\.parquet", "check the file"),
    Mistake("garbage as bars", "import bars {desk}/binary.txt --map symbol=SPY", 3, "neither CSV nor Parquet|no column", r"binary\.txt", "check the file|--suggest"),
]

MAPS = [
    Mistake("no symbol", "import bars {desk}/bars.csv --map time=time", 2, "needs symbol=TICKER", "column map", "add --map symbol=SPY"),
    Mistake("two symbols", BARS + " --map symbol_column=ticker", 2, "and not both", "column map", "symbol_column=ticker"),
    Mistake("no such column", BARS + " --map zone=UTC --map close=Clsoe", 2, "no column 'Clsoe'", r"bars\.csv", "--suggest|did you mean"),
    Mistake("time column of another name", "import bars {desk}/renamed.csv --map symbol=SPY --map time=time --map zone=UTC", 2, "no column 'time'; it has when", r"renamed\.csv", "--suggest|did you mean"),
    Mistake("unknown map key", BARS + " --map zoen=UTC", 2, "no key 'zoen'", "column map", "did you mean 'zone'"),
    Mistake("map without a value", BARS + " --map zone", 2, "cannot read the option 'zone'", "column map", "key=value"),
    Mistake("no zone", BARS, 2, "carry no time zone", r"bars\.csv", "add --map zone=UTC"),
    Mistake("no such zone", BARS + " --map zone=America/NewYork", 2, "no time zone 'America/NewYork'", "column map", "did you mean 'America/New_York'"),
    Mistake("wrong zone", BARS + " --map zone=UTC", 3, "only 23% of the bars lie in regular hours", r"bars\.csv", "zone=America/New_York"),
    Mistake("bad stamp", BARS + " --map zone=UTC --map stamp=middle", 2, "stamp=middle is not accepted", "column map", "start, end"),
    Mistake("bad price scale", BARS + " --map zone=UTC --map price_scale=cents", 2, "price_scale=cents is not a positive number", "column map", "price_scale=0.0001"),
    Mistake("prices adjusted for dividends", BARS + " --map zone=UTC --map adjusted=total", 2, "adjusted for dividends cannot be undone", "adjusted=total", "map the raw columns"),
    Mistake("numbers without a unit", "import bars {desk}/epoch.csv --map symbol=SPY --map time=time", 3, "no stamp of column 'time' can be read", r"epoch\.csv", "unit=ms for numbers"),
    Mistake("map file missing", BARS + " --map-file {desk}/none.toml", 2, "cannot read the column map", r"none\.toml", 'symbol = "SPY"'),
    Mistake("map file broken", BARS + " --map-file {desk}/map.toml", 2, "cannot read the column map", r"map\.toml", 'symbol = "SPY"'),
    Mistake("map file nested", BARS + " --map-file {desk}/nested.toml", 2, "'columns' is a table", r"nested\.toml", "top of the file"),
]

FETCHES = [
    Mistake("no key", f"fetch bars_1d {NEAR}", 2, "no key for Massive", r"massive\.api_key", "export MASSIVE_API_KEY", {"MASSIVE_API_KEY": ""}),
    Mistake("wrong key", f"fetch bars_1m WRNG {NEAR}", 3, "not-entitled", "bronze.massive_bars_1m", "check the key", {"MASSIVE_API_KEY": KEY}),
    Mistake("window outside the plan", "fetch bars_1m SPY --start 2023-01-03 --end 2023-01-04", 3, "outside the massive plan", "bronze.massive_bars_1m, 2023-01-03", "massive.history_days"),
    Mistake("plan believed larger than it is", "fetch bars_1m SPY --start 2023-01-03 --end 2023-01-04", 3, "not-entitled", "SPY 2023-01-03", "massive.plan", {"TAPEMILL_MASSIVE_HISTORY_DAYS": "2000"}),
    Mistake("bad date", "fetch bars_1d --start 2026-02-30", 2, "'2026-02-30' is not a date", "--start", "YYYY-MM-DD"),
    Mistake("date the American way", "fetch bars_1d --start 01/05/2026", 2, "'01/05/2026' is not a date", "--start", "2026-01-05"),
    Mistake("reversed range", "fetch bars_1d --start 2026-01-30 --end 2026-01-26", 2, "2026-01-26 is before --start 2026-01-30", "--start, --end", "swap"),
    Mistake("Saturday", "fetch bars_1d --start 2026-01-24 --end 2026-01-25", 2, "not a XNYS session: weekend", "2026-01-24", "nearest sessions: 2026-01-23, 2026-01-26"),
    Mistake("holiday", "fetch bars_1d --start 2026-01-19 --end 2026-01-19", 2, "not a XNYS session", "2026-01-19", "nearest sessions: 2026-01-16, 2026-01-20"),
    Mistake("tomorrow", "fetch bars_1d --start 2026-02-02 --end 2026-02-03", 2, "has not published", "bronze.massive_bars_1d, 2026-02-02", "earlier sessions"),
    Mistake("beyond the calendar", "fetch bars_1d --start 2031-01-02 --end 2031-01-03", 2, "outside the XNYS session table", "2031-01-02", "use a date inside"),
    Mistake("unknown symbol", f"fetch bars_1m ZZZZ {NEAR}", 0, "massive has nothing for ZZZZ", "bronze.massive_bars_1m", "check the ticker"),
    Mistake("lower case", f"fetch bars_1m spy {NEAR}", 2, "'spy' is lower case", "--symbols", r"did you mean SPY\?"),
    Mistake("no ticker at all", f"fetch bars_1m SPY;QQQ {NEAR}", 2, "'SPY;QQQ' cannot be a ticker", "--symbols", "separate tickers by commas"),
    Mistake("no symbols", f"fetch bars_1m {NEAR}", 2, "no symbol is given", "bars_1m", "tapemill fetch bars_1m SPY"),
    Mistake("symbol file missing", f"fetch bars_1m --symbols @{{desk}}/none.txt {NEAR}", 2, "symbol file does not exist", r"none\.txt", "check --symbols"),
    Mistake("symbol file empty", f"fetch bars_1m --symbols @{{desk}}/symbols.txt {NEAR}", 2, "symbol file is empty", r"symbols\.txt", "one ticker a line"),
    Mistake("symbol file is binary", f"fetch bars_1m --symbols @{{desk}}/symbols.bin {NEAR}", 2, "symbol file is not text", r"symbols\.bin", "one ticker a line"),
    Mistake("unknown dataset", "fetch bars_1min SPY", 2, "nothing to fetch called 'bars_1min'", "bars_1min", "did you mean 'bars_1m'"),
    Mistake("unknown route", f"fetch short_volume --via ftp {NEAR}", 2, "no route 'ftp'", "short_volume", "file or api"),
    Mistake("nobody listens", f"fetch bars_1m SPY {NEAR}", 3, "cells are still open", "SPY 2026-01-26", "repeat the same command", {"TAPEMILL_MASSIVE_BASE_URL": "http://127.0.0.1:9", "TAPEMILL_RETRY_ATTEMPTS": "1"}),
]

CONFIGURATION = [
    Mistake("no such file", "config show --config {desk}/none.toml", 2, "configuration file does not exist", r"none\.toml", "check --config"),
    Mistake("unknown key", "config show --config {desk}/key.toml", 2, r"no configuration key 'massive\.calls_per_minut'", r"key\.toml", r"did you mean 'massive\.calls_per_minute'"),
    Mistake("unknown section", "config show --config {desk}/section.toml", 2, "'masive' is no section", r"section\.toml", "did you mean 'massive'"),
    Mistake("wrong type", "config show --config {desk}/type.toml", 2, "timeout_seconds = 'five' cannot be used", r"type\.toml", "accepts: "),
    Mistake("secret in a file", "config show --config {desk}/secret.toml", 2, r"massive\.api_key holds a secret", r"secret\.toml", "delete it from the file"),
    Mistake("no TOML", "config show --config {desk}/syntax.toml", 2, "not valid TOML", r"syntax\.toml", "values look like"),
    Mistake("plain http", "config show --config {desk}/url.toml", 2, "would send keys unencrypted", r"url\.toml", "use https"),
    Mistake("key in an address", "config show --config {desk}/keyed.toml", 2, "holds a secret", r"keyed\.toml", "delete it from the file"),
    Mistake("unknown variable", "config show", 2, "TAPEMILL_MASSIVE_PLAM", "environment variable", "did you mean 'TAPEMILL_MASSIVE_PLAN'", {"TAPEMILL_MASSIVE_PLAM": "paid"}),
    Mistake("bad value in the environment", "config show", 2, "massive.calls_per_minute = 'many' cannot be used", "TAPEMILL_MASSIVE_CALLS_PER_MINUTE", "accepts: ", {"TAPEMILL_MASSIVE_CALLS_PER_MINUTE": "many"}),
    Mistake("unknown plan", "config show", 2, "massive.plan = 'gold'", "TAPEMILL_MASSIVE_PLAN", "accepts: ", {"TAPEMILL_MASSIVE_PLAN": "gold"}),
    Mistake("moment without offset", "status", 2, "not a moment with an offset", "TAPEMILL_CLOCK_NOW", "-04:00", {"TAPEMILL_CLOCK_NOW": "2026-01-30T21:00:00"}),
    Mistake("half a pair of credentials", "config show", 2, "pair, and .*SECRET is not set", "FINRA", "export ", {"FINRA_CLIENT_ID": "someone"}),
]

COMMANDS = [
    Mistake("unknown verb", "fech bars_1m", 2, "No such command 'fech'", "where: tapemill", "did you mean 'fetch'.*tapemill --help"),
    Mistake("unknown verb of lake", "lake compcat", 2, "No such command 'compcat'", "where: tapemill lake", "did you mean 'compact'"),
    Mistake("unknown option", "fetch bars_1m --sart 2026-01-05", 2, "No such option: --sart", "where: tapemill fetch", "did you mean '--start'"),
    Mistake("missing argument", "import bars", 2, "Missing argument 'PATH", "where: tapemill import", "tapemill import --help"),
    Mistake("too many arguments", "verify everything", 2, "unexpected extra argument", "where: tapemill verify", "tapemill verify --help"),
    Mistake("text for a number", "sandbox --port http", 2, "Invalid value for '--port'", "where: tapemill sandbox", "tapemill sandbox --help"),
    Mistake("unknown fault", "sandbox --fault storm429", 2, "no fault 'storm429'", "--fault", "did you mean 'storm_429'"),
    Mistake("unknown sandbox plan", "sandbox --plan gold", 2, "no plan 'gold'", "--plan", "--plan free"),
    Mistake("purge without a date", "purge silver.short_volume", 2, "Missing option '--before'", "where: tapemill purge", "tapemill purge --help"),
    Mistake("force without yes", "purge raw --before 2026-02-01 --force", 2, "--force without --yes", "--force", "add --yes"),
    Mistake("purge unknown dataset", "purge silver.short_volum --before 2026-02-01", 2, "no dataset 'silver.short_volum'", "silver.short_volum", "did you mean 'silver.short_volume'"),
    Mistake("build unknown target", "build silver.equity_bars", 2, "no recipe makes 'silver.equity_bars'", "silver.equity_bars", "did you mean 'silver.equity_bars_1"),
    Mistake("history of the unknown", "lake history silver.bars", 2, "no dataset 'silver.bars'", "silver.bars", "did you mean|known"),
    Mistake("history of what was never made", "lake history silver.equity_bars_1d", 3, "silver.equity_bars_1d has no table yet", "silver.equity_bars_1d", "tapemill build"),
    Mistake("digest of the unknown", "lake digest bronze.trades", 2, "no dataset 'bronze.trades'", "bronze.trades", "did you mean|known"),
    Mistake("check of the unknown", "check silver.equity_bars_1h", 2, "'silver.equity_bars_1h'", "silver.equity_bars_1h", "did you mean"),
    Mistake("check of an unknown symbol", "check --symbols QQQQ", 2, "no row of QQQQ", "silver.coverage", "fetch or import it first"),
    Mistake("why of an unknown dataset", "why bars SPY 2026-01-05", 2, "no dataset 'bars'", "bars", "did you mean|known"),
    Mistake("why of an unknown symbol", "why silver.equity_bars_1m SPPY 2026-01-08", 2, "nothing in this lake speaks of 'SPPY'", "lake", "did you mean 'SPY'"),
    Mistake("why of a holiday", "why silver.equity_bars_1m SPY 2026-01-19", 0, "nothing was ever planned", "2026-01-19 is no session", "holiday|Martin Luther King"),
    Mistake("why without a date", "why silver.equity_bars_1m SPY yesterday", 2, "'yesterday' is not a date", "SESSION", "YYYY-MM-DD"),
    Mistake("close an incident without a reason", "status --resolve 1", 2, "needs a reason", "--resolve", "add --note"),
]

QUERIES = [
    Mistake("bad SQL", 'sql|selekt 1', 2, "selekt|SELECT", "selekt 1", "next: "),
    Mistake("unknown table", "sql|select * from silver.equity_bars", 2, "equity_bars", "silver.equity_bars", "did you mean|show tables|SHOW ALL TABLES"),
    Mistake("unknown column", "sql|select clse from silver.equity_bars_1m", 2, "clse", "select clse", "close|every table and its columns"),
    Mistake("drop", "sql|drop view silver.short_volume", 2, "one SELECT at a time", "drop view", "written by fetch"),
    Mistake("insert", "sql|insert into silver.short_volume values (1)", 2, "one SELECT at a time", "insert into", "written by fetch"),
    Mistake("copy", "sql|copy (select 1) to '/tmp/out.csv'", 2, "one SELECT at a time", "copy", "written by fetch"),
    Mistake("attach", "sql|attach '/etc/passwd' as x", 2, "one SELECT at a time", "attach", "written by fetch"),
    Mistake("two statements", "sql|select 1; select 2", 2, "one SELECT at a time", "select 1; select 2", "written by fetch"),
    Mistake("a file from outside", "sql|select * from read_csv('/etc/passwd')", 2, "passwd", "read_csv", "next: "),
]

LAKES = [
    Mistake("no lake", "status --lake {desk}/nowhere", 3, "there is no lake here", "nowhere", "--lake or TAPEMILL_LAKE"),
    Mistake("build nothing", "build --lake {desk}/nowhere", 3, "there is no lake here", "nowhere", "tapemill fetch"),
    Mistake("lake is a file", BARS + " --map zone=UTC --lake {desk}/file", 3, "is a file, not a folder", "desk.*/file", "name a folder"),
    Mistake("folder of photographs", BARS + " --map zone=UTC --lake {desk}/foreign", 3, r"no lake \(holiday\.jpg", "foreign", "an empty or a new folder"),
    Mistake("lake of a newer format", "status --lake {desk}/newer", 3, "format 99", r"tapemill-lake\.json", "newer Tapemill"),
    Mistake("damaged marker", "status --lake {desk}/damaged", 3, "marker of the lake is damaged", r"tapemill-lake\.json", "tapemill verify"),
]

# fmt: on

ALL = [*FILES, *MAPS, *FETCHES, *CONFIGURATION, *COMMANDS, *QUERIES, *LAKES]
