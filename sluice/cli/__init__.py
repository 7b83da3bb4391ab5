"""The command `sluice`: its subcommands, and the errors it prints.

Only arguments are read here; the code behind a subcommand is imported when it runs. So help comes at once, and the command
works without the libraries of the servers.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from sluice import __version__
from sluice.cli import (
    batches,
    bulk,
    catalogue,
    changing,
    doctor,
    errors,
    events,
    keys,
    login,
    looking,
    new,
    processes,
    record,
    schedules,
    submitting,
    types,
    waiting,
    webhooks,
)
from sluice.cli.completion import COMPLETE, COMPLETION, completion
from sluice.cli.output import leave_unread, leave_unsaid, show_any_character
from sluice.cli.statuses import INTERRUPTED
from sluice.cli.usage import examples
from sluice.core.runtime.standard_streams import open_closed_streams
from sluice.errors import SluiceError

SERVER_SIDE = ("api", "consumer")
"""Packages that the distribution `sluice-jobs` does not hold."""

FOR_OTHERS = ("new", "check", "api", "consumer", "migrate", "verify", "settings", "probe")
"""Words of those who write kinds, and of operators."""
_STATUS = {0: "done", 2: "wrong usage, or refused; the help of each word lists all of its own"}


class _Words(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        """Show those of clients first."""
        others = [each for each in FOR_OTHERS if each in self.commands]
        return [*(each for each in self.commands if each not in others), *others]


app = typer.Typer(
    cls=_Words,
    rich_markup_mode=None,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Submit jobs and see what becomes of them; run Sluice, and manage its keys, its schedules and its record.",
    epilog=examples("sluice run demo.sum '{\"values\": [1, 2, 3]}'", "sluice keys create --tenant acme", "sluice schedules set --help", "sluice verify --json", status=_STATUS),
)  # fmt: skip
app.command("run", epilog=submitting.RUN)(submitting.run)
app.command("submit", epilog=submitting.SUBMIT)(submitting.submit)
app.command(epilog=looking.GET)(looking.get)
app.command(epilog=waiting.WATCH)(waiting.watch)
app.command(epilog=waiting.WAIT)(waiting.wait)
app.command(epilog=waiting.RESULT)(waiting.result)
app.command("list", epilog=looking.LIST)(looking.list_)
app.command(epilog=looking.EXPLAIN)(looking.explain)
app.command(epilog=looking.LOGS)(looking.logs)
app.command(epilog=looking.ATTEMPTS)(looking.attempts)
app.command("cancel", epilog=changing.CANCEL)(changing.cancel)
app.command("retry", epilog=changing.RETRY)(changing.retry)
app.command("delete", epilog=changing.DELETE)(changing.delete)
app.add_typer(errors.errors, name="errors")
app.command(epilog=catalogue.KINDS)(catalogue.kinds)
app.add_typer(catalogue.lanes, name="lanes")
app.command(epilog=batches.BATCH)(batches.batch)
app.command(epilog=types.TYPES)(types.types)
app.add_typer(schedules.app, name="schedules")
app.add_typer(bulk.app, name="bulk")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(keys.app, name="keys")
app.command(epilog=events.EVENTS)(events.events)
app.command("open", epilog=events.OPEN)(events.open_)
app.command(epilog=doctor.DOCTOR)(doctor.doctor)
app.command(epilog=login.LOGIN)(login.login)
app.command(epilog=login.PROFILE)(login.profile)
app.command(epilog=COMPLETION)(completion)
app.command(epilog=processes.API)(processes.api)
app.command(epilog=processes.CONSUMER)(processes.consumer)
app.command(epilog=processes.CHECK)(processes.check)
app.command(epilog=record.MIGRATE)(record.migrate)
app.command(epilog=record.VERIFY)(record.verify)
app.command(epilog=new.NEW)(new.new)
app.command(epilog=processes.SETTINGS)(processes.settings)
app.command(epilog=processes.PROBE)(processes.probe)


@app.callback()
def _before_a_word(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"sluice {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return the exit status. Errors go to stderr, one line each."""
    if sys.stdout is None and _answers(arguments):
        return _refuse("stdout is closed, where the answer would go: send it to /dev/null if nobody wants it")
    open_closed_streams()
    show_any_character()
    try:
        status = get_command(app)(arguments, prog_name="sluice", standalone_mode=False) or 0
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as end:  # the latter is what typer and rich make of the former
        if COMPLETE in os.environ and getattr(end, "code", None) in (0, None):
            return 0  # and what completing ends with
        return leave_unread()
    except (OSError, typer.TyperException, ModuleNotFoundError, SluiceError) as error:
        return _refuse(_describe(error))
    except KeyboardInterrupt:  # before the word has begun
        return INTERRUPTED
    return int(status)


def _answers(arguments: Sequence[str] | None) -> bool:
    """Tell whether the command answers on stdout, as all do but those that start a process."""
    words = sys.argv[1:] if arguments is None else arguments
    return not words or words[0] not in SERVER_SIDE


def _refuse(why: str) -> int:
    with suppress(OSError):  # the status says it, too
        for line in why.splitlines():
            typer.echo(f"sluice: {line}", err=True)
    leave_unsaid()
    return 2


def _describe(error: Exception) -> str:
    match error:
        case OSError():
            return f"{error.filename or 'the answer could not be written'}: {error.strerror or error}"
        case typer.TyperException():
            return _misused(error)
        case ModuleNotFoundError():
            return _missing(error)
    return str(error)


def _misused(error: typer.TyperException) -> str:
    """Say what is wrong with the arguments, and where to read about the right ones."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "sluice"
    return f"{' '.join(error.format_message().split()).rstrip('.')}; see `{path} --help`"


def _missing(error: ModuleNotFoundError) -> str:
    """Say which part of the product is not installed, and how to get it. Raises the error if installing would not help."""
    package = (error.name or "").partition(".")[0]
    if error.name in SERVER_SIDE:
        return (
            f"the package {package} is not installed here: this command needs the server side, which a clone of the "
            "repository has after `make setup`, as .venv/bin/sluice, and so has the container image"
        )
    if package in ("", "sluice", *SERVER_SIDE):
        raise error
    return f"{package} is not installed here: pip install the extra 'server' of sluice-jobs, in a clone: pip install '.[server]'"
