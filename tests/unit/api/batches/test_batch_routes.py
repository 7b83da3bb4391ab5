"""The routes for batches, with and without the fast path, without servers."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from api.batches import batches as flow
from api.batches import outcomes
from api.batches.schemas import MOST_ITEMS
from sluice.core.errors import OutcomeUnknown, ServerAway, TryAgain
from sluice.core.job import Accepted, NewJob
from tests.support.make_jobs import aged_id
from tests.unit.api.batches.batch_client import (
    PATH,
    PURE,
    SUM,
    WRONG,
    jobs_of,
    look_up,
    some,
    submit,
    submitted,
    types_of,
)
from tests.unit.api.in_memory_api import InMemoryApi

AWAY = ServerAway("postgresql")


async def test_what_is_valid_is_accepted_and_each_refusal_says_why(api: InMemoryApi) -> None:
    large = {"kind": "demo.sum", "input": {"values": [], "text": "x" * 3_000}}
    answer = await submit(
        api, SUM, WRONG, {"kind": "no.such", "input": 1}, "text", {"kind": "demo.sum"}, large,
        SUM | {"options": {"delay_s": 60}}, SUM | {"options": {"lane": "none"}}, SUM | {"extra": 1},
    )  # fmt: skip
    batch = answer.json()
    assert [each["index"] for each in batch["items"]] == list(range(9))
    assert [each["status"] for each in batch["items"]] == [202, 422, 422, 422, 422, 413, 202, 422, 422]
    assert types_of(batch) == [None, "invalid", "kind-unknown", "invalid", "invalid", "too-large", None] + ["invalid"] * 2  # fmt: skip
    pointers = [each["problem"]["errors"][:1] for each in batch["items"] if "problem" in each]
    assert [each[0]["pointer"] for each in pointers if each] == [
        "/input/values/0", "", "/input", "/options/lane", "/extra"
    ]  # fmt: skip
    assert (batch["state"], batch["total"]) == ("running", 9)
    assert some(batch["counts"]) == {"queued": 1, "scheduled": 1, "refused": 7}
    assert answer.headers["location"] == batch["links"]["self"] == f"{PATH}/{batch['id']}"
    assert answer.headers["retry-after"] in ("1", "2")
    assert set(api.record.jobs) == set(filter(None, jobs_of(batch)))
    assert len(api.state.held) == 0


async def test_a_batch_is_looked_up_as_it_was_answered_until_something_changes(api: InMemoryApi) -> None:
    answer = await submit(api, SUM, WRONG)
    batch = answer.json()
    assert await look_up(api, batch) == {name: batch[name] for name in batch if name != "items"}
    same = await api.client.get(batch["links"]["self"], headers={"if-none-match": answer.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["etag"] == answer.headers["etag"] == f'W/"{batch["version"]}"'
    assert same.headers["retry-after"] in ("1", "2")
    api.record.finish(batch["items"][0]["job"]["id"])
    done = await api.client.get(batch["links"]["self"], headers={"if-none-match": answer.headers["etag"]})
    assert (done.status_code, done.json()["state"]) == (200, "finished")
    assert some(done.json()["counts"]) == {"succeeded": 1, "refused": 1}
    assert done.json()["version"] > batch["version"]
    assert "retry-after" not in done.headers
    assert done.headers["cache-control"] == "private, no-cache"


async def test_a_job_that_was_deleted_is_counted_as_expired(api: InMemoryApi) -> None:
    batch = await submitted(api, SUM)
    (job_id,) = jobs_of(batch)
    api.record.finish(str(job_id))
    assert (await api.client.delete(f"/v1/jobs/{job_id}")).status_code == 204
    found = await look_up(api, batch)
    assert (some(found["counts"]), found["state"]) == ({"expired": 1}, "finished")


async def test_a_repeated_request_says_of_deleted_jobs_that_they_are_expired(api: InMemoryApi) -> None:
    batch = await submitted(api, SUM, WRONG, SUM, idempotency_key="k")
    gone, _, kept = jobs_of(batch)
    api.record.finish(str(gone))
    assert (await api.client.delete(f"/v1/jobs/{gone}")).status_code == 204
    before = await look_up(api, batch)
    again = await submitted(api, SUM, WRONG, SUM, idempotency_key="k")
    assert (types_of(again), jobs_of(again)) == (["job-expired", "invalid", None], [None, None, kept])
    assert some(again["counts"]) == {"expired": 1, "refused": 1, "queued": 1}
    assert await look_up(api, batch) == before == {name: again[name] for name in again if name != "items"}


async def test_the_same_work_is_done_once_within_a_batch_and_without(api: InMemoryApi) -> None:
    alone = (await api.client.post("/v1/jobs", json=PURE)).json()["id"]
    batch = await submitted(api, PURE, SUM, PURE, PURE | {"options": {"cache": "off"}})
    assert jobs_of(batch)[0] == jobs_of(batch)[2] == alone
    assert len({*jobs_of(batch)}) == 3
    assert some((await look_up(api, batch))["counts"]) == {"queued": 4}
    api.record.finish(alone)
    again = await submitted(api, PURE)
    assert [each["status"] for each in again["items"]] == [200]
    assert some(again["counts"]) == some((await look_up(api, again))["counts"]) == {"succeeded": 1}
    assert again["state"] == "finished"


async def test_an_item_may_have_a_key_of_its_own(api: InMemoryApi) -> None:
    other = {"kind": "demo.sum", "input": {"values": [3]}, "key": "k"}
    first = await submitted(api, SUM | {"key": "k"}, SUM | {"key": "k"}, other, SUM | {"key": None})
    ids = jobs_of(first)
    assert ids[0] == ids[1] != ids[3]
    assert types_of(first) == [None, None, "key-reused", None]
    again = await submitted(api, SUM, {"input": SUM["input"], "key": "k", "kind": "demo.sum"})
    assert jobs_of(again)[1] == ids[0]
    assert jobs_of(again)[0] not in ids
    assert some((await look_up(api, first))["counts"]) == {"queued": 3, "refused": 1}


@pytest.mark.parametrize("key", ["", "x" * 256, "ü", "a\x1f1", "a\nb", 1, ["k"]])
async def test_a_key_that_is_none_refuses_its_item(api: InMemoryApi, key: Any) -> None:
    batch = await submitted(api, SUM | {"key": key}, SUM)
    assert types_of(batch) == ["invalid", None]
    assert batch["items"][0]["problem"]["errors"][0]["pointer"] == "/key"


async def test_the_same_request_with_the_same_key_is_the_same_batch(api: InMemoryApi) -> None:
    first = await submit(api, SUM, WRONG, SUM, idempotency_key="whole")
    again = await submit(api, SUM, WRONG, SUM, idempotency_key='"whole"')
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert again.json()["id"] == first.json()["id"]
    assert jobs_of(again.json()) == jobs_of(first.json())
    assert len(api.record.jobs) == 2
    other = await submit(api, SUM, idempotency_key="whole")
    assert (other.status_code, other.json()["type"]) == (422, "key-reused")
    assert len(api.record.jobs) == 2
    foreign = await api.client.post(
        PATH, json={"jobs": [SUM]}, headers={**api.as_tenant("other", "submit"), "idempotency-key": "whole"}
    )
    assert foreign.status_code == 202


async def test_a_repeated_request_takes_up_what_was_refused_in_passing(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept, calls = api.record.accept, 0

    async def away_later(jobs: list[NewJob]) -> Accepted:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise AWAY
        return await accept(jobs)

    monkeypatch.setattr(flow, "ITEMS_AT_ONCE", 2)
    monkeypatch.setattr(api.record, "accept", away_later)
    first = await submitted(api, *[SUM] * 6, idempotency_key="k")
    assert set(types_of(first)) == {None, "record-away"}
    assert first["counts"]["refused"] == types_of(first).count("record-away") > 0
    monkeypatch.setattr(api.record, "accept", accept)
    again = await submitted(api, *[SUM] * 6, idempotency_key="k")
    assert (again["id"], some(again["counts"])) == (first["id"], {"queued": 6})
    assert len(api.record.jobs) == 6
    before = [each for each in jobs_of(first) if each]
    assert before == [new for new, old in zip(jobs_of(again), jobs_of(first), strict=True) if old]
    assert some((await look_up(api, first))["counts"]) == {"queued": 6}


async def test_without_the_record_nothing_is_accepted(api: InMemoryApi) -> None:
    api.record.batches.away = AWAY
    answer = await submit(api, SUM)
    assert (answer.status_code, answer.json()["type"]) == (503, "record-away")
    assert not api.record.jobs
    api.record.batches.away = TryAgain("busy")
    assert (await submit(api, SUM)).status_code == 503


@pytest.mark.parametrize(
    ("error", "type_"),
    [(AWAY, "record-away"), (OutcomeUnknown(), "outcome-unknown"), (RuntimeError("a mistake"), "internal")],
)
async def test_once_a_batch_is_there_no_failure_refuses_the_whole(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch, error: Exception, type_: str
) -> None:
    async def fail(jobs: list[NewJob]) -> Accepted:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(api.record, "accept", fail)
        batch = await submitted(api, SUM, SUM)
    assert (types_of(batch), batch["state"]) == ([type_] * 2, "finished")
    assert some(batch["counts"]) == some((await look_up(api, batch))["counts"]) == {"refused": 2}


async def test_what_items_came_to_is_stored_later_if_the_record_is_away_then(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "CLOSE_AGAIN_S", 0)
    alone = (await api.client.post("/v1/jobs", json=PURE)).json()["id"]
    close = api.record.batches.close_batch

    async def away(*_: Any) -> None:
        api.record.batches.away = AWAY
        monkeypatch.setattr(api.record.batches, "close_batch", close)
        raise AWAY

    monkeypatch.setattr(api.record.batches, "close_batch", away)
    batch = await submitted(api, PURE, WRONG)
    assert jobs_of(batch) == [alone, None]
    assert (await api.client.get(batch["links"]["self"])).status_code == 503
    api.record.batches.away = None
    await asyncio.wait_for(api.state.batches.drain(), 5)
    assert some((await look_up(api, batch))["counts"]) == {"queued": 1, "refused": 1}


async def test_others_see_no_batch(api: InMemoryApi) -> None:
    batch = await submitted(api, SUM)
    foreign = await api.client.get(batch["links"]["self"], headers=api.as_tenant("other", "read"))
    unknown = await api.client.get(f"{PATH}/{aged_id(0)}")
    wrong = await api.client.get(f"{PATH}/none")
    for each in (foreign, unknown, wrong):
        assert (each.status_code, each.json()["type"]) == (404, "batch-unknown")
    assert (await api.client.get(batch["links"]["self"], headers=api.as_tenant("acme", "submit"))).status_code == 403  # fmt: skip
    refused = await api.client.post(PATH, json={"jobs": [SUM]}, headers=api.as_tenant("acme", "read"))
    assert refused.status_code == 403


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (b"{", 400, None), (b"[]", 422, "/jobs"), (b'{"jobs":{}}', 422, "/jobs"), (b'{"jobs":[]}', 422, "/jobs"),
        (b'{"jobs":[1],"x":1}', 422, "/x"), (b'{"jobs":[1],"jobs":[2]}', 400, None),
        (b'{"jobs":[%s]}' % b",".join([b"1"] * (MOST_ITEMS + 1)), 422, "/jobs"),
        (b'{"jobs":[[%s]]}' % b",".join([b"1"] * 100_001), 422, ""), (b"[" * 100_000, 400, None),
        (b'{"jobs":[%s1%s]}' % (b"[" * 40, b"]" * 40), 422, ""), (b'{"jobs":["\\u0000"]}', 422, ""),
    ],
)  # fmt: skip
async def test_a_body_that_is_no_batch_is_refused_whole(
    api: InMemoryApi, body: bytes, status: int, pointer: str | None
) -> None:
    answer = await api.client.post(PATH, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert [each["pointer"] for each in answer.json()["errors"]] == ([] if pointer is None else [pointer])
    assert not api.record.batches.batches
    assert len(api.state.held) == 0


async def test_a_batch_of_the_most_items_is_taken(api: InMemoryApi) -> None:
    batch = await submitted(api, *[SUM] * MOST_ITEMS)
    assert some(batch["counts"]) == {"queued": MOST_ITEMS}
    assert jobs_of(batch) == list(api.record.jobs)  # in the order of the request


async def test_others_have_their_turns_while_a_batch_is_checked(api: InMemoryApi) -> None:
    sending, turns = asyncio.create_task(submitted(api, *[SUM] * MOST_ITEMS)), 0
    while not sending.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > MOST_ITEMS


async def test_items_of_a_large_body_are_checked_in_threads(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, prepare, threads = (
        {"kind": "demo.sum", "input": "x" * 120_000},
        api.state.submission.prepare,
        set[object](),
    )

    def noted(*args: Any, **more: Any) -> Any:
        threads.add(threading.current_thread() is threading.main_thread())
        return prepare(*args, **more)

    monkeypatch.setattr(api.state.submission, "prepare", noted)
    assert types_of(await submitted(api, *[text] * 10, SUM)) == ["too-large"] * 10 + [None]
    assert threads == {False}


async def test_a_body_of_more_bytes_than_are_taken_is_refused(api: InMemoryApi) -> None:
    text = {"kind": "demo.sum", "input": "x" * 5_000_000}
    answer = await submit(api, text)
    assert (answer.status_code, answer.json()["type"]) == (413, "too-large")


async def test_problems_of_very_many_flaws_are_cut(api: InMemoryApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "MOST_FLAWS", 1_000)
    wrong = {"kind": "demo.sum", "input": {"values": ["x"] * 10}}
    batch = await submitted(api, *[wrong] * 5)
    listed = [len(each["problem"]["errors"]) for each in batch["items"]]
    assert listed == [10, 0, 0, 0, 0]
    assert {each["problem"]["type"] for each in batch["items"]} == {"invalid"}


async def test_a_tenant_whose_bodies_take_all_its_room_waits(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.state.held, "_most_of_tenant", 50)
    answer = await submit(api, SUM, SUM)
    assert (answer.status_code, answer.json()["type"]) == (429, "tenant-overloaded")
    assert not api.record.batches.batches


async def test_few_items_of_few_batches_wait_for_their_commit_at_once(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept, sizes, go_on = api.record.accept, list[int](), asyncio.Event()

    async def slow(jobs: list[NewJob]) -> Accepted:
        sizes.append(len(jobs))
        await go_on.wait()
        return await accept(jobs)

    monkeypatch.setattr(api.record, "accept", slow)
    monkeypatch.setattr(flow, "TURN_S", 0.05)
    batches = [asyncio.create_task(submit(api, *[SUM] * 300)) for _ in range(flow.BATCHES_AT_ONCE)]
    while len(api.record.batches.batches) < flow.BATCHES_AT_ONCE:  # noqa: ASYNC110  nothing says that a batch is open
        await asyncio.sleep(0)
    late = await submit(api, SUM)
    assert (late.status_code, late.json()["type"]) == (503, "overloaded")
    assert "retry-after" in late.headers
    go_on.set()
    assert {each.status_code for each in await asyncio.gather(*batches)} == {202}
    assert max(sizes) <= flow.BATCHES_AT_ONCE * flow.ITEMS_AT_ONCE
    assert len(api.record.jobs) == 300 * flow.BATCHES_AT_ONCE
