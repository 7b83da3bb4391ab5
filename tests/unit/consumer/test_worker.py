"""A consumer of which a part breaks stops in good order, so that others take over."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from consumer.start import Consumer
from consumer.worker import Worker
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fakes import Events


@pytest.mark.parametrize(("breaks", "said"), [(True, ["RuntimeError('oh')"]), (False, [])])
async def test_a_task_that_fails_stops_the_consumer(breaks: bool, said: list[str]) -> None:
    events, stop = Events(), asyncio.Event()
    worker = Worker(cast(Any, None))
    consumer = cast(Consumer, SimpleNamespace(telemetry=Telemetry(events)))

    async def part() -> None:
        if breaks:
            raise RuntimeError("oh")

    task = asyncio.create_task(part(), name="lane-default")
    await asyncio.wait([task])
    worker._note_end(consumer, stop, task)
    assert stop.is_set() is breaks
    assert [fields["why"] for fields in events.fields(Event.DUTY_FAILED)] == said
    assert (worker._broken is not None) is breaks


async def test_a_task_that_is_cancelled_is_no_failure() -> None:
    task = asyncio.create_task(asyncio.sleep(60))
    task.cancel()
    await asyncio.wait([task])
    stop = asyncio.Event()
    Worker(cast(Any, None))._note_end(cast(Any, None), stop, task)
    assert not stop.is_set()
