"""Read the body of a batch, one JSON document or lines of JSON, and submit its items."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from starlette.requests import Request

from api.batches.batches import Batches, Opened, Outcomes
from api.batches.items import Sender, prepare_items, prepare_lines
from api.batches.lines import MOST_BODY as MOST_IN_LINES
from api.batches.lines import Line, LineReader
from api.batches.schemas import ReadBatch, read_batch
from api.http.body import LINES, BodyLimits, check_headers, read_json_body
from api.http.dependencies import parts_of
from api.http.edge import TRACEPARENT
from api.http.held_bytes import HeldBody
from api.http.rate_limits import charge_more
from api.jobs.idempotency_key import IdempotencyKey, read_idempotency_key
from api.jobs.prepared_job import LARGE
from api.jobs.submit import Submission
from api.keys.keyring import Identity
from sluice.core.strict_json import Raw
from sluice.errors import SluiceError

MOST_BODY = 4 * 1024 * 1024
"""Bytes of a batch in one JSON document, unless a kind takes more in one input."""
READ_AT_ONCE = 64 * 1024
"""Bytes of a body that is read without a thread."""

Submitted = tuple[Opened, SluiceError | None]
"""The batch, and why not all of its items arrived, if so."""


async def submit_json(request: Request, caller: Identity, held: HeldBody, outcomes: Outcomes) -> Submitted:
    """Read all items, then submit them. Raises what refuses the whole: then nothing was accepted."""
    parts = parts_of(request)
    _check_room(request)
    limits = parts[BodyLimits]
    body = await read_json_body(request, max(MOST_BODY, limits.largest), limits.timeout_s, held)
    large = len(body) > LARGE
    asked, key = await _read(request, body)
    del body  # or it would be held until all is accepted
    await charge_more(request.scope, len(asked.jobs))
    sender = Sender(caller.tenant, request.scope.get(TRACEPARENT), key, caller.scopes)
    items = await prepare_items(parts[Submission], sender, asked.jobs, large)
    asked.jobs.clear()
    batches = parts[Batches]
    submit = batches.submit_whole if asked.atomic else batches.submit
    return await submit(sender, items, outcomes), None


async def submit_lines(request: Request, caller: Identity, held: HeldBody, outcomes: Outcomes) -> Submitted:
    """Submit items as they arrive. Raises what refuses the whole: then nothing was accepted."""
    parts = parts_of(request)
    _check_room(request)
    limits = parts[BodyLimits]
    check_headers(request.scope["headers"], MOST_IN_LINES, LINES)
    # What the lines are is not known before the last: each has a key of its own, which tells whether it is another.
    key = read_idempotency_key(request, b"lines")
    sender = Sender(caller.tenant, request.scope.get(TRACEPARENT), key, caller.scopes)
    lines = LineReader(request.receive, limits.largest, limits.timeout_s, held).read()
    items = prepare_lines(parts[Submission], sender, _charged(request, lines))
    return await parts[Batches].submit_stream(sender, items, outcomes)


def _check_room(request: Request) -> None:
    """Refuse a batch unread while commits are slow, but for one with a key, which may have been accepted before. Raises Overloaded."""
    if all(name != b"idempotency-key" for name, _ in request.scope["headers"]):
        parts_of(request)[Submission].check_room(bulk=True)


async def _charged(request: Request, lines: AsyncIterator[Sequence[Line]]) -> AsyncIterator[Sequence[Line]]:
    """Count lines as they come; the first was counted with the request. Raises RateLimited, and what reading them raises."""
    paid = 1
    async for some in lines:
        await charge_more(request.scope, len(some), paid)
        paid = 0
        yield some


async def _read(request: Request, body: Raw) -> tuple[ReadBatch, IdempotencyKey | None]:
    """Read a body and hash it if it came with a key; of large ones one at a time, in a thread."""

    def read() -> tuple[ReadBatch, IdempotencyKey | None]:
        return read_batch(body), read_idempotency_key(request, body)

    if len(body) <= READ_AT_ONCE:
        return read()
    async with parts_of(request)[Submission].one_large:
        return await asyncio.to_thread(read)
