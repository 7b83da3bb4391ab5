"""Batches that are accepted whole or not at all, without servers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx2
import pytest

from sluice.core.errors import OutcomeUnknown, ServerAway, TryAgain
from sluice.core.job import Accepted, NewJob
from tests.unit.api.batches.batch_client import PATH, PURE, SUM, WRONG, jobs_of, look_up, some
from tests.unit.api.in_memory_api import InMemoryApi

OTHER = {"kind": "demo.sum", "input": {"values": [7]}}


async def submit(api: InMemoryApi, *items: Any, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.client.post(PATH, json={"jobs": items, "atomic": True}, headers=named)


async def submitted(api: InMemoryApi, *items: Any, **headers: str) -> dict[str, Any]:
    answer = await submit(api, *items, **headers)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def test_all_are_accepted_together(api: InMemoryApi) -> None:
    batch = await submitted(api, SUM, PURE, SUM | {"options": {"delay_s": 60}}, SUM | {"key": "k"})
    assert some(batch["counts"]) == {"queued": 3, "scheduled": 1}
    assert jobs_of(batch) == list(api.record.batches.batches[batch["id"]][1])
    assert set(jobs_of(batch)) == set(api.record.jobs)
    assert len(api.record.outbox) > 0
    assert await look_up(api, batch) == {name: batch[name] for name in batch if name != "items"}


async def test_one_that_is_refused_refuses_all_and_each_problem_is_named(api: InMemoryApi) -> None:
    await api.client.post("/v1/jobs", json=OTHER, headers={"idempotency-key": "k"})
    before = set(api.record.jobs)
    answer = await submit(api, SUM, WRONG, SUM | {"key": "k"}, SUM, {"kind": "no.such", "input": 1})
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "batch-refused")
    assert answer.headers["content-type"] == "application/problem+json"
    assert [(each["index"], each["problem"]["type"]) for each in problem["items"]] == [
        (1, "invalid"), (2, "key-reused"), (4, "kind-unknown")
    ]  # fmt: skip
    assert "3 of 5" in problem["detail"]
    assert (set(api.record.jobs), api.record.batches.batches) == (before, {})


async def test_what_is_there_already_counts_as_accepted(api: InMemoryApi) -> None:
    alone = (await api.client.post("/v1/jobs", json=PURE)).json()["id"]
    batch = await submitted(api, PURE, SUM)
    assert jobs_of(batch)[0] == alone
    api.record.finish(alone)
    again = await submitted(api, PURE)
    assert [each["status"] for each in again["items"]] == [200]
    assert len(api.record.jobs) == 2


async def test_equal_items_are_done_once_and_all_their_keys_are_bound(api: InMemoryApi) -> None:
    batch = await submitted(
        api, PURE | {"key": "a"}, PURE | {"key": "b"}, SUM | {"key": "c"}, SUM | {"key": "c"}, PURE, PURE | {"key": "b"}
    )  # fmt: skip
    first, _, third, *_ = jobs_of(batch)
    assert jobs_of(batch) == [first, first, third, third, first, first]
    assert set(api.record.jobs) == {first, third}
    assert {key: use.job_id for (_, key), use in api.record.uses.items()} == {
        "a": first,
        "b": first,
        "c": third,
    }
    differs = await submit(api, SUM | {"key": "d"}, OTHER | {"key": "d"})
    assert [(each["index"], each["problem"]["type"]) for each in differs.json()["items"]] == [
        (1, "key-reused")
    ]
    assert len(api.record.jobs) == 2


async def test_the_same_request_with_the_same_key_is_the_same_batch(api: InMemoryApi) -> None:
    first = await submitted(api, SUM, SUM, idempotency_key="k")
    again = await submit(api, SUM, SUM, idempotency_key="k")
    assert (again.json()["id"], jobs_of(again.json())) == (first["id"], jobs_of(first))
    assert again.headers["idempotent-replayed"] == "true"
    loose = await api.client.post(PATH, json={"jobs": [SUM, SUM]}, headers={"idempotency-key": "k"})
    assert loose.json()["type"] == "key-reused"


async def test_who_was_quicker_meanwhile_is_joined_and_nothing_is_inserted_twice(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept, rivals = api.record.accept, list[str]()

    async def after_another(jobs: Sequence[NewJob], *, whole: bool = False) -> Accepted:
        if whole and not rivals:
            rivals.append("")
            rivals[0] = (await api.client.post("/v1/jobs", json=PURE)).json()["id"]
        return await accept(jobs, whole=whole)

    monkeypatch.setattr(api.record, "accept", after_another)
    batch = await submitted(api, SUM, PURE)
    assert jobs_of(batch)[1] == rivals[0]
    assert set(api.record.jobs) == set(jobs_of(batch))
    assert some((await look_up(api, batch))["counts"]) == {"queued": 2}


async def test_a_key_that_another_used_meanwhile_refuses_all(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept, rivals = api.record.accept, list[str]()

    async def after_another(jobs: Sequence[NewJob], *, whole: bool = False) -> Accepted:
        if whole and not rivals:
            rivals.append("")
            rivals[0] = (await api.client.post("/v1/jobs", json=OTHER, headers={"idempotency-key": "k"})).json()["id"]  # fmt: skip
        return await accept(jobs, whole=whole)

    monkeypatch.setattr(api.record, "accept", after_another)
    answer = await submit(api, SUM, SUM | {"key": "k"})
    assert (answer.status_code, [each["index"] for each in answer.json()["items"]]) == (422, [1])
    assert list(api.record.jobs) == rivals


@pytest.mark.parametrize(
    ("error", "type_"),
    [
        (ServerAway("postgresql"), "record-away"), (TryAgain("busy"), "overloaded"),
        (OutcomeUnknown(), "outcome-unknown"), (RuntimeError(), "internal"),
    ],
)  # fmt: skip
async def test_what_fails_fails_for_all(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch, error: Exception, type_: str
) -> None:
    async def fail(*_: Any, **__: Any) -> Accepted:
        raise error

    monkeypatch.setattr(api.record, "accept", fail)
    monkeypatch.setattr(api.client._transport, "raise_app_exceptions", False)
    assert (await submit(api, SUM, SUM)).json()["type"] == type_
    assert not api.record.jobs


async def test_whether_all_are_wanted_is_true_or_false(api: InMemoryApi) -> None:
    answer = await api.client.post(PATH, json={"jobs": [SUM], "atomic": "yes"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/atomic")
