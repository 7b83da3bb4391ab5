"""Which job the running code belongs to."""

from __future__ import annotations

import asyncio
import threading

from sluice.host.current_job import CURRENT, JobRef, current_job, set_only_job

FIRST, SECOND = JobRef("1", "text.shout", 1), JobRef("2", "text.shout", 1)


async def test_each_task_has_its_own() -> None:
    async def run(job: JobRef) -> JobRef | None:
        CURRENT.set(job)
        await asyncio.sleep(0)
        return current_job()

    assert tuple(await asyncio.gather(run(FIRST), run(SECOND))) == (FIRST, SECOND)
    assert current_job() is None


def test_a_thread_without_context_belongs_to_the_only_job() -> None:
    found: list[JobRef | None] = []
    set_only_job(FIRST)
    try:
        thread = threading.Thread(target=lambda: found.append(current_job()))
        thread.start()
        thread.join()
    finally:
        set_only_job(None)
    assert found == [FIRST]
    assert current_job() is None
