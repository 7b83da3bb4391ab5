"""The command that makes, lists, pauses, resumes, runs and deletes schedules: `python -m api.schedules.command`.

It goes the way of the routes, so what they refuse it refuses. It needs PostgreSQL alone: keepers do the rest.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from api.http.schemas import validate
from api.keys.keyring import tenant_name
from api.schedules.schedules import Scheduling, document
from api.schedules.schemas import ScheduleBody
from sluice.adapters.postgres.pool import Database
from sluice.adapters.postgres.schedules import PostgresSchedules
from sluice.core.errors import Invalid, Malformed, ScheduleExists, ScheduleUnknown
from sluice.core.registry import load
from sluice.core.runtime.settings import Settings, load_settings
from sluice.core.runtime.telemetry import Telemetry
from sluice.core.schedule import CatchUp, Schedule, describe
from sluice.core.strict_json import parse
from sluice.errors import SluiceError

PAGE = 1_000
ABOUT = (
    """Make, list and change cron schedules. Each tick becomes one job, however many consumers there are."""
)
EXAMPLE = """example: python -m api.schedules.command create nightly --tenant acme --cron '30 3 * * 1-5' \\
             --timezone Europe/Berlin --kind demo.sum --input '{"values": [1, 2]}'"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what was asked for on stdout and everything else on stderr."""
    asked = _parser().parse_args(arguments)
    try:
        print(asyncio.run(_run(asked, load_settings())))  # noqa: T201  the command's answer
    except SluiceError as error:
        for line in _complaints(error):
            print(f"sluice: {line}", file=sys.stderr)  # noqa: T201  the command's answer
        return 2
    return 0


async def _run(asked: argparse.Namespace, settings: Settings) -> str:
    database = Database(settings.postgres_url.get_secret_value(), "sluice-schedules", Telemetry(), size=1)
    lanes = {name: settings.lane(name) for name in settings.lanes}
    scheduling = Scheduling(load(settings.handlers), lanes, PostgresSchedules(database, budget_s=5))
    try:
        return await _answer(scheduling, asked)
    except SluiceError as error:
        raise _named(error, asked) from error
    finally:
        await database.close()


async def _answer(scheduling: Scheduling, asked: argparse.Namespace) -> str:
    match asked.command:
        case "create":
            return await _create(scheduling, asked)
        case "list":
            return "\n".join([LISTING, *map(_line, await _all(scheduling, asked.tenant))])
        case "show":
            found = document(await scheduling.find(asked.tenant, asked.name))
            return orjson.dumps(found, option=orjson.OPT_UTC_Z | orjson.OPT_INDENT_2).decode()
        case "pause":
            return f"{(await scheduling.pause(asked.tenant, asked.name)).name} is paused"
        case "resume":
            return _said(await scheduling.resume(asked.tenant, asked.name))
        case "run":
            return await scheduling.run(asked.tenant, asked.name)
        case _:
            await scheduling.delete(asked.tenant, asked.name)
            return f"{asked.name} is deleted; its jobs stay"


async def _create(scheduling: Scheduling, asked: argparse.Namespace) -> str:
    body = validate(
        ScheduleBody,
        {
            "name": asked.name,
            "cron": asked.cron,
            "timezone": asked.timezone,
            "kind": asked.kind,
            "input": _json("--input", asked.input),
            "options": _json("--options", asked.options),
            "catch_up": asked.catch_up,
        },
    )
    if not asked.replace:
        return _said(await scheduling.create(asked.tenant, body))
    kept, _ = await scheduling.replace(asked.tenant, body)
    return _said(kept)


async def _all(scheduling: Scheduling, tenant: str) -> list[Schedule]:
    found, more = await scheduling.page(tenant, PAGE)
    while more:
        page, more = await scheduling.page(tenant, PAGE, found[-1].name)
        found += page
    return found


def _json(option: str, text: str) -> Any:
    """The JSON of an option, or of the file that it names behind `@`."""
    try:
        return parse(Path(text[1:]).read_bytes() if text.startswith("@") else text.encode())
    except OSError as error:
        raise SluiceError(f"{option}: {text[1:]} cannot be read: {error.strerror}") from error
    except (Malformed, Invalid) as error:
        raise SluiceError(f"{option}: {error}") from error


LISTING = f"{'name':<24} {'state':<7} {'next (UTC)':<17} {'last (UTC)':<17} {'kind':<24} when"


def _line(schedule: Schedule) -> str:
    state, next_at = ("paused", "") if schedule.paused else ("on", f"{schedule.next_at:%Y-%m-%d %H:%M}")
    last_at = f"{schedule.last_at:%Y-%m-%d %H:%M}" if schedule.last_at else "never"
    head = f"{schedule.name:<24} {state:<7} {next_at:<17} {last_at:<17} {schedule.kind:<24}"
    return f"{head} {describe(schedule.cron)}, {schedule.timezone}"


def _said(schedule: Schedule) -> str:
    when = f"{describe(schedule.cron)}, {schedule.timezone}"
    then = "it is paused" if schedule.paused else f"next at {schedule.next_at:%Y-%m-%d %H:%M} UTC"
    return f"{schedule.name}: {when}; {then}"


def _named(error: SluiceError, asked: argparse.Namespace) -> SluiceError:
    """The same in the words of the command, where it has others than HTTP."""
    if isinstance(error, ScheduleUnknown):
        return SluiceError(f"{asked.tenant} has no schedule {asked.name[:64]!r}; `list` shows them")
    if isinstance(error, ScheduleExists):
        return SluiceError(
            f"{asked.tenant} has a schedule {asked.name!r} already; --replace puts this one in its place"
        )
    return error


def _complaints(error: SluiceError) -> list[str]:
    if isinstance(error, Invalid):
        return [f"{flaw.pointer.lstrip('/')}: {flaw.detail}" for flaw in error.flaws]
    return [str(error)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m api.schedules.command",
        description=ABOUT,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="create | list | show | pause | resume | run | delete"
    )
    _add_create(_command(commands, "create", "make a schedule"))
    _command(commands, "list", "every schedule of a tenant, by name", named=False)
    _command(commands, "show", "one schedule with its input, as JSON")
    _command(commands, "pause", "make no more jobs until it is resumed")
    _command(commands, "resume", "go on with the next tick to come")
    _command(commands, "run", "make one job now, and print its id")
    _command(commands, "delete", "forget it; its jobs stay")
    return parser


def _command(commands: Any, word: str, about: str, named: bool = True) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(word, help=about, description=about)
    if named:
        command.add_argument("name", metavar="NAME", help="its name: a-z 0-9 . _ -")
    command.add_argument("--tenant", required=True, type=tenant_name, help="who owns it and its jobs")
    return command


def _add_create(create: argparse.ArgumentParser) -> None:
    create.add_argument(
        "--cron", required=True, help="minute, hour, day of month, month, day of week: '30 3 * * 1-5'"
    )
    create.add_argument(
        "--timezone", default="UTC", help="zone in whose time --cron is read (default: %(default)s)"
    )
    create.add_argument("--kind", required=True, help="the kind of its jobs, such as demo.sum")
    create.add_argument("--input", required=True, help="their input: JSON, or @FILE")
    create.add_argument(
        "--options",
        default="{}",
        help="lane, priority, timeout_s, max_attempts, deadline_s, tags: JSON, or @FILE",
    )
    create.add_argument(
        "--catch-up",
        choices=[each.value for each in CatchUp],
        default=CatchUp.ONE.value,
        help="what missed ticks come to: one job together, none, or all (default: %(default)s)",
    )
    create.add_argument(
        "--replace", action="store_true", help="put it in place of the schedule of this name, if any"
    )


if __name__ == "__main__":
    sys.exit(main())
