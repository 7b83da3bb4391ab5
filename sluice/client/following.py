"""Plans that tell what happens to a job as it happens: by events, or by polls where events do not get through."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from sluice.client.core import WAIT_CAP_S, Core
from sluice.client.documents import read_job, read_log_line, read_object
from sluice.client.errors import ApiError, BadAnswer, WaitTimeout
from sluice.client.job import JobHandle
from sluice.client.looking import LEAST_BETWEEN_S, in_time, look, path
from sluice.client.plan import Answer, Broken, Emit, Pause, Plan, Read, Request
from sluice.client.sending import Deadline, about, open_stream, read

SILENCE_S = 45.0
"""Seconds without a byte after which a stream is given up. The server sends something every 15."""
MOST_SILENT = 2
"""Streams in a row that may tell nothing before polls take their place."""
MOST_BYTES = 4 * 1024 * 1024
"""Bytes of one event."""

_LINE_END = re.compile(rb"\r\n|\n|\r(?=.)", re.DOTALL)


class Event(NamedTuple):
    """An event of a stream."""

    name: str
    data: str


class EventParser:
    """Reads server-sent events of so many bytes at most. `last_id` is what to continue from, `retry_s` how long to wait before."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self.last_id = ""
        self.retry_s = 3.0
        self._rest = b""
        self._name, self._id = "", ""
        self._data: list[str] = []
        self._size = 0

    def begin(self) -> None:
        """Forget what is left of a stream that has broken off."""
        self._rest, self._name, self._data, self._size = b"", "", [], 0

    def feed(self, chunk: bytes) -> list[Event]:
        """Take bytes as they came; return the events that are whole by now. Raises BadAnswer."""
        *lines, self._rest = _LINE_END.split(self._rest + chunk)
        if len(self._rest) + self._size > self._most_bytes:
            raise BadAnswer("The stream has an event without end.")
        return [event for line in lines if (event := self._take(line.decode("utf-8", "replace")))]

    def _take(self, line: str) -> Event | None:
        if not line:
            self.last_id = self._id or self.last_id
            event = Event(self._name or "message", "\n".join(self._data)) if self._data else None
            self._name, self._data, self._size = "", [], 0
            return event
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
            self._size += len(value) + 1  # lines may be empty, and without end as well
        elif name == "event":
            self._name = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit() and len(value) < 8:
            self.retry_s = int(value) / 1000
        return None


def follow(core: Core[Any], job: JobHandle, deadline: Deadline, logs: bool) -> Plan[None]:
    """Emit the documents of a job as it changes, the last one too; with `logs` the lines of its handler as well."""
    parser, silent = EventParser(), 0
    with about(job), in_time(job, deadline):
        while silent < MOST_SILENT and not deadline.over:
            heard = yield from _listen(core, job, deadline, parser, logs)
            if heard is None:
                return
            silent = 0 if heard else silent + 1
            yield Pause(min(parser.retry_s * (0.5 + core.random()), deadline.left_s))
        yield from _poll(core, job, deadline)


def _listen(
    core: Core[Any], job: JobHandle, deadline: Deadline, parser: EventParser, logs: bool
) -> Plan[bool | None]:
    """Tell what one stream tells; return whether it told anything, or None if it told the end."""
    parser.begin()
    answer = yield from _start(core, job, deadline, parser)
    if answer is None:
        return False
    if answer.status == 204:  # the end was told before
        return None
    heard = False
    while not deadline.over:
        chunk = yield Read(min(SILENCE_S, deadline.left_s))
        if chunk is None or isinstance(chunk, Broken):
            break
        for event in parser.feed(chunk):
            heard = True
            for value in _meaning(job, event, logs):
                yield Emit(value)
            if event.name == "end":
                return None
    return heard


def _start(core: Core[Any], job: JobHandle, deadline: Deadline, parser: EventParser) -> Plan[Answer | None]:
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": parser.last_id} if parser.last_id else {})
    request = Request("GET", f"{path(job)}/events", headers, wait_s=SILENCE_S)
    try:
        answer = yield from open_stream(core, request, deadline)
    except ApiError as error:
        if error.type in ("not-found", "http-error"):
            return None  # a server without events, or something between us and it
        raise
    is_stream = answer.headers.get("content-type", "").startswith("text/event-stream")
    return answer if is_stream or answer.status == 204 else None


def _meaning(job: JobHandle, event: Event, logs: bool) -> list[Any]:
    if event.name in ("state", "end"):
        job.see(read(read_job, event.data.encode()))
        return [job.document]
    if event.name == "progress" and job.document is not None:
        news = read(read_object, event.data.encode())
        moved = {name: news[name] for name in ("version", "attempt", "progress") if name in news}
        job.see(read_job({**job.document.raw, **moved}))
        return [job.document]
    if event.name == "log" and logs:
        return [read(read_log_line, event.data.encode())]
    return []


def _poll(core: Core[Any], job: JobHandle, deadline: Deadline) -> Plan[None]:
    """Tell of changes by asking for them, and of the end."""
    told = -1
    while True:
        asked_at = core.clock()
        advice_s = yield from look(core, job, deadline, min(WAIT_CAP_S, deadline.left_s) if told >= 0 else 0)
        changed = job.version != told
        if changed:
            told = job.version
            yield Emit(job.document)
        if job.finished:
            return
        if deadline.over:
            raise WaitTimeout(f"job {job.id} has not ended in time: it is {job.state}", job=job)
        next_at = asked_at + (LEAST_BETWEEN_S if changed else advice_s)
        yield Pause(max(0.0, min(next_at - core.clock(), deadline.left_s)))
