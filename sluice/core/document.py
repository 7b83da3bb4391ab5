"""The JSON document that a client sees of a job, ready to send, with its ETag.

A finished document is rendered once and then only copied: memory, Redis and every answer hold the same bytes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from sluice.core.errors import Malformed
from sluice.core.job import TAG_SEPARATOR, TERMINAL, Job, JobState

_OPTIONS = orjson.OPT_UTC_Z
_RESULT, _COALESCED, _LINKS = b',"result":', b',"coalesced":true', b',"links":'


class Document(NamedTuple):
    """A rendered job. `body[result_start:result_end]` is the output alone (empty if there is none).

    Set for unfinished jobs only: `lane`, `kind`, `priority`, and `since`, in seconds since the epoch: when it was queued, when it started, or
    when a scheduled job is due.
    """

    id: str
    tenant: str
    version: int
    state: str
    result_start: int
    result_end: int
    body: bytes
    lane: str = ""
    since: float = 0.0
    kind: str = ""
    priority: str = ""

    @property
    def finished(self) -> bool:
        """True if the document will never change again."""
        return self.state in TERMINAL

    @property
    def etag(self) -> str:
        """Strong for whole finished documents; weak for others, whose position and ETA move between versions (RFC 9110 §8.8.3)."""
        return f'"{self.version}"' if self.finished and not self.hides else f'W/"{self.version}"'

    @property
    def hides(self) -> bool:
        """True if the job succeeded, and this is what those see who may not see its result."""
        return self.state == JobState.SUCCEEDED and self.result_start == self.result_end

    @property
    def result(self) -> bytes:
        """The output as JSON bytes."""
        return self.body[self.result_start : self.result_end]

    def pack(self) -> bytes:
        """Encode for Redis: one line that says whose document this is, then the body."""
        head = f"{self.id}\t{self.tenant}\t{self.version}\t{self.state}\t{self.result_start}\t{self.result_end}\n"
        return head.encode() + self.body


def unpack(packed: bytes) -> Document:
    """Decode what `pack` wrote. Raises Malformed for anything else."""
    head, _, body = packed.partition(b"\n")
    try:
        job_id, tenant, version, state, start, end = head.decode().split("\t")
        return Document(job_id, tenant, int(version), state, int(start), int(end), body)
    except ValueError as error:
        raise Malformed("not a packed document") from error


def render(job: Job, **more: Any) -> Document:
    """Render the document of a job as it is now. `more` are fields of this answer alone (`coalesced`)."""
    head = orjson.dumps(_fields(job) | more, option=_OPTIONS)
    result, error = job.result, _error(job)
    start = len(head) + len(_RESULT) - 1
    body = b'%s,"result":%s,"error":%s,"links":%s}' % (
        head[:-1], result or b"null", error or b"null", _links(job.id)
    )  # fmt: skip
    end = start + len(result or b"")
    if job.state in TERMINAL:
        return Document(job.id, job.tenant, job.version, job.state, start, end, body)
    about = (job.lane, _since(job), job.kind, job.priority)
    return Document(job.id, job.tenant, job.version, job.state, start, end, body, *about)


def show_under(prefix: str, document: Document) -> Document:
    """Return the document with links that begin with this prefix. Its own are at its end, whatever its result holds."""
    at = document.body.rfind(_LINKS)
    if not prefix or at < document.result_end:
        return document
    return document._replace(body=b"%b%b%b}" % (document.body[:at], _LINKS, _links(document.id, prefix)))


def without_result(document: Document) -> bytes:
    """Return the body as lists and events show it: without the result, which may be large."""
    head = document.body[: document.result_start - len(_RESULT)]
    rest = document.body[document.result_end :]
    return head + (rest if document.result else rest.removeprefix(b"null"))


def hide_result(document: Document) -> Document:
    """Return the document without its result, as those see it who may not."""
    start, end = document.result_start, document.result_end
    if start == end:
        return document
    body = b"%bnull%b" % (document.body[:start], document.body[end:])
    return document._replace(body=body, result_end=start)


def mark_coalesced(document: Document) -> Document:
    """Return the document of an unfinished job as one who shares it sees it, the same as `render(job, coalesced=True)`."""
    head = document.body[: document.result_start - len(_RESULT)]
    if document.finished or head.endswith(_COALESCED):
        return document
    start, end = document.result_start + len(_COALESCED), document.result_end + len(_COALESCED)
    body = head + _COALESCED + document.body[len(head) :]
    return document._replace(body=body, result_start=start, result_end=end)


def _since(job: Job) -> float:
    at = (
        job.queued_at if job.state == "queued" else job.run_at if job.state == "scheduled" else job.started_at
    )
    return at.timestamp() if at else 0.0


def render_item(job: Job, prefix: str = "") -> bytes:
    """Render a job as lists show it: without its result, which may be large. Its links begin with this prefix."""
    head = orjson.dumps(_fields(job), option=_OPTIONS)
    return b'%s,"error":%s,"links":%s}' % (head[:-1], _error(job) or b"null", _links(job.id, prefix))


def _error(job: Job) -> bytes | None:
    return job.error if job.state == "failed" else None


def _fields(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "version": job.version,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "run_at": job.run_at,
        "deadline": job.deadline,
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "lane": job.lane,
        "priority": job.priority,
        "tags": job.tags.split(TAG_SEPARATOR) if job.tags else [],
        "progress": orjson.Fragment(job.progress) if job.progress else None,
        "retry_of": job.retry_of,
        "cancel_requested_at": job.cancel_requested_at,
        "queue_position": None,
        "eta": None,
        "waiting_on": None,
    }


def _links(job_id: str, prefix: str = "") -> bytes:
    own = f"{prefix}/v1/jobs/{job_id}"
    return b'{"self":"%b","result":"%b/result","events":"%b/events","cancel":"%b/cancel"}' % (
        (own.encode(),) * 4
    )
