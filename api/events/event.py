"""One event as text/event-stream has it: encoded once, and shared by every stream that shows it."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import orjson

from api.events.job_logs import Line, Place
from sluice.core.document import Document, render, show_under, without_result
from sluice.core.job import Job, JobState

BEAT = b":\n\n"
"""A comment, for proxies that close what is silent."""
_CURSOR = re.compile(rb"(\d{1,9})-(\d{1,9})\.(\d{1,9})")


class Event:
    """What happened to a job. `last` is true if nothing more will.

    `version` is that of the job, or `place` that of the line that was logged. What it says may depend on the prefix of its links.
    """

    __slots__ = ("_data", "_encoded", "last", "name", "place", "version")

    def __init__(
        self, name: str, data: Callable[[str], bytes], version: int = 0, place: Place | None = None
    ) -> None:
        self.name, self._data, self.version, self.place = name, data, version, place
        self.last = name == "end"
        self._encoded: dict[str, bytes] = {}

    def encode(self, prefix: str) -> bytes:
        """Encode it, with links that begin with this prefix, but for its id."""
        if prefix not in self._encoded:
            self._encoded[prefix] = b"event: %b\ndata: %b\n\n" % (self.name.encode(), self._data(prefix))
        return self._encoded[prefix]


def show_document(document: Document) -> Event:
    """Make the event of a job that stands like this."""
    name = "end" if document.finished else "state"
    return Event(name, lambda prefix: without_result(show_under(prefix, document)), document.version)


def show_change(job: Job) -> Event:
    """Make the event of a job that has changed: while it runs, that is its progress, unless it is to be cancelled."""
    if job.state != JobState.RUNNING or job.progress is None or job.cancel_requested_at is not None:
        return show_document(render(job))
    told = {
        "id": job.id,
        "version": job.version,
        "attempt": job.attempt,
        "progress": orjson.Fragment(job.progress),
    }
    return Event("progress", partial(_same, orjson.dumps(told)), job.version)


def show_line(job_id: str, line: Line) -> Event:
    """Make the event of a line that was logged."""
    data = b'{"job_id":"%b",%b' % (job_id.encode(), line.text[1:])
    return Event("log", partial(_same, data), place=line.place)


def show_reset(what: str) -> Event:
    """Make the event that says that something was missed, and what to read to know it."""
    return Event("reset", partial(_same, orjson.dumps({"detail": what})))


def write_cursor(version: int, place: Place) -> bytes:
    """Write how far a stream of a job has come, as the id of its event."""
    return b"%d-%d.%d" % (version, place.fence, place.number)


def read_cursor(text: bytes) -> tuple[int, Place] | None:
    """Read what `write_cursor` wrote; None for anything else."""
    found = _CURSOR.fullmatch(text)
    return (int(found[1]), Place(int(found[2]), int(found[3]))) if found else None


def _same(data: bytes, _prefix: str) -> bytes:
    return data
