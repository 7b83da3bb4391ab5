"""Manage a tenant's schedules: create, replace, find, pause, resume, run, delete. Keepers fire them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import uuid4

import orjson

from api.jobs.make_job import ANY_LANE, SubmitRequest, make_job
from api.jobs.schemas import SubmitOptions
from api.schedules.schemas import ScheduleBody
from sluice.core.access import OPERATOR, Actor
from sluice.core.errors import Flaw, Invalid, ScheduleExists, ScheduleUnknown, TryAgain
from sluice.core.fair_share import CheckRoom, any_room
from sluice.core.job import NewJob
from sluice.core.lanes import Lane
from sluice.core.ports import ScheduleStore
from sluice.core.registry import Registry
from sluice.core.runtime.ids import new_job_id
from sluice.core.schedule import NAME, NewSchedule, Schedule, Timing, describe, next_tick
from sluice.handler import AnyHandler
from sluice.searchable import tags_of
from sluice.secret_fields import DOTS, find_secrets, hide

S = TypeVar("S")

_NAME = re.compile(NAME)


class Scheduling:
    """Makes and changes schedules. Each method that names one raises ScheduleUnknown, also for those of other tenants, and ServerAway."""

    def __init__(
        self,
        registry: Registry[AnyHandler],
        lanes: Mapping[str, Lane],
        keep_s: float,
        store: ScheduleStore,
        check_room: CheckRoom = any_room,
    ) -> None:
        self._check_room = check_room
        self._registry, self._lanes, self._keep_s, self._store = registry, lanes, keep_s, store

    async def create(self, tenant: str, body: ScheduleBody, by: Actor = OPERATOR) -> Schedule:
        """Create a schedule. Raises ScheduleExists, KindUnknown, Invalid, TooLarge, OutcomeUnknown."""
        made, _ = await self._keep(tenant, body, by, replace=False)
        return made

    async def replace(self, tenant: str, body: ScheduleBody, by: Actor = OPERATOR) -> tuple[Schedule, bool]:
        """Create it, or replace the one of its name; also say whether it is new. Raises what `create` raises."""
        return await self._keep(tenant, body, by, replace=True)

    async def find(self, tenant: str, name: str) -> Schedule:
        """Find one, with its input."""
        return _require(await self._store.find_schedule(tenant, _check_name(name)))

    async def page(self, tenant: str, size: int, behind: str = "") -> tuple[list[Schedule], bool]:
        """List up to this many that follow a name, and say whether there are more. Raises Invalid."""
        if behind and not _NAME.fullmatch(behind):
            raise Invalid([Flaw("?page_token", "unknown", "page_token is the `next_page_token` of a page.")])
        found = await self._store.list_schedules(tenant, behind, size + 1)
        return found[:size], len(found) > size

    async def pause(self, tenant: str, name: str, by: Actor = OPERATOR) -> Schedule:
        """Fire no more of its ticks; pausing again changes nothing."""
        return _require(await self._store.pause_schedule(tenant, _check_name(name), by))

    async def resume(self, tenant: str, name: str, by: Actor = OPERATOR) -> Schedule:
        """Fire its ticks again, from the next one to come; resuming again changes nothing."""
        found = await self.find(tenant, name)
        next_at = next_tick(Timing(found.cron, found.timezone), await self._store.clock())
        return _require_still(await self._store.resume_schedule(found.id, next_at, by))

    async def delete(self, tenant: str, name: str, by: Actor = OPERATOR) -> None:
        """Delete it; its jobs stay."""
        _require(await self._store.delete_schedule(tenant, _check_name(name), by))

    async def run(self, tenant: str, name: str, traceparent: str | None = None, by: Actor = OPERATOR) -> str:
        """Make a job now, whether the schedule is paused or not, and return its id. Raises OutcomeUnknown, BacklogFull, WholeBacklogFull, StorageFull."""
        found = await self.find(tenant, name)
        self._check_room(tenant, orjson.loads(found.options)["lane"], False)
        job_id = new_job_id()
        _require_still(await self._store.run_schedule(found.id, job_id, traceparent, by))
        return job_id

    async def _keep(self, tenant: str, body: ScheduleBody, by: Actor, replace: bool) -> tuple[Schedule, bool]:
        handler = self._registry[body.kind]
        job = make_job(tenant, handler, self._lanes, self._keep_s, _to_request(body))
        timing = Timing(" ".join(body.cron.split()), body.timezone)
        at = await self._store.clock()
        new = NewSchedule(
            id=str(uuid4()),
            tenant=tenant,
            name=body.name,
            cron=timing.cron,
            timezone=timing.timezone,
            kind=job.kind,
            input=job.input,
            options=_options(handler, job, body),
            catch_up=body.catch_up,
            next_at=next_tick(timing, at),
        )
        kept = await self._store.keep_schedule(new, replace, by)
        if kept is None:
            raise ScheduleExists
        return kept, kept.created_at >= at


def document(schedule: Schedule, prefix: str = "") -> dict[str, Any]:
    """Show a schedule as clients see it, ready for orjson, with links that begin with this prefix."""
    path = f"{prefix}/v1/schedules/{schedule.name}"
    shown = schedule._asdict() | {
        "describes": describe(schedule.cron),
        "options": _shown_options(schedule.options),
        "next_at": None if schedule.paused else schedule.next_at,
        "links": {"self": path} | {verb: f"{path}/{verb}" for verb in ("pause", "resume", "run")},
    }
    if schedule.last_job_id:
        shown["links"]["last_job"] = f"{prefix}/v1/jobs/{schedule.last_job_id}"
    for hidden in ("id", "tenant", "input"):
        del shown[hidden]
    if schedule.input is not None:
        shown["input"] = _shown_input(schedule.input, orjson.loads(schedule.options).get("secrets"))
    return shown


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ScheduleUnknown
    return name


def _require(found: S | None) -> S:
    if not found:
        raise ScheduleUnknown
    return found


def _require_still(found: S | None) -> S:
    """Return what was there a moment ago. Raises TryAgain if it was replaced or deleted meanwhile."""
    if not found:
        raise TryAgain
    return found


def _to_request(body: ScheduleBody) -> SubmitRequest:
    options = SubmitOptions(**body.options.model_dump())
    scopes = frozenset({ANY_LANE})  # who keeps schedules has it
    return SubmitRequest(body.kind, body.input, options, scopes=scopes)


def _shown_input(raw: bytes, secrets: list[str] | None) -> Any:
    return hide(orjson.loads(raw), secrets) if secrets else orjson.Fragment(raw)


def _shown_options(options: str) -> dict[str, Any]:
    """Return the options that a client can set: what comes from the kind and its input is none."""
    shown: dict[str, Any] = orjson.loads(options)
    return {name: value for name, value in shown.items() if name not in _FROM_THE_KIND}


_FROM_THE_KIND = ("keep_s", "handler_version", "searchable", "secrets")


def _options(handler: AnyHandler, job: NewJob, body: ScheduleBody) -> str:
    """Write the options of its jobs, with the kind's present values where the schedule has none.

    Raises Invalid if secrets of the input are the dots that are shown of them.
    """
    secrets = find_secrets(handler.input_model, body.input)
    if dots := [at for at, value in secrets.items() if value == DOTS]:
        detail = "This is secret, and what was shown instead of it: send the value itself."
        raise Invalid([Flaw(f"/input{at}", "hidden", detail) for at in dots])
    options = body.options.model_dump() | {
        "lane": job.lane,
        "priority": job.priority,
        "max_attempts": job.max_attempts,
        "keep_s": job.keep_s,
        "handler_version": job.handler_version,
        "searchable": list(tags_of(handler, body.input)),
        "secrets": list(secrets),
    }
    return orjson.dumps(options).decode()
