"""The route that polls many jobs, with and without the fast path, without servers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.jobs.wait import Waiting
from api.polls import poll
from sluice.core.job import JobState
from sluice.core.ports import Wake
from tests.support.make_jobs import aged_id
from tests.unit.api.in_memory_api import InMemoryApi

PATH = "/v1/jobs/poll"


@pytest.fixture(autouse=True)
def room(api: InMemoryApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for the largest body: the api in memory has less."""
    for name in ("_most", "_most_of_tenant"):
        monkeypatch.setattr(api.state.held, name, 1_000_000)


async def submitted(api: InMemoryApi, count: int = 1) -> list[str]:
    """Ids of so many queued jobs."""
    return [str((await api.submit()).json()["id"]) for _ in range(count)]


async def ask(api: InMemoryApi, jobs: dict[str, int], **more: Any) -> dict[str, Any]:
    """The answer to a poll that is taken."""
    answer = await api.client.post(PATH, json={"jobs": jobs} | more)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_an_answer_has_whole_documents_and_says_when_to_ask_again(api: InMemoryApi) -> None:
    done, queued, other = await submitted(api, 3)
    api.record.finish(done)
    unknown, foreign = aged_id(0), (await submitted(api))[0]
    api.record.add(api.record.jobs[foreign], tenant="other")
    known = {done: 1, queued: 0, other: 1, unknown: 0, foreign: 1}
    answer = await api.client.post(PATH, json={"jobs": known})
    assert answer.json() == {
        "jobs": [(await api.client.get(f"/v1/jobs/{each}")).json() for each in (done, queued)],
        "unknown": [unknown, foreign],
        "unfinished": 2,
        "more": False,
    }
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["retry-after"] in ("1", "2")
    assert not answer.headers.get("etag")


async def test_when_everything_is_known_there_is_nothing_to_come_back_for(api: InMemoryApi) -> None:
    (done,) = await submitted(api)
    api.record.finish(done)
    answer = await api.client.post(PATH, json={"jobs": {done: 3}, "wait": 50})
    assert answer.json() == {"jobs": [], "unknown": [], "unfinished": 0, "more": False}
    assert "retry-after" not in answer.headers
    assert await ask(api, {}, wait=50) == answer.json()


async def test_what_does_not_fit_is_to_be_asked_for_at_once(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll, "MOST_ANSWER", 1)
    known = dict.fromkeys(await submitted(api, 3), 0)
    answer = await api.client.post(PATH, json={"jobs": known, "wait": 50})
    assert (answer.json()["more"], answer.json()["unfinished"], len(answer.json()["jobs"])) == (True, 3, 1)
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize("how", ["body", "query", "preference"])
async def test_a_poll_waits_for_the_first_change(api: InMemoryApi, how: str) -> None:
    known = dict.fromkeys(await submitted(api, 3), 1)
    query, headers = (
        ({"wait": "50"} if how == "query" else {}),
        ({"prefer": "wait=50"} if how == "preference" else {}),
    )
    body = {"jobs": known} | ({"wait": 50} if how == "body" else {})
    waiting = asyncio.create_task(api.client.post(PATH, json=body, params=query, headers=headers))
    await api.somebody_waits()
    changed = list(known)[1]
    api.record.finish(changed)
    api.state.waiting.wake({changed: Wake(3, True)})
    answer = await asyncio.wait_for(waiting, 5)
    assert [(job["id"], job["state"]) for job in answer.json()["jobs"]] == [(changed, JobState.SUCCEEDED)]
    assert answer.json()["unfinished"] == 2
    assert answer.headers.get("preference-applied") == ("wait=50" if how == "preference" else None)


async def test_the_wait_of_the_body_counts_before_all_others(api: InMemoryApi) -> None:
    body = {"jobs": dict.fromkeys(await submitted(api), 1), "wait": 0}
    answer = await api.client.post(PATH, json=body, params={"wait": "50"})
    assert answer.json()["unfinished"] == 1
    answer = await api.client.post(PATH, json=body, headers={"prefer": "wait=50"})
    assert "preference-applied" not in answer.headers


async def test_a_waiting_poll_holds_none_of_its_bytes_and_is_not_counted_as_slow(api: InMemoryApi) -> None:
    known = dict.fromkeys(await submitted(api, 2), 1)
    waiting = asyncio.create_task(api.client.post(f"{PATH}?timing=1", json={"jobs": known, "wait": 50}))
    await api.somebody_waits()
    assert len(api.state.held) == 0
    api.state.waiting.release()
    answer = await asyncio.wait_for(waiting, 5)
    assert answer.json()["jobs"] == []
    assert {part.split(";")[0] for part in answer.headers["server-timing"].split(", ")} >= {
        "body",
        "wait",
        "total",
    }


async def test_a_thousand_ids_in_any_layout_are_taken(api: InMemoryApi) -> None:
    ids = [aged_id(0) for _ in range(1_000)]
    lines = ",\n".join(f'        "{each}" : 2147483647' for each in ids)
    answer = await api.client.post(
        PATH, content=f'{{\n    "jobs": {{\n{lines}\n}}}}', headers={"content-type": "application/json"}
    )
    assert answer.json()["unknown"] == ids


ID = "0190f3c2-5b1e-7cc3-98c4-dc0c0c07398f"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/jobs"),
        ([], ""),
        ({"jobs": [ID]}, "/jobs"),
        ({"jobs": {"x": 1}}, "/jobs/x"),
        ({"jobs": {ID.upper(): 1}}, f"/jobs/{ID.upper()}"),
        ({"jobs": {ID + "\n": 1}}, f"/jobs/{ID}\n"),
        ({"jobs": {ID: -1}}, f"/jobs/{ID}"),
        ({"jobs": {ID: 2**31}}, f"/jobs/{ID}"),
        ({"jobs": {ID: "1"}}, f"/jobs/{ID}"),
        ({"jobs": {ID: True}}, f"/jobs/{ID}"),
        ({"jobs": {ID: 1.0}}, f"/jobs/{ID}"),
        ({"jobs": {ID: None}}, f"/jobs/{ID}"),
        ({"jobs": {f"{ID[:-4]}{number:04x}": 0 for number in range(1_001)}}, "/jobs"),
        ({"jobs": {}, "wait": -1}, "/wait"),
        ({"jobs": {}, "wait": 56}, "/wait"),
        ({"jobs": {}, "wait": "5"}, "/wait"),
        ({"jobs": {}, "wait": None}, "/wait"),
        ({"jobs": {}, "more": 1}, "/more"),
    ],
)  # fmt: skip
async def test_what_is_no_poll_is_refused_with_the_place(api: InMemoryApi, body: Any, pointer: str) -> None:
    answer = await api.client.post(PATH, json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "invalid")
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_a_body_that_is_too_large_is_not_read(api: InMemoryApi) -> None:
    answer = await api.client.post(PATH, content=b" " * 200_000, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (413, "too-large")


async def test_only_a_key_that_may_read_polls_and_it_sees_its_own_jobs(api: InMemoryApi) -> None:
    known = dict.fromkeys(await submitted(api), 0)
    body = {"jobs": known}
    assert (
        await api.client.post(PATH, json=body, headers=api.as_tenant("acme", "submit"))
    ).status_code == 403
    other = await api.client.post(PATH, json=body, headers=api.as_tenant("other", "read", "payloads"))
    assert (other.json()["unknown"], other.json()["jobs"]) == (list(known), [])


async def test_over_the_limit_nobody_waits(api: InMemoryApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Waiting, "may_wait", lambda *_: False)
    known = dict.fromkeys(await submitted(api), 1)
    assert (await ask(api, known, wait=50))["unfinished"] == 1


async def test_a_record_that_is_away_is_a_problem_as_everywhere(api: InMemoryApi) -> None:
    known = dict.fromkeys(await submitted(api), 1)
    api.record.away = True
    answer = await api.client.post(PATH, json={"jobs": known})
    assert (answer.status_code, answer.json()["type"]) == (503, "record-away")
