"""Tell a stream how things stand: at its beginning, after a pause of its client, or when it was too slow."""

from __future__ import annotations

from collections.abc import AsyncIterator

from api.events.event import Event, show_document, show_line, show_reset
from api.events.feed import LINES_MISSED, Feed
from api.events.job_logs import BEFORE_ALL, JobLogs, Place, is_cut, lines_behind
from api.events.stream import JobStream, TenantStream
from api.jobs.lookup import Lookup
from sluice.core.errors import JobExpired, JobUnknown

MISSED = "Events were missed: list or look up the jobs that matter to you."
BLOCKS = 2
"""Attempts whose lines are read at once, so that a stream that begins holds few bytes of a long log."""


class CatchingUp:
    """Reads what a stream has to be told, in parts. Raises ServerAway, TryAgain, Overloaded; then `tell` can be called again."""

    def __init__(self, lookup: Lookup, logs: JobLogs, feed: Feed) -> None:
        self._lookup, self._logs, self._feed = lookup, logs, feed

    async def tell(self, stream: JobStream | TenantStream) -> AsyncIterator[bytes]:
        """Yield what is to be sent to this stream."""
        stream.behind = False
        if isinstance(stream, JobStream):
            async for data in self._tell_job(stream):
                yield data
        else:
            yield stream.write([show_reset(MISSED)])

    async def _tell_job(self, stream: JobStream) -> AsyncIterator[bytes]:
        try:
            document = await self._lookup.find(stream.tenant, stream.job_id)
        except (JobUnknown, JobExpired):
            stream.end()  # it was deleted, and who comes again hears so
            return
        state, is_new = show_document(document), not stream.version
        if not document.finished:
            yield stream.write([state])
        newest = BEFORE_ALL
        while True:
            events, seen = await self._read_lines(stream, document.finished, is_new)
            newest = max(newest, seen)
            if not events:
                break
            yield stream.write(events)
        self._feed.begin(stream, newest)
        yield stream.write([state])

    async def _read_lines(self, stream: JobStream, finished: bool, is_new: bool) -> tuple[list[Event], Place]:
        """Return the next lines that are new to the stream, and the newest place that was seen."""
        place = stream.place
        blocks = (await self._logs.read(stream.job_id, place, finished, most=BLOCKS)).blocks
        events = [show_line(stream.job_id, line) for line in lines_behind(place, blocks)]
        if events and is_cut(place, blocks) and not is_new:
            events.insert(0, show_reset(LINES_MISSED))
        newest = max(
            (Place(each.fence, each.first + each.lines.count(b"\n")) for each in blocks), default=BEFORE_ALL
        )
        return events, newest
