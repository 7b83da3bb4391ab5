"""Plans for one job: submit it, look at it, wait for its end, cancel, retry and delete it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from sluice.client.core import Core
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
    BadAnswer,
    JobCancelled,
    JobFailed,
    WaitTimeout,
)
from sluice.client.job import J, JobHandle
from sluice.client.looking import look, path, take, until_finished, wait_s, waiting
from sluice.client.plan import Emit, Plan, Request
from sluice.client.sending import Deadline, about, read, send
from sluice.client.values import Key, SubmitOptions, encode, new_key, typed


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


def result(
    core: Core[Any], job: JobHandle, deadline: Deadline, as_: Any = None, cancel: bool = False
) -> Plan[Any]:
    """Wait for the end of a job, and return its result. Raises what it ended with."""
    with about(job):
        try:
            yield from until_finished(core, job, deadline)
        except WaitTimeout:
            if cancel:
                yield from act(core, job, "cancel", core.deadline(core.answer_s))
            raise
        return typed((yield from outcome(core, job)), as_, job)


def outcome(core: Core[Any], job: JobHandle) -> Plan[Any]:
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
        core.sees_results = True
        return read(lambda value: value, answer)
    return document.result


def refresh(core: Core[Any], job: JobHandle) -> Plan[JobDocument]:
    """Look at a job, and return its document."""
    yield from look(core, job, core.deadline(None))
    return seen(job)


def seen(job: JobHandle) -> JobDocument:
    """Return the document of a job that somebody has looked at."""
    if job.document is None:
        raise BadAnswer("The server says that nothing has changed, to a client that knows nothing.", job=job)
    return job.document


def act(core: Core[Any], job: JobHandle, verb: str, deadline: Deadline) -> Plan[None]:
    """Cancel a job, or whatever else is asked of it and answered with its document. It may be asked twice."""
    with about(job):
        take(job, (yield from send(core, Request("POST", f"{path(job)}/{verb}"), deadline)))


def retry(core: Core[J], job: JobHandle) -> Plan[J]:
    """Try a failed job again, and return the new job: the same one however often that is asked."""
    with about(job):
        document = read(read_job, (yield from send(core, Request("POST", f"{path(job)}/retry"))))
    new = core.handle(document.id, document)
    new.see(document)
    return new


def delete(core: Core[Any], job: JobHandle) -> Plan[None]:
    """Delete a finished job, its result and its logs."""
    with about(job):
        yield from send(core, Request("DELETE", path(job)))


def explain(core: Core[Any], job: JobHandle) -> Plan[Explanation]:
    """Ask why a job is not done."""
    with about(job):
        return read(read_explanation, (yield from send(core, Request("GET", f"{path(job)}/explain"))))


def attempts(core: Core[Any], job: JobHandle) -> Plan[list[dict[str, Any]]]:
    """Ask for the attempts that did not succeed."""
    with about(job):
        answer = yield from send(core, Request("GET", f"{path(job)}/attempts"))
        return read(lambda value: [read_object(each) for each in value["attempts"]], answer)


def logs(core: Core[Any], job: JobHandle) -> Plan[None]:
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
