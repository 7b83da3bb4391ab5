"""Prepare the items of a batch: each is read and checked like a submit of its own, and may carry a key of its own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from api.batches.lines import Line
from api.jobs.idempotency_key import IdempotencyKey
from api.jobs.make_job import SubmitRequest
from api.jobs.prepared_job import PreparedJob
from api.jobs.submit import Submission
from api.jobs.submit_body import prepare_body, read_request
from sluice.core.errors import Flaw, Invalid
from sluice.core.fingerprint import canonical
from sluice.core.strict_json import Raw, parse
from sluice.errors import SluiceError

HASHED = b"POST /v1/batches\n"
_KEY = re.compile(r"[ -~]{1,255}")
_BETWEEN = "\x1f"
"""Between the key of a batch and the position of an item: no header and no item has it in its key."""

Prepared = PreparedJob | SluiceError
"""An item that was checked, or why it is refused."""


class Sender(NamedTuple):
    """Whose items they are, the trace of their request, its Idempotency-Key, and the scopes of its API key."""

    tenant: str
    traceparent: str | None
    key: IdempotencyKey | None
    scopes: frozenset[str] = frozenset()


async def prepare_items(
    submission: Submission, sender: Sender, items: Sequence[Any], in_thread: bool
) -> list[Prepared]:
    """Prepare values of JSON, with `in_thread` each in a thread, as it may take long. Others have their turns in between."""
    prepared: list[Prepared] = []
    for index, item in enumerate(items):
        try:
            request, key = read_item(item, index, sender)
            prepared.append(await _prepare(submission, sender, request, key, in_thread))
        except SluiceError as error:
            prepared.append(error)
        await asyncio.sleep(0)
    return prepared


async def prepare_lines(
    submission: Submission, sender: Sender, lines: AsyncIterator[Sequence[Line]]
) -> AsyncIterator[list[Prepared]]:
    """Prepare lines as they come, the long ones in a thread. Raises what reading them raises."""
    index = 0
    async for some in lines:
        prepared: list[Prepared] = []
        for line in some:
            prepared.append(await _prepare_line(submission, sender, line, index))
            index += 1
            await asyncio.sleep(0)
        yield prepared


def read_item(item: Any, index: int, sender: Sender) -> tuple[SubmitRequest, IdempotencyKey | None]:
    """Read what an item asks for, and the key that it has of its own or through that of its batch. Raises Invalid."""
    if type(item) is not dict or "key" not in item:
        own, rest = None, item
    else:
        own, rest = item["key"], {name: value for name, value in item.items() if name != "key"}
        if own is not None and (type(own) is not str or not _KEY.fullmatch(own)):
            detail = "A key is 1 to 255 visible ASCII characters and spaces."
            raise Invalid([Flaw("/key", "invalid-key", detail)])
    request = read_request(rest, sender.scopes)
    key = own or (sender.key and f"{sender.key.key}{_BETWEEN}{index}")
    return request, IdempotencyKey(key, sha256(HASHED + canonical(rest)).digest()) if key else None


async def _prepare_line(submission: Submission, sender: Sender, line: Line, index: int) -> Prepared:
    def read(raw: Raw) -> tuple[SubmitRequest, IdempotencyKey | None]:
        return read_item(parse(raw), index, sender)

    if isinstance(line, SluiceError):
        return line
    try:
        return await prepare_body(submission, sender.tenant, line, read, sender.traceparent)
    except SluiceError as error:
        return error


async def _prepare(
    submission: Submission,
    sender: Sender,
    request: SubmitRequest,
    key: IdempotencyKey | None,
    in_thread: bool,
) -> PreparedJob:
    if not in_thread or submission.runs_python(request.kind):
        return submission.prepare(sender.tenant, request, sender.traceparent, key)
    async with submission.one_large:
        return await asyncio.to_thread(submission.prepare, sender.tenant, request, sender.traceparent, key)
