"""Schedules: when they fire next, what happens to missed ticks, and the values of a schedule.

Times of day are those of the schedule's zone. The caller passes in the time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sluice.core import cron as expression
from sluice.core.errors import Flaw, Invalid

NAME = r"[a-z0-9][a-z0-9._-]{0,54}"
"""The form of a schedule's name; with `schedule:` in front it is a tag of its jobs."""

MISSED_S = 60.0
"""Seconds after which a tick that was not fired counts as missed."""

MOST_AT_ONCE = 100
"""Missed ticks of one schedule that are fired at once."""
BYTES_AT_ONCE = 8 * 1024 * 1024
"""Bytes of input that these store; one tick may store more."""

LONGEST = expression.LONGEST
EXAMPLE = "'30 3 * * 1-5' is 03:30 from Monday to Friday"

_ZONE = re.compile(
    r"[A-Z][A-Za-z0-9_+-]*(?:/[A-Z][A-Za-z0-9_+-]*)*"
)  # no `right/…`, whose clocks count leap seconds


class CatchUp(StrEnum):
    """What happens to missed ticks, once a keeper can fire again."""

    ONE = "one"
    """One job for all of them."""
    NONE = "none"
    """Nothing: the schedule goes on with its next tick."""
    ALL = "all"
    """A job for each."""


class Timing(NamedTuple):
    """A cron expression, and the IANA time zone in which it is read."""

    cron: str
    timezone: str


class Firing(NamedTuple):
    """What to do about a schedule that is due: the ticks to make jobs for, and its next tick, all in UTC."""

    ticks: tuple[datetime, ...]
    next_at: datetime


class NewSchedule(NamedTuple):
    """A schedule that is not in the record yet. `options` is JSON; `id` names this definition and no later one."""

    id: str
    tenant: str
    name: str
    cron: str
    timezone: str
    kind: str
    input: bytes
    options: str
    catch_up: str
    next_at: datetime


class Schedule(NamedTuple):
    """A row of `schedules`. `last_at` is the last tick that made a job; `input` is left out of lists."""

    id: str
    tenant: str
    name: str
    cron: str
    timezone: str
    kind: str
    input: bytes | None
    options: str
    catch_up: str
    paused: bool
    next_at: datetime
    last_at: datetime | None
    last_job_id: str | None
    created_at: datetime


class TickJob(NamedTuple):
    """A job to be made, the tick that it is for, and its trace."""

    id: str
    tick: datetime
    traceparent: str | None = None


class DueSchedule(NamedTuple):
    """A schedule whose tick `due` has come, and what time it was then by the clock of the database."""

    id: str
    name: str
    cron: str
    timezone: str
    catch_up: str
    due: datetime
    now: datetime
    input_bytes: int = 0

    @property
    def timing(self) -> Timing:
        """When it fires."""
        return Timing(self.cron, self.timezone)

    @property
    def most_ticks(self) -> int:
        """How many ticks may be fired in one statement, each of which stores the input once more."""
        return max(1, min(MOST_AT_ONCE, BYTES_AT_ONCE // max(1, self.input_bytes)))


def check(timing: Timing) -> None:
    """Raise Invalid if the expression or the zone is wrong, saying why."""
    flaws = [*_flaws_of_cron(timing.cron), *_flaws_of_zone(timing.timezone)]
    if flaws:
        raise Invalid(flaws)


def next_tick(timing: Timing, after: datetime) -> datetime:
    """Return the first tick later than `after`, in UTC. Raises Invalid, also if none comes in fifty years."""
    check(timing)
    found = expression.next_tick(timing.cron, ZoneInfo(timing.timezone), after)
    if found is None:
        raise Invalid([Flaw("/cron", "never", f"{timing.cron!r} never fires. {_help()}")])
    return found


def plan(timing: Timing, catch_up: str, due: datetime, now: datetime, most: int = MOST_AT_ONCE) -> Firing:
    """Decide which ticks to fire, of `due` and those missed since, at most so many, and when the next is.

    Raises Invalid as `next_tick`.
    """
    if catch_up == CatchUp.ALL:
        return _each(timing, due, now, most)
    if catch_up == CatchUp.NONE:
        return _newest(timing, due, now)
    return Firing((due,), next_tick(timing, now))


def describe(cron: str) -> str:
    """Say in words when a checked expression fires."""
    return expression.describe(cron)


def _newest(timing: Timing, due: datetime, now: datetime) -> Firing:
    in_time = now - timedelta(seconds=MISSED_S)
    tick = due if due > in_time else next_tick(timing, in_time)
    return Firing((tick,), next_tick(timing, now)) if tick <= now else Firing((), tick)


def _each(timing: Timing, due: datetime, now: datetime, most: int) -> Firing:
    ticks, following = [due], next_tick(timing, due)
    while following <= now and len(ticks) < most:
        ticks.append(following)
        following = next_tick(timing, following)
    return Firing(tuple(ticks), following)


def _flaws_of_cron(cron: str) -> Iterator[Flaw]:
    try:
        expression.check(cron)
    except expression.CronRefused as error:
        yield Flaw("/cron", "cron", f"{error} {_help()}")


def _flaws_of_zone(name: str) -> Iterator[Flaw]:
    try:
        if len(name) <= LONGEST and _ZONE.fullmatch(name) and ZoneInfo(name):
            return
    except (KeyError, ValueError, OSError):  # unknown, not a zone, a directory of zones
        pass
    yield Flaw(
        "/timezone", "timezone", f"There is no zone {name[:64]!r}; 'Europe/Berlin' and 'UTC' are such names."
    )


def _help() -> str:
    return f"Minute, hour, day of month, month, day of week: {EXAMPLE}."
