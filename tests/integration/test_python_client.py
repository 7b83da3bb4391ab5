"""The Python client against a real stack: each case over both clients."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from infra.local.servers import Servers
from sluice.client import (
    Conflict,
    Forbidden,
    Invalid,
    JobCancelled,
    JobDocument,
    JobFailed,
    LogLine,
    NotFound,
    ResultInvalid,
    Unauthorized,
    WaitTimeout,
)
from tests.support.both_clients import open_client, wrap
from tests.support.job_client import KINDS
from tests.support.stack import Stack, make_a_key, stack_on_empty_servers

UNKNOWN = "01a22321-9023-7abe-8513-ed0ed005ba15"
ONE_TO_THREE = {"values": [1, 2, 3]}


class Total(BaseModel):
    total: int


@pytest.fixture(scope="module")
def client_stack(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = {"handlers": f"{KINDS},sluice.kinds.demo_sleep"}
    with stack_on_empty_servers(shared_servers, tmp_path_factory.mktemp("client"), **settings) as stack:
        asyncio.run(stack.start())
        yield stack


@pytest.fixture(params=["sync", "async"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def sluice(client_stack: Stack, way: str) -> AsyncIterator[Any]:
    async with open_client(way, client_stack.url, client_stack.key) as client:
        yield client


async def test_a_job_is_run_in_one_call(sluice: Any) -> None:
    assert (await sluice.run("demo.sum", ONE_TO_THREE))["total"] == 6
    assert await sluice.run("demo.sum", ONE_TO_THREE, as_=Total, timeout=30) == Total(total=6)


async def test_a_job_is_submitted_and_waited_for(sluice: Any) -> None:
    job = await sluice.submit("demo.sum", ONE_TO_THREE, tags=["nightly"], priority="low")
    assert (job.kind, job.document.tags, job.document.priority) == ("demo.sum", ("nightly",), "low")
    assert (await job.result(timeout=30))["total"] == 6
    assert (job.state, job.finished, job.document.result["total"]) == ("succeeded", True, 6)
    assert (await sluice.job(job.id).result())["total"] == 6


async def test_a_result_that_is_not_what_was_to_be_is_an_error_with_the_job(sluice: Any) -> None:
    job = await sluice.submit("demo.sum", ONE_TO_THREE)
    with pytest.raises(ResultInvalid, match="bytes") as caught:
        await job.result(as_=dict[str, bytes])
    assert caught.value.job.id == job.id
    assert await job.result(as_=lambda value: value["total"] + 1) == 7


async def test_a_failed_job_is_an_error_that_says_why(sluice: Any) -> None:
    job = await sluice.submit("own.gives_up", {"number": 3})
    with pytest.raises(JobFailed, match="of no use") as caught:
        await job.result(timeout=30)
    assert (caught.value.job.id, caught.value.error.type) == (job.id, "gave-up")
    again = await job.retry()
    assert (again.document.retry_of, await job.retry()) == (job.id, again)
    assert len(await job.attempts()) == 1


async def test_a_wait_ends_in_time_and_the_job_goes_on(sluice: Any, tmp_path: Path) -> None:
    job = await sluice.submit("own.loop", {"gate": str(tmp_path / "gate"), "number": 5})
    with pytest.raises(WaitTimeout) as caught:
        await job.result(timeout=0.3)
    assert caught.value.job.id == job.id
    (tmp_path / "gate").touch()
    assert await job.result(timeout=30) == {"number": 5}


async def test_a_wait_that_is_over_can_cancel_the_job(sluice: Any, tmp_path: Path) -> None:
    with pytest.raises(WaitTimeout) as caught:
        await sluice.run("own.loop", {"gate": str(tmp_path / "gate")}, timeout=0.3, cancel_on_timeout=True)
    with pytest.raises(JobCancelled):
        await sluice.job(caught.value.job.id).result(timeout=30)


async def test_a_job_is_cancelled_explained_and_deleted(sluice: Any, tmp_path: Path) -> None:
    job = await sluice.submit("own.loop", {"gate": str(tmp_path / "gate")}, delay_s=600)
    assert (await job.explain()).reason == "scheduled"
    with pytest.raises(Conflict) as caught:
        await job.delete()
    assert (caught.value.type, caught.value.job.id) == ("job-not-finished", job.id)
    assert (await job.cancel()).state == "cancelled"
    with pytest.raises(JobCancelled):
        await job.result()
    await job.delete()
    with pytest.raises(NotFound) as gone:
        await sluice.job(job.id).result()
    assert (gone.value.type, gone.value.job.id) == ("job-unknown", job.id)


async def test_one_key_is_one_job(sluice: Any, way: str) -> None:
    first = await sluice.submit("demo.sum", ONE_TO_THREE, key=f"order 7 {way}")
    assert await sluice.submit("demo.sum", ONE_TO_THREE, key=f"order 7 {way}") == first
    with pytest.raises(Invalid) as caught:
        await sluice.submit("demo.sum", {"values": [4]}, key=f"order 7 {way}")
    assert caught.value.type == "key-reused"
    assert await sluice.submit("demo.sum", ONE_TO_THREE) != await sluice.submit("demo.sum", ONE_TO_THREE)


async def test_what_is_wrong_with_an_input_is_said_with_its_place(sluice: Any) -> None:
    with pytest.raises(Invalid, match=r"input\.values\.1: ") as caught:
        await sluice.submit("demo.sum", {"values": [1, "x"]})
    assert caught.value.flaws[0].pointer == "/input/values/1"
    assert caught.value.request_id
    with pytest.raises(TypeError, match="no option 'prio'"):
        await sluice.submit("demo.sum", ONE_TO_THREE, prio="low")
    with pytest.raises(TypeError, match="files are not taken"):
        await sluice.submit("demo.sum", {"values": Path("x")})


async def test_wrong_keys_and_missing_scopes_are_told_apart(client_stack: Stack, way: str) -> None:
    async with open_client(way, client_stack.url, "slc_nobody") as stranger:
        with pytest.raises(Unauthorized):
            await stranger.submit("demo.sum", ONE_TO_THREE)
    reader = await make_a_key(client_stack.servers, "demo", ["read", "submit"])
    async with open_client(way, client_stack.url, reader) as blind:
        with pytest.raises(Forbidden):
            await blind.lanes()
        job = await blind.submit("demo.sum", ONE_TO_THREE)
        with pytest.raises(Forbidden) as caught:
            await job.result(timeout=30)
        assert caught.value.job.id == job.id


async def test_a_job_is_followed_to_its_end(sluice: Any, tmp_path: Path) -> None:
    job = await sluice.submit("own.tells", {"gate": str(tmp_path / "gate"), "number": 7})
    seen = []
    async for each in job.follow(timeout=60, logs=True):
        seen.append(each)
        if isinstance(each, JobDocument) and each.progress:
            (tmp_path / "gate").touch()
    documents = [each for each in seen if isinstance(each, JobDocument)]
    assert documents[-1].state == job.state == "succeeded"
    assert any(each.progress and each.progress["percent"] == 10 for each in documents)
    lines = [each for each in seen if isinstance(each, LogLine)]
    assert lines[0].message == "begun"
    assert [line.message async for line in job.logs()] == [line.message for line in lines]
    assert await job.result() == {"number": 7}


async def test_what_happens_to_all_jobs_is_told(sluice: Any, client_stack: Stack) -> None:
    [api] = client_stack.apis
    await api.until_metric("sluice_event_streams", 0)

    async def submit() -> Any:
        await api.until_metric("sluice_event_streams", 1)  # it tells what happens from then on
        return await sluice.submit("own.tells", {"number": 7})

    submitting = asyncio.create_task(submit())
    seen = []
    async for each in sluice.events(timeout=60):
        if each.job_id == (await submitting).id:  # lines of jobs before may still come
            seen.append(each)
            if each.name == "end":
                break
    assert seen[-1].data["state"] == "succeeded"


async def test_what_happens_is_told_for_so_long(sluice: Any) -> None:
    async with asyncio.timeout(30):
        async for _ in sluice.events(timeout=0.2):
            """Lines of jobs before may still come."""


async def test_many_are_waited_for_together(sluice: Any, tmp_path: Path) -> None:
    held = await sluice.submit("own.loop", {"gate": str(tmp_path / "gate")})
    sums = [await sluice.submit("demo.sum", {"values": [number]}) for number in range(20)]
    done, open_ = await sluice.wait([held, *sums], timeout=60, for_="first")
    assert done
    assert held in open_
    ended = [job async for job in sluice.as_completed([*sums, *sums], timeout=60)]
    assert set(ended) == set(sums)
    assert sorted([(await job.result())["total"] for job in ended]) == list(range(20))
    failing = await sluice.submit("own.gives_up", {})
    done, open_ = await sluice.wait([held, failing, *sums], timeout=60, for_="first_failed")
    assert failing in done
    done, open_ = await sluice.wait([held, *sums], timeout=0.2)
    assert (set(done), open_) == (set(sums), [held])
    with pytest.raises(WaitTimeout) as caught:
        [job async for job in sluice.as_completed([held], timeout=0.2)]
    assert [job.id for job in caught.value.jobs] == [held.id]
    (tmp_path / "gate").touch()
    assert (await sluice.wait([held], timeout=60))[0] == [held]


async def test_an_unknown_job_among_many_is_told(sluice: Any) -> None:
    good = await sluice.submit("demo.sum", ONE_TO_THREE)
    ended = {job async for job in sluice.as_completed([sluice.job(UNKNOWN), good], timeout=60)}
    assert ended == {sluice.job(UNKNOWN), good}
    with pytest.raises(NotFound):
        await sluice.job(UNKNOWN).result()


async def test_an_id_that_is_none_ends_nobody_elses_wait(sluice: Any, tmp_path: Path) -> None:
    good = [await sluice.submit("demo.sleep", {"seconds": 2}) for _ in range(2)]
    none = [sluice.job(each) for each in ("order-7", "a/b~c")]
    ended = [job async for job in sluice.as_completed([*none, *good], timeout=60)]
    assert set(ended[:2]) == set(none)
    assert {each.state for each in ended[2:]} == {"succeeded"}
    for each in none:
        with pytest.raises(NotFound):
            await each.result()


async def test_a_batch_says_what_came_of_each_item(sluice: Any) -> None:
    good = {"kind": "demo.sum", "input": ONE_TO_THREE, "options": {"tags": ["b"]}}
    batch = await sluice.batch([good, {"kind": "demo.sum", "input": {"values": ["x"]}}, good])
    assert [item.status for item in batch.items] == [202, 422, 202]
    assert batch.refused[0].problem is not None
    assert batch.refused[0].problem.type == "invalid"
    with pytest.raises(Invalid, match="refused"):
        await sluice.batch([good, {"kind": "no.such"}], atomic=True)
    assert len((await sluice.batch([good, good], atomic=True)).items) == 2


async def test_a_map_is_ordered_and_takes_only_what_it_needs(sluice: Any) -> None:
    taken = 0

    def inputs() -> Iterator[dict[str, list[int]]]:
        nonlocal taken
        for number in range(60):
            taken += 1
            yield {"values": [number]}

    came = []
    async for total in sluice.map("demo.sum", inputs(), as_=Total, batch=5, in_flight=10):
        came.append(total.total)
        assert taken <= len(came) + 10
    assert came == list(range(60))


async def test_a_map_puts_errors_in_their_place_or_ends(sluice: Any) -> None:
    inputs = [{"values": [1]}, {"values": ["x"]}, {"values": [3]}]
    came = [each async for each in sluice.map("demo.sum", inputs, batch=2, return_exceptions=True)]
    assert [type(each) for each in came] == [dict, Invalid, dict]
    with pytest.raises(Invalid):
        [each async for each in sluice.map("demo.sum", inputs)]


async def test_a_map_puts_the_error_of_a_refused_batch_in_the_place_of_each(
    client_stack: Stack, way: str
) -> None:
    key = await make_a_key(client_stack.servers, "load-test", ["read"])
    async with open_client(way, client_stack.url, key) as sluice:
        inputs = [ONE_TO_THREE] * 3
        came = [each async for each in sluice.map("demo.sum", inputs, batch=2, return_exceptions=True)]
        assert [type(each) for each in came] == [Forbidden] * 3
        with pytest.raises(Forbidden):
            [each async for each in sluice.map("demo.sum", inputs)]


async def test_jobs_kinds_lanes_and_other_routes_are_read(sluice: Any, way: str) -> None:
    made = [await sluice.submit("demo.sum", ONE_TO_THREE, tags=[f"list-{way}"]) for _ in range(5)]
    listed = [job async for job in sluice.jobs(tag=f"list-{way}", page_size=2)]
    assert listed == made[::-1]
    assert "demo.sum" in {kind.kind for kind in await sluice.kinds()}
    assert {"default"} <= {lane.name for lane in await sluice.lanes()}
    assert (await sluice.request("GET", "/v1/errors", params={"state": ["open"]}))["errors"] is not None
    with pytest.raises(NotFound, match="not-found"):
        await sluice.request("GET", "/v1/nothing")


async def test_a_job_can_be_pickled(sluice: Any, way: str) -> None:
    job = await sluice.submit("demo.sum", ONE_TO_THREE)
    copy: Any = pickle.loads(pickle.dumps(job if way == "async" else job.inner))  # noqa: S301  our own
    assert copy == (job if way == "async" else job.inner)
    async with wrap(copy._client) as other:
        assert (await other.job(copy.id).result(timeout=30))["total"] == 6
