"""Waiting for the end of a batch, without servers."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from sluice.core.errors import ServerAway
from sluice.core.job import JobState
from sluice.core.ports import Wake
from tests.unit.api.batches.batch_client import SUM, WRONG, jobs_of, look_up, some, submitted
from tests.unit.api.in_memory_api import InMemoryApi


async def waiting_for(api: InMemoryApi, batch: dict[str, Any], **how: Any) -> asyncio.Task[httpx2.Response]:
    waiting = asyncio.create_task(api.client.get(batch["links"]["self"], **how))
    await api.somebody_waits()
    return waiting


@pytest.mark.parametrize("how", [{"params": {"wait": "50"}}, {"headers": {"prefer": "wait=50"}}])
async def test_a_request_waits_for_the_last_of_its_jobs(api: InMemoryApi, how: dict[str, Any]) -> None:
    batch = await submitted(api, SUM, SUM, WRONG)
    first, second = (str(each) for each in jobs_of(batch)[:2])
    waiting = await waiting_for(api, batch, **how)
    api.record.finish(first)
    api.state.waiting.wake({first: Wake(3, True)})
    api.state.waiting.wake({second: Wake(2, False)})
    await asyncio.sleep(0.05)
    assert not waiting.done()
    api.record.finish(second, JobState.FAILED, None)
    api.state.waiting.wake({second: Wake(3, True)})
    answer = await asyncio.wait_for(waiting, 5)
    assert some(answer.json()["counts"]) == {"succeeded": 1, "failed": 1, "refused": 1}
    assert answer.headers.get("preference-applied") == ("wait=50" if "headers" in how else None)
    assert len(api.state.waiting) == 0


async def test_a_batch_that_has_ended_is_not_waited_for(api: InMemoryApi) -> None:
    batch = await submitted(api, WRONG)
    assert (await look_up(api, batch, params={"wait": "50"}))["state"] == "finished"


async def test_wakeups_that_were_lost_end_no_wait_too_early_and_hold_up_none(api: InMemoryApi) -> None:
    batch = await submitted(api, SUM)
    (job_id,) = jobs_of(batch)
    waiting = await waiting_for(api, batch, params={"wait": "50"})
    api.state.waiting.wake({})
    await asyncio.sleep(0.05)
    assert not waiting.done()
    api.record.finish(str(job_id))
    api.state.waiting.wake({})
    assert (await asyncio.wait_for(waiting, 5)).json()["state"] == "finished"


async def test_a_record_that_goes_away_meanwhile_leaves_what_is_known(api: InMemoryApi) -> None:
    batch = await submitted(api, SUM)
    waiting = await waiting_for(api, batch, params={"wait": "0.3"})
    api.record.batches.away = ServerAway("postgresql")
    api.state.waiting.wake({})
    answer = await asyncio.wait_for(waiting, 5)
    assert (answer.status_code, answer.json()["state"]) == (200, "running")


async def test_a_process_that_stops_answers_with_what_is_known(api: InMemoryApi) -> None:
    batch = await submitted(api, SUM)
    waiting = await waiting_for(api, batch, params={"wait": "50"})
    api.state.waiting.release()
    assert (await asyncio.wait_for(waiting, 5)).json()["state"] == "running"
    assert (await look_up(api, batch, params={"wait": "50"}))["state"] == "running"
