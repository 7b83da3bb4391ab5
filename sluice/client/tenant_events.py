"""The plan that tells what happens to all jobs of the tenant, as it happens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sluice.client.core import Core
from sluice.client.documents import Raw, read_object
from sluice.client.errors import BadAnswer
from sluice.client.following import SILENCE_S, EventParser
from sluice.client.plan import Broken, Emit, Pause, Plan, Read, Request
from sluice.client.sending import Deadline, open_stream, read


@dataclass(frozen=True, slots=True)
class TenantEvent:
    """What happened: `name` is `state`, `progress`, `log`, `end` or `reset`, `data` what the API says with it; see docs/http-api.md."""

    name: str
    data: Raw

    @property
    def job_id(self) -> str | None:
        """The job that it happened to; None for `reset`."""
        return self.data.get("id") or self.data.get("job_id")


def events(core: Core[Any], deadline: Deadline) -> Plan[None]:
    """Emit what happens from now on, until the deadline. Whenever a stream breaks off, another is begun, and tells `reset` first."""
    parser = EventParser()
    while not deadline.over:
        parser.begin()
        headers = {"Accept": "text/event-stream"}
        if parser.last_id:
            headers["Last-Event-ID"] = parser.last_id
        request = Request("GET", "/v1/events", headers, wait_s=SILENCE_S)
        answer = yield from open_stream(core, request, deadline)
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            raise BadAnswer("The answer is no stream of events.")
        yield from _tell(parser, deadline)
        yield Pause(min(parser.retry_s * (0.5 + core.random()), deadline.left_s))


def _tell(parser: EventParser, deadline: Deadline) -> Plan[None]:
    while not deadline.over:
        chunk = yield Read(min(SILENCE_S, deadline.left_s))
        if chunk is None or isinstance(chunk, Broken):
            return
        for event in parser.feed(chunk):
            yield Emit(TenantEvent(event.name, read(read_object, event.data.encode())))
