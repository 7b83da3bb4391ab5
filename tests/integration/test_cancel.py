"""Cancel: what has not begun never runs, what runs ends soon wherever it runs, and what a cancel answers stays true."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.support.job_client import SUM, WAIT, JobClient, submit_and_wait, submit_failing
from tests.support.stack import Stack
from tests.support.waiting import until


@pytest.mark.parametrize("options", [{"delay_s": 60}, {"run_at": "2100-01-01T00:00:00Z"}])
async def test_what_is_to_run_later_is_cancelled_at_once(two_apis: Stack, options: dict[str, Any]) -> None:
    async with two_apis.client() as client:
        job = (await client.post("/v1/jobs", json=SUM | {"options": options})).json()
        first = await client.post(job["links"]["cancel"])
        again = await client.post(job["links"]["cancel"])
        result = await client.get(job["links"]["result"])
    assert (job["state"], first.status_code, first.json()["state"]) == ("scheduled", 200, "cancelled")
    assert first.json()["cancel_requested_at"] == first.json()["finished_at"]
    assert first.headers["etag"] == '"2"'
    assert (again.status_code, again.content) == (200, first.content)
    assert (result.status_code, result.json()["type"]) == (409, "job-cancelled")


@pytest.mark.parametrize("kind", ["own.loop", "own.thread", "own.process"])
async def test_a_cancel_ends_running_work_wherever_it_runs_long_before_the_next_heartbeat(
    two_apis: Stack, kind: str, tmp_path: Path
) -> None:
    async with two_apis.client() as client:
        work = JobClient(client, kind, tmp_path)
        await work.begin()
        asked_at = monotonic()
        asked = await client.post(f"{work.url}/cancel")
        job = await work.until_ended()
        took = monotonic() - asked_at
        again = await client.post(f"{work.url}/cancel")
    assert (asked.status_code, asked.json()["state"]) == (202, "running")
    assert asked.json()["cancel_requested_at"] == job["cancel_requested_at"] is not None
    assert int(asked.headers["retry-after"]) >= 1
    assert (job["state"], job["result"], job["error"]) == ("cancelled", None, None)
    assert (again.status_code, again.json()) == (200, job)
    assert took < 30
    if kind == "own.process":
        await until(lambda: not alive(int(work.mark.read_text())))


def alive(pid: int) -> bool:
    """Tell whether this process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_asking_twice_to_cancel_what_runs_changes_nothing(two_apis: Stack, tmp_path: Path) -> None:
    async with two_apis.client() as client:
        work = JobClient(client, "own.loop", tmp_path)
        await work.begin()
        answers = await asyncio.gather(*(client.post(f"{work.url}/cancel") for _ in range(10)))
        job = await work.until_ended()
    assert job["state"] == "cancelled"
    assert {answer.json()["cancel_requested_at"] for answer in answers} == {job["cancel_requested_at"]}
    assert {answer.json()["version"] for answer in answers} <= {job["version"] - 1, job["version"]}


async def test_whoever_waits_hears_of_the_cancel(two_apis: Stack, tmp_path: Path) -> None:
    async with two_apis.client() as client, two_apis.client(api=two_apis.apis[1]) as other:
        job = (await client.post("/v1/jobs", json=SUM | {"options": {"delay_s": 60}})).json()
        waiting = asyncio.create_task(other.get(job["links"]["self"], params={"wait": "30"}))
        await two_apis.apis[1].until_metric("sluice_waiting_requests", 1)
        started = monotonic()
        await client.post(job["links"]["cancel"])
        answer = await waiting
    assert answer.json()["state"] == "cancelled"
    assert monotonic() - started < 10


async def test_a_finished_job_is_not_changed_by_a_cancel(two_apis: Stack) -> None:
    async with two_apis.client() as client:
        for url in ((await submit_and_wait(client)).json()["links"]["self"], await submit_failing(client)):
            before = await client.get(url)
            asked = await client.post(f"{url}/cancel")
            assert (asked.status_code, asked.content) == (200, before.content)
            assert asked.headers["etag"] == before.headers["etag"]


async def test_whatever_a_cancel_answers_is_how_the_job_ends(two_apis: Stack) -> None:
    """Cancel while jobs are queued, claimed, run, settled and finished."""
    async with two_apis.client() as client, two_apis.client(api=two_apis.apis[1]) as other:

        async def raced(number: int) -> tuple[str, str]:
            late, done = number % 5 == 0, number % 5 == 1  # some have not begun, some are finished
            options = {"options": {"delay_s": 0.1}} if late else {}
            answer = await client.post("/v1/jobs", json=SUM | options, headers=WAIT if done else {})
            job = answer.json()
            await asyncio.sleep(number % 20 / 1_000)
            asked = await other.post(job["links"]["cancel"])
            assert asked.status_code == (202 if asked.json()["state"] == "running" else 200)
            return job["id"], asked.json()["state"]

        answered: dict[str, str] = {}
        for start in range(0, 200, 20):
            answered |= dict(await asyncio.gather(*map(raced, range(start, start + 20))))
        rows = await two_apis.finished(answered)
    ends = {"running": "cancelled"}
    assert {job_id: row["state"] for job_id, row in rows.items()} == {
        job_id: ends.get(state, state) for job_id, state in answered.items()
    }
    assert {"cancelled", "succeeded"} <= set(answered.values())


async def test_cancelling_shared_work_acts_for_all_who_share_it(two_apis: Stack, tmp_path: Path) -> None:
    async with two_apis.client() as client:
        work = JobClient(client, "own.pure", tmp_path)
        await work.begin()
        shared = await work.submit()
        assert shared["coalesced"] is True
        await client.post(shared["links"]["cancel"])
        assert (await work.until_ended())["state"] == "cancelled"
        fresh = await work.submit()
        assert fresh["id"] != shared["id"]
        work.gate.touch()
        assert (await work.until_ended())["state"] == "succeeded"
