"""The fake that is shipped for tests of other programs: the real client over jobs in memory."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.client import JobCancelled, JobFailed, NotFound, Overloaded, ServerAway, WaitTimeout
from sluice.client.testing import AsyncFakeSluice, FakeSluice, fails
from tests.support.both_clients import Blocking


@pytest.fixture(params=["sync", "async"])
def fake(request: pytest.FixtureRequest) -> Any:
    made: Any = AsyncFakeSluice() if request.param == "async" else Blocking(FakeSluice())
    inner = getattr(made, "inner", made)
    inner.on("demo.sum", lambda input: {"total": sum(input["values"])})
    inner.on("slow.sum", lambda input: {"total": sum(input["values"])}, after_s=300)
    inner.on("demo.fails", fails("gave-up", "no data"))
    inner.on("demo.none", lambda _: None)
    return made


def script(fake: Any) -> Any:
    """What the test says to the fake, which neither has to await."""
    return getattr(fake, "inner", fake)


async def test_jobs_come_to_what_the_test_says(fake: Any) -> None:
    assert await fake.run("demo.sum", {"values": [1, 2]}) == {"total": 3}
    assert await fake.run("demo.none") is None
    with pytest.raises(JobFailed, match="no data"):
        await fake.run("demo.fails")
    assert [each.kind for each in fake.submitted] == ["demo.sum", "demo.none", "demo.fails"]
    assert fake.submitted[0].input == {"values": [1, 2]}


async def test_the_clock_moves_as_far_as_somebody_waits(fake: Any) -> None:
    job = await fake.submit("slow.sum", {"values": [1]}, tags=["x"])
    with pytest.raises(WaitTimeout):
        await job.result(timeout=100)
    assert 100 <= fake.now_s < 110
    assert await job.result() == {"total": 1}
    assert 300 <= fake.now_s < 400


async def test_many_are_waited_for(fake: Any) -> None:
    jobs = [await fake.submit("slow.sum", {"values": [number]}, delay_s=number) for number in range(30)]
    done, open_ = await fake.wait(jobs, timeout=10)
    assert (done, open_) == ([], jobs)
    done, open_ = await fake.wait(jobs, for_="first")
    assert jobs[0] in done
    assert [job async for job in fake.as_completed(jobs)][-1] == jobs[-1]
    assert [
        each async for each in fake.map("demo.sum", [{"values": [n]} for n in range(9)], batch=2, in_flight=4)
    ] == [{"total": number} for number in range(9)]


async def test_a_job_is_followed_cancelled_and_deleted(fake: Any) -> None:
    job = await fake.submit("slow.sum", {"values": []})
    assert [each.state async for each in job.follow()] == ["running", "succeeded"]
    other = await fake.submit("slow.sum", {"values": []})
    await other.cancel()
    with pytest.raises(JobCancelled):
        await other.result()
    await other.delete()
    with pytest.raises(NotFound):
        await other.refresh()


async def test_refusals_are_scripted_and_outlived(fake: Any) -> None:
    script(fake).answer_next(503, "overloaded", retry_after_s=2)
    script(fake).answer_next(0)
    assert (await fake.submit("demo.sum", {"values": []})).state == "succeeded"
    assert len(fake.submitted) == 1
    for _ in range(5):
        script(fake).answer_next(503, "overloaded")
    with pytest.raises(Overloaded):
        await fake.submit("demo.sum", {"values": []})
    script(fake).answer_next(0)
    with pytest.raises(ServerAway):
        await fake.submit("demo.sum", {"values": []}, key=None)
