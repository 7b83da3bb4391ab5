"""Plans that look at a job, and wait for its end."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from sluice.client.core import WAIT_CAP_S, Core
from sluice.client.documents import read_job
from sluice.client.errors import ApiError, BadAnswer, ServerAway, WaitTimeout
from sluice.client.job import J, JobHandle
from sluice.client.plan import Answer, Attend, Pause, Plan, Request
from sluice.client.sending import TRANSIENT, Deadline, about, read, send
from sluice.client.watching import Watch, Watching

LEAST_BETWEEN_S = 1.0
"""Seconds from one look at a job to the next but one, however often it changes."""
MOST_DIRECT = 8
"""Jobs of a client that are waited for one by one; more are asked for together."""


def until_finished(core: Core[Any], job: JobHandle, deadline: Deadline) -> Plan[None]:
    """Wait until a job has ended. Raises WaitTimeout."""
    if job.finished:
        return
    watching = core.watching
    if len(watching.direct) >= MOST_DIRECT or watching.busy:
        yield from one_of_many(core, job, deadline)
        return
    with _counted(watching):
        yield from _look_until_finished(core, job, deadline)


@contextmanager
def _counted(watching: Watching[Any]) -> Iterator[None]:
    token = object()
    watching.direct.add(token)
    try:
        yield
    finally:
        watching.direct.discard(token)


def _look_until_finished(core: Core[Any], job: JobHandle, deadline: Deadline) -> Plan[None]:
    changed_at = -math.inf
    while True:
        asked_at, version = core.clock(), job.version
        with in_time(job, deadline):
            advice = yield from look(core, job, deadline, wait_s(deadline))
        if job.finished:
            return
        now = core.clock()
        if deadline.over:
            raise WaitTimeout(f"job {job.id} has not ended in time: it is {job.state}", job=job)
        if job.version != version:  # news: look on at once, but not forever so
            pause_s = max(0.0, changed_at + LEAST_BETWEEN_S - now)
            changed_at = now + pause_s
        else:
            pause_s = asked_at + advice - now
        if pause_s > 0:
            yield Pause(min(pause_s, deadline.left_s))


@contextmanager
def in_time(job: JobHandle, deadline: Deadline) -> Iterator[None]:
    """Say that the time is up where the server did not answer by then. Raises WaitTimeout."""
    try:
        yield
    except (ApiError, ServerAway) as error:
        if deadline.over and (isinstance(error, ServerAway) or error.status in TRANSIENT):
            raise WaitTimeout(
                f"job {job.id} has not ended in time, and the server is away", job=job
            ) from error
        raise


def look(core: Core[Any], job: JobHandle, deadline: Deadline, wait_s: float = 0) -> Plan[float]:
    """Look at a job; return after how many seconds the server wants to be asked again. Raises JobExpired, NotFound."""
    headers = {"If-None-Match": f'W/"{job.version}"'} if job.version and not job.finished else {}
    with about(job):
        answer = yield from send(core, waiting(Request("GET", path(job), headers), wait_s), deadline)
        if answer.status != 304:
            take(job, answer)
        elif job.document is None:
            raise BadAnswer("The server says that nothing has changed, to a client that knows nothing.")
    return core.advised_s(answer)


def take(job: JobHandle, answer: Answer) -> None:
    """Take the document of an answer. A strong validator says that it is whole."""
    document = read(read_job, answer)
    job.see(document, whole=answer.headers.get("etag", "").startswith('"'))


def path(job: JobHandle) -> str:
    """Return where a job is."""
    return f"/v1/jobs/{quote(job.id, safe='')}"


def waiting(request: Request, wait_s: float) -> Request:
    """Have the server hold its answer for so many seconds."""
    if wait_s <= 0:
        return request
    headers = {**request.headers, "Prefer": f"wait={wait_s:.3f}"}
    return Request(request.method, request.path, headers, request.body, wait_s, request.repeatable)


def wait_s(deadline: Deadline) -> float:
    """Return for how long the server may hold an answer, so that it is here in time."""
    left_s = deadline.left_s
    return min(WAIT_CAP_S, left_s - min(0.5, left_s * 0.1))


def attend(watch: Watch[J], deadline: Deadline, jobs: list[J]) -> Plan[None]:
    """Wait until something is heard. Raises WaitTimeout, or what ended the watch."""
    yield Attend(watch, deadline.left_s)
    if watch.ended:
        return
    if watch.error is not None:
        watch.error.job = watch.error.job or jobs[0]
        raise watch.error
    if deadline.over:
        open_ = [job for job in jobs if not job.finished]
        raise WaitTimeout(
            f"{len(open_)} jobs have not ended in time", job=open_[0] if open_ else None, jobs=open_
        )


def one_of_many(core: Core[Any], job: JobHandle, deadline: Deadline) -> Plan[None]:
    """Wait for the end of one job, together with all others that are waited for."""
    watching = core.watching
    watch = watching.watch([job])
    try:
        while not watch.ended:
            yield from attend(watch, deadline, [job])
    finally:
        watching.forget(watch)
    if job in watch.unknown:
        yield from look(core, job, deadline)  # says whether it is unknown or not kept any more
