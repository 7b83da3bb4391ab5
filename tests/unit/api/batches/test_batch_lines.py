"""Batches that come as lines, without servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx2
import orjson
import pytest

from api.batches import lines
from sluice.core.errors import ServerAway
from tests.unit.api.batches.batch_client import PATH, PURE, SUM, WRONG, jobs_of, look_up, some, types_of
from tests.unit.api.in_memory_api import InMemoryApi

LINES = {"content-type": "application/x-ndjson"}


def lines_of(*items: Any) -> bytes:
    return b"".join(orjson.dumps(each) + b"\n" for each in items)


async def submit(api: InMemoryApi, body: Any, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.client.post(PATH, content=body, headers=LINES | named)


async def submitted(api: InMemoryApi, body: Any, **headers: str) -> dict[str, Any]:
    answer = await submit(api, body, **headers)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def in_parts(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_each_line_is_an_item_and_a_broken_one_is_its_own_problem(api: InMemoryApi) -> None:
    body = (
        b"\xef\xbb\xbf" + lines_of(SUM) + b"\r\n  \n\xef\xbb\xbf\r\n{broken\n" + lines_of(WRONG, PURE)
        + b'{"kind":"demo.sum","kind":"x"}\r\n[1]\n\xff\n"\\u0000"\n' + lines_of(PURE).rstrip()
    )  # fmt: skip
    batch = await submitted(api, body)
    assert types_of(batch) == [
        None, "malformed-json", "invalid", None, "malformed-json", "invalid", "malformed-json", "invalid", None
    ]  # fmt: skip
    assert [each["index"] for each in batch["items"]] == list(range(9))
    assert jobs_of(batch)[3] == jobs_of(batch)[8]
    assert some(batch["counts"]) == {"queued": 3, "refused": 6}
    assert await look_up(api, batch) == {name: batch[name] for name in batch if name != "items"}
    assert "stopped" not in batch
    assert len(api.state.held) == 0


@pytest.mark.parametrize("size", [1, 2, 7, 1_000])
async def test_it_does_not_matter_how_the_body_is_cut_into_parts(api: InMemoryApi, size: int) -> None:
    body = lines_of(SUM, WRONG, PURE) + b"\n\n" + lines_of(SUM).rstrip()
    batch = await submitted(api, in_parts(body[i : i + size] for i in range(0, len(body), size)))
    assert types_of(batch) == [None, "invalid", None, None]


async def test_items_are_accepted_while_the_rest_is_still_to_come(api: InMemoryApi) -> None:
    go_on = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield lines_of(SUM, SUM) + b'{"kind":'
        await go_on.wait()
        yield b'"demo.sum","input":{"values":[]}}'

    sending = asyncio.create_task(submitted(api, slow()))
    while len(api.record.jobs) < 2:  # noqa: ASYNC110  nothing says that jobs were accepted
        await asyncio.sleep(0)
    assert not sending.done()
    go_on.set()
    assert some((await sending)["counts"]) == {"queued": 3}


async def test_a_line_that_is_too_long_is_dropped_while_it_arrives(api: InMemoryApi) -> None:
    most = api.state.limits.largest
    held = list[int]()

    async def parts() -> AsyncIterator[bytes]:
        yield lines_of(SUM) + b'{"kind":"'
        for _ in range(20):
            held.append(len(api.state.held))
            yield b"x" * most
        yield b'"}\n' + lines_of(SUM) + b"y" * (most + 1)

    batch = await submitted(api, parts())
    assert types_of(batch) == [None, "too-large", None, "too-large"]
    assert max(held) <= most


async def test_a_line_is_held_no_longer_than_it_takes(api: InMemoryApi) -> None:
    held = list[int]()

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(3):
            held.append(len(api.state.held))
            yield lines_of(*[SUM] * 30) + b"{"
            held.append(len(api.state.held))
            yield b"}\n"

    await submitted(api, parts())
    assert held == [0, 1] * 3


async def test_a_line_of_the_most_bytes_is_taken(api: InMemoryApi) -> None:
    line = orjson.dumps(SUM)
    line += b" " * (api.state.limits.largest - len(line))
    assert types_of(await submitted(api, line + b"\n" + line)) == [None, None]


async def test_more_lines_than_are_taken_stop_the_batch(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MOST_LINES", 5)
    assert "stopped" not in await submitted(api, lines_of(*[SUM] * 5))
    answer = await submit(api, lines_of(*[SUM] * 6))
    batch = answer.json()
    assert (answer.status_code, batch["total"], batch["stopped"]["type"]) == (202, 5, "invalid")
    assert answer.headers["connection"] == "close"
    assert (await look_up(api, batch))["total"] == 5


async def test_more_bytes_than_are_taken_stop_the_batch_or_refuse_it_at_once(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MOST_BODY", 1_000)
    whole = lines_of(*[SUM] * 100)
    batch = await submitted(api, in_parts(whole[i : i + 100] for i in range(0, len(whole), 100)))
    assert batch["stopped"]["type"] == "too-large"
    assert 0 < batch["total"] < 30
    monkeypatch.setattr("api.batches.submit_batch.MOST_IN_LINES", 1_000)
    jobs = len(api.record.jobs)
    answer = await submit(api, whole)
    assert (answer.status_code, len(api.record.jobs)) == (413, jobs)


async def test_a_body_that_is_cut_off_says_what_was_accepted(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.state.limits.__class__, "timeout_s", 0.05)
    never = asyncio.Event()

    async def stalled() -> AsyncIterator[bytes]:
        yield lines_of(SUM, WRONG) + b'{"kind'
        await never.wait()

    answer = await asyncio.wait_for(submit(api, stalled()), 5)
    batch = answer.json()
    assert (answer.status_code, batch["stopped"]["type"]) == (202, "request-timeout")
    assert types_of(batch) == [None, "invalid"]
    assert some((await look_up(api, batch))["counts"]) == {"queued": 1, "refused": 1}
    assert len(api.state.held) == 0


@pytest.mark.parametrize(("slowest", "stopped"), [(1_000, None), (1_000_000_000, "request-timeout")])
async def test_a_body_may_take_its_time_if_it_goes_on(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch, slowest: int, stopped: str | None
) -> None:
    monkeypatch.setattr(api.state.limits.__class__, "timeout_s", 0.05)
    monkeypatch.setattr("api.http.body.SLOWEST", slowest)

    async def steady() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield lines_of(*[SUM] * 10)
            await asyncio.sleep(0.02)

    batch = await submitted(api, steady())
    assert batch.get("stopped", {}).get("type") == stopped
    assert (batch["total"] == 100) is (stopped is None)


@pytest.mark.parametrize("body", [b"", b"\n", b" \r\n\n"])
async def test_a_body_without_items_is_refused(api: InMemoryApi, body: bytes) -> None:
    answer = await submit(api, body)
    assert (answer.status_code, answer.json()["type"]) == (422, "invalid")
    assert not api.record.batches.batches


async def test_the_same_lines_with_the_same_key_are_the_same_batch(api: InMemoryApi) -> None:
    first = await submitted(api, lines_of(SUM, WRONG, SUM), idempotency_key="k")
    again = await submit(api, lines_of(SUM, WRONG, SUM), idempotency_key="k")
    assert (again.json()["id"], jobs_of(again.json())) == (first["id"], jobs_of(first))
    assert again.headers["idempotent-replayed"] == "true"
    longer = await submitted(api, lines_of(SUM, SUM, PURE, SUM), idempotency_key="k")
    assert longer["id"] == first["id"]
    assert types_of(longer) == [None, None, "key-reused", None]
    assert some((await look_up(api, first))["counts"]) == {"queued": 4}
    whole = await api.client.post(PATH, json={"jobs": [SUM]}, headers={"idempotency-key": "k"})
    assert whole.json()["type"] == "key-reused"


async def test_what_could_not_be_accepted_says_so_and_the_rest_goes_on(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept, away = api.record.accept, [True]

    async def sometimes(jobs: Any) -> Any:
        if away:
            away.clear()
            raise ServerAway("postgresql")
        return await accept(jobs)

    monkeypatch.setattr(api.record, "accept", sometimes)
    batch = await submitted(api, in_parts([lines_of(SUM), lines_of(SUM)]))
    assert types_of(batch) == ["record-away", None]


async def test_a_tenant_without_room_is_told_where_it_stopped(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.state.held, "_most_of_tenant", 300)
    batch = await submitted(api, in_parts([lines_of(SUM), lines_of(*[SUM] * 20)]))
    assert (batch["total"], batch["stopped"]["type"]) == (1, "tenant-overloaded")


@pytest.mark.parametrize(
    ("type_", "status"),
    [
        ("application/ndjson", 202), ("application/jsonl; charset=utf-8", 202), ("application/x-ndjson; charset=utf-16", 415),
        ("application/x-json", 415), ("application/x-ndjson" + ";" * 2_000, 415),
    ],
)  # fmt: skip
async def test_lines_have_media_types_of_their_own(api: InMemoryApi, type_: str, status: int) -> None:
    answer = await api.client.post(PATH, content=lines_of(SUM), headers={"content-type": type_})
    assert answer.status_code == status
    alone = await api.client.post("/v1/jobs", content=orjson.dumps(SUM), headers={"content-type": type_})
    assert alone.status_code == 415
