"""The list of jobs as a file: a document of the API in each line, or rows for a spreadsheet. It is sent as it is read, and bounded."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from time import monotonic
from typing import Any, Protocol

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from api.listing.listing import JobQuery, Listing, Page
from sluice.core.document import render_item
from sluice.core.errors import Overloaded
from sluice.core.job import Job
from sluice.errors import SluiceError

MOST_JOBS = 10_000
AT_ONCE = 500
LONGEST_S = 60.0
"""Seconds after which no further page is read: a filter that little fits has to look at many jobs for few."""
TURN_S = 1.0
"""Seconds to wait while as many files are being sent as may be."""
COLUMNS = (
    "id", "kind", "state", "lane", "priority", "attempt", "max_attempts", "created_at", "started_at", "finished_at", "tags", "retry_of",
    "error_title", "error_detail",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""With what a cell begins that spreadsheets would calculate."""


class Lines(Protocol):
    """How jobs are written: `head` comes first, `end` says in the last line that the file is cut."""

    media_type: str
    suffix: str
    head: bytes

    def line(self, job: Job) -> bytes:
        """Write a job."""

    def end(self, why: str) -> bytes:
        """Write why the file ends before the list does."""


class JsonLines:
    """A document of the API in each line."""

    media_type, suffix, head = "application/x-ndjson", "ndjson", b""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def line(self, job: Job) -> bytes:
        """Write the document that lists show."""
        return render_item(job, self._prefix).replace(b"\n", b" ") + b"\n"

    def end(self, why: str) -> bytes:
        """Write an object that is no job."""
        return orjson.dumps({"cut": why}) + b"\n"


class Csv:
    """A row for each job (RFC 4180), of which no cell is a formula."""

    media_type, suffix = "text/csv; charset=utf-8", "csv"

    def __init__(self, prefix: str) -> None:
        self.head = _row(COLUMNS)

    def line(self, job: Job) -> bytes:
        """Write what a list shows, the title and the detail of an error apart."""
        shown: dict[str, Any] = orjson.loads(render_item(job))
        error: Mapping[str, Any] = shown["error"] or {}
        shown |= {"error_title": error.get("title") or error.get("type"), "error_detail": error.get("detail")}
        return _row([shown["tags"] if name == "tags" else shown[name] for name in COLUMNS])

    def end(self, why: str) -> bytes:
        """Write a row that is no job."""
        return _row([f"cut: {why}"])


FORMATS: Mapping[str, Callable[[str], Lines]] = {"csv": Csv, "ndjson": JsonLines}


class JobExport:
    """Sends what a query finds, newest first; `turns` bounds how many are sent at once."""

    def __init__(self, listing: Listing, query: JobQuery, lines: Lines, turns: asyncio.Semaphore) -> None:
        self._listing, self._query, self._lines, self._turns = listing, query, lines, turns

    async def answer(self, request: Request) -> Response:
        """Read the first page, so that what is wrong is answered as such, and send it and those that follow. Raises Overloaded, Invalid."""
        lines = self._lines
        headers = {
            "content-disposition": f'attachment; filename="jobs.{lines.suffix}"', "cache-control": "no-store", "vary": "cookie",
        }  # fmt: skip
        first = await self._page(None)
        if request.method == "HEAD":
            return Response(None, 200, headers, lines.media_type)
        try:
            async with asyncio.timeout(TURN_S):
                await self._turns.acquire()
        except TimeoutError:
            raise Overloaded from None
        return _Held(self._write(first), self._turns, headers, lines.media_type)

    async def _write(self, page: Page) -> AsyncIterator[bytes]:
        until, left = monotonic() + LONGEST_S, MOST_JOBS
        yield self._lines.head
        while True:
            yield b"".join(map(self._lines.line, page.jobs[:left]))
            left -= len(page.jobs)
            if left < 0 or (left == 0 and page.next_token):
                yield self._lines.end("there are more jobs that fit: narrow the filter")
                return
            if page.next_token is None:
                return
            if monotonic() > until:
                yield self._lines.end("it took too long: narrow the filter")
                return
            try:
                page = await self._page(page.next_token)
            except SluiceError as error:
                yield self._lines.end(str(error) or "the record did not answer")
                return

    async def _page(self, token: str | None) -> Page:
        return await self._listing.page(self._query, AT_ONCE, token)


class _Held(StreamingResponse):
    """Gives its turn back at the end, also when the client goes away before it has begun."""

    def __init__(
        self, body: AsyncIterator[bytes], turns: asyncio.Semaphore, headers: Mapping[str, str], media: str
    ) -> None:
        super().__init__(body, 200, headers, media)
        self._turns = turns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._turns.release()


def _row(cells: Iterable[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow([_cell(each) for each in cells])
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    text = ", ".join(value) if isinstance(value, list) else "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
