"""The verb set and the one place where errors become messages and exit codes."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import typer

from tapemill.cli import (
    build,
    check,
    config,
    demo,
    fetch,
    imports,
    lake,
    output,
    prove,
    purge,
    report,
    sandbox,
    scan,
    sql,
    status,
    verify,
    why,
)
from tapemill.errors import FaultError, LakeError, TapemillError, UsageError, did_you_mean

__all__ = ["app", "main"]

EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="tapemill",
    help=(
        "Market data from a vendor's answer to trusted bars: every number can be believed and "
        "traced.\n\nStart with `tapemill demo`: no keys, no network, two minutes."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

app.command("demo", help=demo.HELP, short_help="Run the whole way once, on synthetic data.")(
    demo.run
)
app.command("sandbox", help=sandbox.HELP, short_help="Serve a synthetic market like the vendors.")(
    sandbox.run
)
app.add_typer(config.app, name="config")
app.command("fetch", help=fetch.HELP)(fetch.run)
app.command("import", help=imports.HELP, short_help="Import files that are already here.")(
    imports.run
)
app.command(
    "build", help=build.HELP, short_help="Refine bronze into silver and gold; only what changed."
)(build.run)
app.add_typer(scan.app, name="scan", short_help="Rank what is unusual on an evening.")
app.add_typer(prove.app, name="prove", short_help="Judge whether a signal predicts anything.")
app.add_typer(report.app, name="report", short_help="Figures, tables and pages.")
app.command("check", help=check.HELP, short_help="Judge coverage and quality; exit 1 on red.")(
    check.run
)
app.command("status", help=status.HELP, short_help="Show what the lake holds and what is open.")(
    status.run
)
app.command("why", help=why.HELP, short_help="Tell the whole history of one cell.")(why.run)
app.command("sql", help=sql.HELP)(sql.run)
app.command("verify", help=verify.HELP, short_help="Re-hash everything stored; name what differs.")(
    verify.run
)
app.add_typer(lake.app, name="lake")
app.command("purge", help=purge.HELP, short_help="Drop rows of sessions before a date.")(purge.run)


def _version(value: bool) -> None:
    if value:
        from tapemill import __version__

        typer.echo(f"tapemill {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _from_system(error: OSError) -> TapemillError:
    """An operating-system error in the words of this house: cause, place, next step."""
    where = str(error.filename or "")
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return LakeError(
            "the disk is full; what was committed before is safe",
            where=where,
            next_step="free space (see `tapemill lake compact` and `tapemill purge`), then repeat "
            "the same command: it resumes",
        )
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return LakeError(
            "no permission to read or write here",
            where=where,
            next_step="check the owner and mode of the folder, or name another with --lake",
        )
    if error.errno == errno.ENOENT:
        return UsageError("no such file or folder", where=where, next_step="check the path")
    if error.errno in {errno.EISDIR, errno.ENOTDIR}:
        return UsageError(
            "a file was expected where a folder is, or the other way round",
            where=where,
            next_step="check the path",
        )
    return FaultError(f"the system refused: {error.strerror or error}", where=where)


# Typer's errors about the command line itself derive from one class that it does not export.
CommandLineError: type[Exception] = typer.BadParameter.__mro__[1]


def _from_command_line(error: Any) -> UsageError:
    """An error of the parser in the words of this house."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "tapemill"
    what = error.format_message().rstrip(".")
    hint = ""
    if what.startswith("No such command"):
        what = what.split(" (")[0].split(". ")[0]
        hint = did_you_mean(
            what.split("'")[1], getattr(getattr(context, "command", None), "commands", {})
        )
    elif what.startswith("No such option"):
        option = getattr(error, "option_name", "")
        what = f"No such option: {option}"
        known = [name for one in context.command.params for name in one.opts] if context else []
        hint = did_you_mean(option, known)
    help_line = f"`{path} --help` shows what it takes, with an example"
    return UsageError(what, where=path, next_step=f"{hint}; {help_line}" if hint else help_line)


def _report(error: TapemillError, as_json: bool) -> None:
    """The message on standard error; as JSON too, unless the command has spoken already."""
    from tapemill.secrets import redact

    if as_json and not output.spoken.document:
        output.print_json(
            {
                "error": type(error).__name__,
                "what": redact(error.what),
                "where": redact(error.where),
                "next": redact(error.next_step),
            }
        )
    sys.stderr.write(f"{redact(str(error))}\n")


class _Defects:
    """What nobody expected ends with the exit code of a fault, its trace masked.

    Python's own exit code for it would be 1, which here means that data was judged red.
    """

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A panic of a Rust library below derives from BaseException only.
        if error is None or isinstance(error, SystemExit | KeyboardInterrupt | GeneratorExit):
            return
        import traceback

        from tapemill.secrets import redact

        sys.stderr.write(redact("".join(traceback.format_exception(error))))
        fault = FaultError(
            f"a defect of Tapemill, not of your input: {type(error).__name__}: {error}",
            where="the trace above",
            next_step="report it with the trace; `tapemill verify` tells whether the lake is whole",
        )
        _report(fault, self._as_json)
        sys.exit(fault.exit_code)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the code its outcome deserves."""
    arguments = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in arguments
    output.spoken.document = False
    with _Defects(as_json):
        _run(arguments, as_json)


def _run(arguments: list[str], as_json: bool) -> None:
    fault: TapemillError
    try:
        code = app(args=arguments, prog_name="tapemill", standalone_mode=False)
        sys.stdout.flush()
    except TapemillError as error:
        fault = error
    except CommandLineError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.stderr.write(f"{error}\n")
            sys.exit(UsageError.exit_code)
        fault = _from_command_line(error)
    except BrokenPipeError:
        # The reader went away (`| head`): nobody is left to tell.
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - lives until the process ends
        sys.exit(0)
    except OSError as error:
        fault = _from_system(error)
    else:
        if code == EXIT_INTERRUPTED:
            sys.stderr.write("interrupted; what was committed stays, the same command resumes\n")
        sys.exit(code if isinstance(code, int) else 0)
    _report(fault, as_json)
    sys.exit(fault.exit_code)
