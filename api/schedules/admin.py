"""Manage schedules for operators. Each function returns what `sluice schedules` prints.

They pass the same checks as the routes, and need only PostgreSQL: keepers do the rest.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from api.http.schemas import validate
from api.schedules.schedules import Scheduling, document
from api.schedules.schemas import ScheduleBody
from sluice.adapters.postgres.pool import Database
from sluice.adapters.postgres.schedule_store import PostgresScheduleStore
from sluice.core.errors import Invalid, Malformed, ScheduleExists, ScheduleUnknown
from sluice.core.registry import Registry
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.telemetry import Telemetry
from sluice.core.schedule import Schedule, describe
from sluice.core.strict_json import parse
from sluice.errors import SluiceError
from sluice.handler import AnyHandler
from sluice.host.check import load_checked

PAGE = 1_000
NO_KINDS = Registry[AnyHandler](())
HEADINGS = f"{'name':<24} {'state':<7} {'next (UTC)':<17} {'last (UTC)':<17} {'kind':<24} when"


async def create_schedule(settings: Settings, tenant: str, given: dict[str, str], replace: bool) -> str:
    """Create a schedule from these fields; `input` and `options` are JSON, or `@` and a file. Raises SluiceError."""
    fields = given | {name: _read_json(f"--{name}", given[name]) for name in ("input", "options")}
    registry = load_checked(settings.handlers, settings.start_s)
    async with _open_schedules(settings, tenant, given["name"], registry) as schedules:
        body = validate(ScheduleBody, fields)
        if replace:
            return _announce((await schedules.replace(tenant, body))[0])
        return _announce(await schedules.create(tenant, body))


async def list_schedules(settings: Settings, tenant: str, page_size: int = PAGE) -> str:
    """List every schedule of a tenant under headings, by name. Raises SluiceError."""
    async with _open_schedules(settings, tenant) as schedules:
        found, more = await schedules.page(tenant, page_size)
        while more:
            page, more = await schedules.page(tenant, page_size, found[-1].name)
            found += page
    return "\n".join([HEADINGS, *map(_line, found)])


async def show_schedule(settings: Settings, tenant: str, name: str) -> str:
    """Show a schedule with its input, as JSON. Raises SluiceError."""
    async with _open_schedules(settings, tenant, name) as schedules:
        found = document(await schedules.find(tenant, name))
    return orjson.dumps(found, option=orjson.OPT_UTC_Z | orjson.OPT_INDENT_2).decode()


async def pause_schedule(settings: Settings, tenant: str, name: str) -> str:
    """Make no more jobs until it is resumed. Raises SluiceError."""
    async with _open_schedules(settings, tenant, name) as schedules:
        return f"{(await schedules.pause(tenant, name)).name} is paused"


async def resume_schedule(settings: Settings, tenant: str, name: str) -> str:
    """Make jobs again, from the next tick on. Raises SluiceError."""
    async with _open_schedules(settings, tenant, name) as schedules:
        return _announce(await schedules.resume(tenant, name))


async def run_schedule(settings: Settings, tenant: str, name: str) -> str:
    """Make one job now, and return its id. Raises SluiceError."""
    async with _open_schedules(settings, tenant, name) as schedules:
        return await schedules.run(tenant, name)


async def delete_schedule(settings: Settings, tenant: str, name: str) -> str:
    """Delete a schedule; its jobs stay. Raises SluiceError."""
    async with _open_schedules(settings, tenant, name) as schedules:
        await schedules.delete(tenant, name)
    return f"{name} is deleted; its jobs stay"


@asynccontextmanager
async def _open_schedules(
    settings: Settings, tenant: str, name: str = "", registry: Registry[AnyHandler] = NO_KINDS
) -> AsyncIterator[Scheduling]:
    """Open the flow; within the block, errors about this schedule are worded for the command, not for HTTP.

    Only a schedule that is made needs to know the kinds; the others work in any directory.
    """
    database = Database(settings.postgres_url.get_secret_value(), "sluice-schedules", Telemetry(), size=1)
    try:
        store = PostgresScheduleStore(database, budget_s=5)
        yield Scheduling(registry, settings.all_lanes, settings.keep_s, store)
    except ScheduleUnknown as error:
        raise SluiceError(
            f"{tenant} has no schedule {name[:64]!r}; `sluice schedules list --tenant {tenant}` shows them"
        ) from error
    except ScheduleExists as error:
        raise SluiceError(
            f"{tenant} has a schedule {name!r} already; --replace puts this one in its place"
        ) from error
    except Invalid as error:
        lines = [f"{flaw.pointer.lstrip('/')}: {flaw.detail}" for flaw in error.flaws]
        raise SluiceError("\n".join(lines)) from error
    finally:
        await database.close()


def _read_json(option: str, text: str) -> Any:
    """Read the JSON of an option, or of the file that it names after `@`."""
    try:
        return parse(Path(text[1:]).read_bytes() if text.startswith("@") else text.encode())
    except OSError as error:
        raise SluiceError(f"{option}: {text[1:]} cannot be read: {error.strerror}") from error
    except (Malformed, Invalid) as error:
        raise SluiceError(f"{option}: {error}") from error


def _line(schedule: Schedule) -> str:
    state, next_at = ("paused", "") if schedule.paused else ("on", f"{schedule.next_at:%Y-%m-%d %H:%M}")
    last_at = f"{schedule.last_at:%Y-%m-%d %H:%M}" if schedule.last_at else "never"
    head = f"{schedule.name:<24} {state:<7} {next_at:<17} {last_at:<17} {schedule.kind:<24}"
    return f"{head} {describe(schedule.cron)}, {schedule.timezone}"


def _announce(schedule: Schedule) -> str:
    when = f"{describe(schedule.cron)}, {schedule.timezone}"
    then = "it is paused" if schedule.paused else f"next at {schedule.next_at:%Y-%m-%d %H:%M} UTC"
    return f"{schedule.name}: {when}; {then}"
