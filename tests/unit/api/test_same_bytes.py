"""The bytes of a request that was answered with a result are not parsed again while process memory has that result."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from time import time
from typing import Any

import orjson
import pytest

from api import recall, submission
from api.answers import Answer
from core.errors import Malformed
from core.telemetry import Event
from tests.unit.api.test_submission import Desk

PURE = orjson.dumps({"kind": "demo.pure", "input": {"values": [1, 2]}})


class Watched(Desk):
    """A desk that counts the bodies it parses. Jobs end at the time it is now, by which their age is known."""

    def __init__(self) -> None:
        super().__init__()
        self.parsed = 0

    async def body(self, raw: bytes = PURE, tenant: str = "acme") -> Answer:
        """Submit these bytes."""
        return await self.submission.submit_body(tenant, raw, None)

    async def reused(self, raw: bytes = PURE) -> Answer:
        """Submit, let it succeed, and submit again, so that these bytes are known."""
        first = await self.body(raw)
        self.record.succeed(first.document.id)
        answer = await self.body(raw)
        assert answer.reused
        return answer


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    desk, read = Watched(), submission.read_submit

    def counting(raw: bytes) -> submission.Submit:
        desk.parsed += 1
        return read(raw)

    monkeypatch.setattr(submission, "read_submit", counting)
    desk.record.now = desk.record.now.fromtimestamp(time(), desk.record.now.tzinfo)
    yield desk
    await asyncio.wait_for(desk.submission.drain(), 5)


async def test_a_body_that_was_answered_with_a_result_is_answered_again_unread(desk: Watched) -> None:
    known = await desk.reused()
    asked = desk.store.calls["find_same"]
    for _ in range(3):
        again = await desk.body()
        assert (again.document, again.reused) == (known.document, True)
        assert 0 <= again.age_s <= 60 - again.ttl_s <= 60
    assert (desk.parsed, desk.events.count(Event.REUSED)) == (2, 4)
    assert desk.store.calls["find_same"] == asked


@pytest.mark.parametrize("raw", [PURE + b" ", PURE.replace(b"[1,2]", b"[1,3]")])
async def test_other_bytes_are_read(desk: Watched, raw: bytes) -> None:
    await desk.reused()
    await desk.body(raw)
    assert desk.parsed == 3


async def test_the_same_bytes_of_another_tenant_ask_for_other_work(desk: Watched) -> None:
    known = await desk.reused()
    other = await desk.body(tenant="other")
    assert (other.reused, other.document.id == known.document.id) == (False, False)


async def test_a_result_is_not_used_beyond_its_time(desk: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    known = await desk.reused()
    monkeypatch.setattr(desk.submission, "_now", lambda: time() + 61)
    desk.record.now += timedelta(seconds=61)
    late = await desk.body()
    assert (late.reused, late.document.id == known.document.id) == (False, False)


async def test_a_deleted_result_is_not_used(desk: Watched) -> None:
    known = await desk.reused()
    desk.submission._recall_from._lookup.memory.forget(known.document.id)
    desk.record.jobs.clear()
    await desk.cache.forget(known.document.id)
    assert not (await desk.body()).reused


async def test_a_superseded_result_is_not_used_unasked(desk: Watched) -> None:
    await desk.reused()
    refresh: dict[str, Any] = orjson.loads(PURE) | {"options": {"cache": "refresh"}}
    newer = await desk.body(orjson.dumps(refresh))
    assert not newer.reused
    desk.record.succeed(newer.document.id)
    assert (await desk.body()).document.id == newer.document.id


async def test_a_body_that_means_to_run_is_read_each_time(desk: Watched) -> None:
    plain = PURE.replace(b"demo.pure", b"demo.sum")
    first, second = await desk.body(plain), await desk.body(plain)
    assert (first.document.id == second.document.id, desk.parsed) == (False, 2)


async def test_what_cannot_be_read_is_refused_each_time(desk: Watched) -> None:
    for _ in range(2):
        with pytest.raises(Malformed):
            await desk.body(b"{")


async def test_only_so_many_bodies_are_known(desk: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall, "MOST", 2)
    bodies = [orjson.dumps({"kind": "demo.pure", "input": {"values": [each]}}) for each in range(3)]
    for raw in bodies:
        await desk.reused(raw)
    assert len(desk.submission._recall_from._bodies) == 2
