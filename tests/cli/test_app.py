"""The verb set: exit codes, help that teaches, light start, messages that name real commands."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
import typer

from tapemill.cli import app as application
from tapemill.cli.app import app, main
from tapemill.errors import CheckFailedError, FaultError, TapemillError, UsageError

HEAVY = ("polars", "numba", "deltalake", "duckdb", "sqlalchemy", "matplotlib", "plotly", "aiohttp")
VERBS = [
    ("demo",),
    ("sandbox",),
    ("config", "show"),
    ("config", "keys"),
    ("fetch",),
    ("import",),
    ("build",),
    ("check",),
    ("status",),
    ("why",),
    ("sql",),
    ("verify",),
    ("lake", "compact"),
    ("lake", "history"),
    ("lake", "digest"),
    ("purge",),
    ("prove", "flow"),
    ("prove", "levels"),
    ("scan", "flow"),
    ("report", "flow"),
]


def run(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    return end.value.code, *capsys.readouterr()


def test_every_verb_is_listed_in_full(capsys):
    code, out, _ = run(["--help"], capsys)
    assert code == 0
    assert "..." not in out.split("Commands:")[1], "a summary is cut"
    assert {verb[0] for verb in VERBS} == set(
        re.findall(r"^  (\w+) {2,}", out.split("Commands:")[1], re.M)
    )


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_help_teaches_with_an_example_on_one_line(verb, capsys):
    code, out, _ = run([*verb, "--help"], capsys)
    assert code == 0
    example = rf"^ *(Example: )?tapemill {' '.join(verb)}\b.*$"
    assert re.search(example, out, re.M), out
    assert re.search(r"-h, --help", out)


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom tapemill.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def test_a_red_check_prints_its_document_once(monkeypatch, capsys):
    """The verb has spoken: the error goes to standard error alone."""

    def red() -> None:
        application.output.print_json({"red": 1})
        raise CheckFailedError("red", where="here", next_step="there")

    code, out, err = run_as(red, ["verify", "--json"], monkeypatch, capsys)
    assert (code, json.loads(out)) == (1, {"red": 1})
    assert "red" in err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 2),
        (CheckFailedError("x"), 1),
        (FaultError("x"), 3),
        (TapemillError("x"), 3),
    ],
)
def test_exit_codes(error, code, monkeypatch, capsys):
    def fail() -> None:
        raise error

    found, out, _ = run_as(fail, ["verify", "--json"], monkeypatch, capsys)
    assert found == code
    assert json.loads(out)["what"] == "x"


def test_a_defect_is_a_fault_and_its_trace_is_masked(monkeypatch, capsys):
    from tapemill.secrets import Secret

    secret = Secret("canary-of-the-command-line", "KEY")

    def fail() -> None:
        raise ZeroDivisionError(secret.reveal())

    code, out, err = run_as(fail, ["verify", "--json"], monkeypatch, capsys)
    assert code == 3
    assert json.loads(out)["error"] == "FaultError"
    assert "ZeroDivisionError" in err
    assert secret.reveal() not in out + err


def test_interruption_says_that_work_is_kept(monkeypatch, capsys):
    def stop() -> None:
        raise KeyboardInterrupt

    code, _, err = run_as(stop, ["verify"], monkeypatch, capsys)
    assert code == 130
    assert "the same command resumes" in err


def run_as(body, arguments, monkeypatch, capsys):
    """Run the command line with `body` in place of a verb that takes --json."""

    def verb(as_json: bool = typer.Option(False, "--json")) -> None:
        body()

    stand_in = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    stand_in.command("verify")(verb)
    stand_in.callback()(lambda: None)
    monkeypatch.setattr(application, "app", stand_in)
    return run(arguments, capsys)


def test_messages_name_commands_that_exist(repo_root):
    """A next step that cannot be typed is worse than none."""
    root = typer.main.get_command(app)
    groups = {
        name: set(getattr(command, "commands", {})) for name, command in root.commands.items()
    }
    named = set()
    for path in (repo_root / "src" / "tapemill").rglob("*.py"):
        for mention in re.findall(r"`tapemill ([a-z][^`]*)`", path.read_text(encoding="utf-8")):
            words = mention.split()
            named.add(words[0])
            assert words[0] in groups, f"{path.name}: tapemill {mention}"
            if groups[words[0]] and len(words) > 1:
                assert words[1] in groups[words[0]], f"{path.name}: tapemill {mention}"
            command = root.commands[words[0]]
            options = {name for one in command.params for name in one.opts}
            given = {word.split("=")[0] for word in words if word.startswith("--")} - {"--help"}
            assert given <= options or groups[words[0]], f"{path.name}: tapemill {mention}"
    assert len(named) > 8
