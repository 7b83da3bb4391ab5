"""The bytes of a request that was answered with a result are not parsed again while process memory has that result."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from time import time
from typing import Any

import orjson
import pytest

from api.http.response import SubmitResult
from api.jobs import result_reuse as reuse
from api.jobs import submit as submission
from sluice.core.errors import Malformed
from sluice.core.runtime.telemetry import Event
from tests.unit.api.jobs.test_submit import Setup

PURE = orjson.dumps({"kind": "demo.pure", "input": {"values": [1, 2]}})


class Watched(Setup):
    """A desk that counts the bodies it parses. Jobs end at the time it is now, by which their age is known."""

    def __init__(self) -> None:
        super().__init__()
        self.parsed = 0

    async def body(self, raw: bytes = PURE, tenant: str = "acme") -> SubmitResult:
        """Submit these bytes."""
        return await self.submission.submit_body(tenant, raw, None)

    async def reused(self, raw: bytes = PURE) -> SubmitResult:
        """Submit, let it succeed, and submit again, so that these bytes are known."""
        first = await self.body(raw)
        self.record.succeed(first.document.id)
        answer = await self.body(raw)
        assert answer.reused
        return answer


@pytest.fixture
async def state(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    state, read = Watched(), submission.read_submit

    def counting(raw: bytes) -> submission.Submit:
        state.parsed += 1
        return read(raw)

    monkeypatch.setattr(submission, "read_submit", counting)
    state.record.now = state.record.now.fromtimestamp(time(), state.record.now.tzinfo)
    yield state
    await asyncio.wait_for(state.submission.drain(), 5)


async def test_a_body_that_was_answered_with_a_result_is_answered_again_unread(state: Watched) -> None:
    known = await state.reused()
    asked = state.store.calls["find_same"]
    for _ in range(3):
        again = await state.body()
        assert (again.document, again.reused) == (known.document, True)
        assert 0 <= again.age_s <= 60 - again.ttl_s <= 60
    assert (state.parsed, state.events.count(Event.REUSED)) == (2, 4)
    assert state.store.calls["find_same"] == asked


@pytest.mark.parametrize("raw", [PURE + b" ", PURE.replace(b"[1,2]", b"[1,3]")])
async def test_other_bytes_are_read(state: Watched, raw: bytes) -> None:
    await state.reused()
    await state.body(raw)
    assert state.parsed == 3


async def test_the_same_bytes_of_another_tenant_ask_for_other_work(state: Watched) -> None:
    known = await state.reused()
    other = await state.body(tenant="other")
    assert (other.reused, other.document.id == known.document.id) == (False, False)


async def test_a_result_is_not_used_beyond_its_time(state: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    known = await state.reused()
    monkeypatch.setattr(state.submission, "_now", lambda: time() + 61)
    state.record.now += timedelta(seconds=61)
    late = await state.body()
    assert (late.reused, late.document.id == known.document.id) == (False, False)


async def test_a_deleted_result_is_not_used(state: Watched) -> None:
    known = await state.reused()
    state.submission._reuse._lookup.memory.forget(known.document.id)
    state.record.jobs.clear()
    await state.cache.forget(known.document.id)
    assert not (await state.body()).reused


async def test_a_superseded_result_is_not_used_unasked(state: Watched) -> None:
    await state.reused()
    refresh: dict[str, Any] = orjson.loads(PURE) | {"options": {"cache": "refresh"}}
    newer = await state.body(orjson.dumps(refresh))
    assert not newer.reused
    state.record.succeed(newer.document.id)
    assert (await state.body()).document.id == newer.document.id


async def test_a_body_that_means_to_run_is_read_each_time(state: Watched) -> None:
    plain = PURE.replace(b"demo.pure", b"demo.sum")
    first, second = await state.body(plain), await state.body(plain)
    assert (first.document.id == second.document.id, state.parsed) == (False, 2)


async def test_what_cannot_be_read_is_refused_each_time(state: Watched) -> None:
    for _ in range(2):
        with pytest.raises(Malformed):
            await state.body(b"{")


async def test_only_so_many_bodies_are_known(state: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reuse, "MOST", 2)
    bodies = [orjson.dumps({"kind": "demo.pure", "input": {"values": [each]}}) for each in range(3)]
    for raw in bodies:
        await state.reused(raw)
    assert len(state.submission._reuse._bodies) == 2
