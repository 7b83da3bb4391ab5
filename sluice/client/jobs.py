"""Plans for one job: submit it, look at it, wait for its end, cancel, retry and delete it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from sluice.client.core import WAIT_CAP_S, Core
from sluice.client.documents import (
    Explanation,
    JobDocument,
    LogLine,
    read_explanation,
    read_job,
    read_log_line,
    read_object,
)
from sluice.client.errors import (
    ApiError,
    BadAnswer,
    JobCancelled,
    JobFailed,
    ServerAway,
    WaitTimeout,
)
from sluice.client.job import J, JobHandle
from sluice.client.plan import Answer, Emit, Pause, Plan, Request
from sluice.client.sending import Deadline, about, advice_s, read, send
from sluice.client.values import Key, SubmitOptions, encode, new_key, typed

LEAST_BETWEEN_S = 1.0
"""Seconds from one look at a job to the next but one, however often it changes."""


def submission(kind: str, input: Any, key: str | Key | None, options: SubmitOptions) -> Request:
    """Make the request that submits a job. Its key and bytes stay the same however often it is sent."""
    unknown = options.keys() - SubmitOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"a submit has no option {min(unknown)!r}")
    body: dict[str, Any] = {"kind": kind, "input": {} if input is None else input}
    if options:
        body["options"] = options
    key = new_key(key)
    headers = {"Content-Type": "application/json"} | (
        {"Idempotency-Key": f'"{key}"'} if key is not None else {}
    )
    return Request("POST", "/v1/jobs", headers, encode(body), repeatable=key is not None)


def submit(core: Core[J], request: Request, deadline: Deadline, wait_s: float = 0) -> Plan[J]:
    """Submit a job, and have the server wait for its end for so many seconds."""
    answer = yield from send(core, waiting(request, wait_s), deadline)
    document = read(read_job, answer)
    job = core.handle(document.id, document)
    job.see(document, whole=document.finished)
    return job


def run(core: Core[J], request: Request, deadline: Deadline, as_: Any, cancel: bool) -> Plan[Any]:
    """Submit a job, wait for its end, and return its result."""
    job = yield from submit(core, request, deadline, wait_s(deadline))
    return (yield from result(core, job, deadline, as_, cancel))


def result(core: Core[J], job: J, deadline: Deadline, as_: Any = None, cancel: bool = False) -> Plan[Any]:
    """Wait for the end of a job, and return its result. Raises what it ended with."""
    with about(job):
        try:
            yield from until_finished(core, job, deadline)
        except WaitTimeout:
            if cancel:
                yield from act(core, job, "cancel", core.deadline(core.answer_s))
            raise
        return typed((yield from outcome(core, job)), as_, job)


def outcome(core: Core[J], job: J) -> Plan[Any]:
    """Return the result of a finished job. Raises JobFailed, JobCancelled."""
    document = seen(job)
    if document.state == "failed":
        raise JobFailed(document.error, job=job)
    if document.state == "cancelled":
        raise JobCancelled(f"job {job.id} was cancelled", job=job)
    if document.state != "succeeded":
        raise BadAnswer(
            f"job {job.id} has ended as {document.state[:64]!r}, which this client does not know", job=job
        )
    if document.result is None and not job.whole:
        # None, or a result that this answer left out: events and lists do, and all answers to keys without `payloads`
        answer = yield from send(core, Request("GET", f"{path(job)}/result"))
        return read(lambda value: value, answer)
    return document.result


def until_finished(core: Core[J], job: J, deadline: Deadline) -> Plan[None]:
    """Wait until a job has ended. Raises WaitTimeout."""
    if not job.finished:
        with _counted(core):
            yield from _look_until_finished(core, job, deadline)


@contextmanager
def _counted(core: Core[Any]) -> Iterator[None]:
    token = object()
    core.direct.add(token)
    try:
        yield
    finally:
        core.direct.discard(token)


def _look_until_finished(core: Core[J], job: J, deadline: Deadline) -> Plan[None]:
    changed_at = -math.inf
    while True:
        asked_at, version = core.clock(), job.version
        try:
            advice = yield from look(core, job, deadline, wait_s(deadline))
        except (ApiError, ServerAway) as error:
            if deadline.over:
                raise WaitTimeout(
                    f"job {job.id} has not ended in time, and the server is away", job=job
                ) from error
            raise
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


def look(core: Core[J], job: J, deadline: Deadline, wait_s: float = 0) -> Plan[float]:
    """Look at a job; return after how many seconds the server wants to be asked again. Raises JobExpired, NotFound."""
    headers = {"If-None-Match": f'W/"{job.version}"'} if job.version and not job.finished else {}
    with about(job):
        answer = yield from send(core, waiting(Request("GET", path(job), headers), wait_s), deadline)
        if answer.status != 304:
            take(job, answer)
    return advised(core, answer)


def refresh(core: Core[J], job: J) -> Plan[JobDocument]:
    """Look at a job, and return its document."""
    yield from look(core, job, core.deadline(None))
    return seen(job)


def seen(job: JobHandle) -> JobDocument:
    """Return the document of a job that somebody has looked at."""
    if job.document is None:
        raise BadAnswer("The server says that nothing has changed, to a client that knows nothing.", job=job)
    return job.document


def advised(core: Core[Any], answer: Answer) -> float:
    """Return after how many seconds to ask again: what the server says, at least one, and a little more at random."""
    told = max(advice_s(answer.headers) or 1.0, 1.0)
    return told * (1 + 0.1 * core.random())


def take(job: JobHandle, answer: Answer) -> None:
    """Take the document of an answer. A strong validator says that it is whole."""
    document = read(read_job, answer)
    job.see(document, whole=answer.headers.get("etag", "").startswith('"'))


def act(core: Core[J], job: J, verb: str, deadline: Deadline) -> Plan[None]:
    """Cancel a job, or whatever else is asked of it and answered with its document. It may be asked twice."""
    with about(job):
        take(job, (yield from send(core, Request("POST", f"{path(job)}/{verb}"), deadline)))


def retry(core: Core[J], job: J) -> Plan[J]:
    """Try a failed job again, and return the new job: the same one however often that is asked."""
    with about(job):
        document = read(read_job, (yield from send(core, Request("POST", f"{path(job)}/retry"))))
    new = core.handle(document.id, document)
    new.see(document)
    return new


def delete(core: Core[J], job: J) -> Plan[None]:
    """Delete a finished job, its result and its logs."""
    with about(job):
        yield from send(core, Request("DELETE", path(job)))


def explain(core: Core[J], job: J) -> Plan[Explanation]:
    """Ask why a job is not done."""
    with about(job):
        return read(read_explanation, (yield from send(core, Request("GET", f"{path(job)}/explain"))))


def attempts(core: Core[J], job: J) -> Plan[list[dict[str, Any]]]:
    """Ask for the attempts that did not succeed."""
    with about(job):
        answer = yield from send(core, Request("GET", f"{path(job)}/attempts"))
        return read(lambda value: [read_object(each) for each in value["attempts"]], answer)


def logs(core: Core[J], job: J) -> Plan[None]:
    """Emit the lines that the job's handler has logged so far."""
    token: str | None = ""
    while token is not None:
        more = f"&page_token={quote(token, safe='')}" if token else ""
        with about(job):
            answer = yield from send(core, Request("GET", f"{path(job)}/logs?page_size=1000{more}"))
            lines, token = read(_read_lines, answer)
        for line in lines:
            yield Emit(line)


def _read_lines(value: Any) -> tuple[list[LogLine], str | None]:
    token = value["next_page_token"]
    return [read_log_line(each) for each in value["lines"]], str(token) if token is not None else None


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
