"""The verb set and the one place where errors become messages and exit codes."""

from __future__ import annotations

import errno
import json
import sys
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
    purge,
    sandbox,
    sql,
    status,
    verify,
    why,
)
from tapemill.errors import FaultError, LakeError, TapemillError, UsageError

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
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("demo", help=demo.HELP)(demo.run)
app.command("sandbox", help=sandbox.HELP)(sandbox.run)
app.add_typer(config.app, name="config")
app.command("fetch", help=fetch.HELP)(fetch.run)
app.command("import", help=imports.HELP)(imports.run)
app.command("build", help=build.HELP)(build.run)
app.command("check", help=check.HELP)(check.run)
app.command("status", help=status.HELP)(status.run)
app.command("why", help=why.HELP)(why.run)
app.command("sql", help=sql.HELP)(sql.run)
app.command("verify", help=verify.HELP)(verify.run)
app.add_typer(lake.app, name="lake")
app.command("purge", help=purge.HELP)(purge.run)


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


def _report(error: TapemillError, as_json: bool) -> None:
    from tapemill.secrets import redact

    if as_json:
        body: dict[str, Any] = {
            "error": type(error).__name__,
            "what": redact(error.what),
            "where": redact(error.where),
            "next": redact(error.next_step),
        }
        sys.stdout.write(json.dumps(body) + "\n")
    sys.stderr.write(f"{redact(str(error))}\n")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the code its outcome deserves."""
    arguments = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in arguments
    try:
        app(args=arguments, standalone_mode=True)
    except TapemillError as error:
        _report(error, as_json)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        mapped = _from_system(error)
        _report(mapped, as_json)
        sys.exit(mapped.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; what was committed stays, the same command resumes\n")
        sys.exit(EXIT_INTERRUPTED)
