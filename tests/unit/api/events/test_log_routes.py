"""The route that shows what a handler has logged, without servers."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from sluice.core.job_log import LogBlock
from tests.support.make_jobs import aged_id
from tests.unit.api.in_memory_api import InMemoryApi


def block(fence: int, *messages: str, first: int = 1) -> LogBlock:
    """What was logged in an attempt."""
    lines = (
        {"at": "2026-01-02T03:04:05Z", "level": "info", "attempt": fence, "message": each, "fields": {}}
        for each in messages
    )
    return LogBlock(fence, first, b"\n".join(map(orjson.dumps, lines)))


async def logged(api: InMemoryApi, *blocks: LogBlock) -> str:
    """The path of the log of a job whose attempts have logged this."""
    job_id = (await api.submit()).json()["id"]
    api.record.logs[job_id] = {each.fence: each for each in blocks}
    return f"/v1/jobs/{job_id}/logs"


async def read(api: InMemoryApi, path: str, **query: str) -> dict[str, Any]:
    answer = await api.client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def messages(api: InMemoryApi, path: str, size: int) -> list[list[str]]:
    """Every page."""
    pages, query = [], {"page_size": str(size)}
    while True:
        page = await read(api, path, **query)
        pages.append([line["message"] for line in page["lines"]])
        if page["next_page_token"] is None:
            return pages
        query["page_token"] = page["next_page_token"]


async def test_lines_of_all_attempts_are_shown_in_order(api: InMemoryApi) -> None:
    path = await logged(api, block(1, "a", "b"), block(3, "c"))
    page = await read(api, path)
    assert page["lines"][0] == {
        "at": "2026-01-02T03:04:05Z",
        "level": "info",
        "attempt": 1,
        "message": "a",
        "fields": {},
    }
    assert [(line["attempt"], line["message"]) for line in page["lines"]] == [(1, "a"), (1, "b"), (3, "c")]
    assert (page["next_page_token"], page["cut"]) == (None, False)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
async def test_pages_have_every_line_once(api: InMemoryApi, size: int) -> None:
    path = await logged(api, block(1, "a", "b"), block(2, "c", "d", "e", first=4))
    pages = await messages(api, path, size)
    assert [each for page in pages for each in page] == list("abcde")
    assert {len(page) for page in pages[:-1]} <= {size}


async def test_a_page_says_whether_lines_are_missing_behind_the_one_before(api: InMemoryApi) -> None:
    path = await logged(api, block(1, "a", "b"), block(2, "c", "d", first=4))
    assert (await read(api, path))["cut"]
    assert (await read(api, path, page_token="1.2"))["cut"]
    assert not (await read(api, path, page_token="2.3"))["cut"]
    assert not (await read(api, path, page_token="2.4"))["cut"]


async def test_a_job_that_logged_nothing_has_an_empty_log(api: InMemoryApi) -> None:
    assert await read(api, await logged(api)) == {"lines": [], "next_page_token": None, "cut": False}


@pytest.mark.parametrize("job_id", [None, "no-id"])
async def test_an_unknown_job_has_none(api: InMemoryApi, job_id: str | None) -> None:
    answer = await api.client.get(f"/v1/jobs/{job_id or aged_id(0)}/logs")
    assert (answer.status_code, answer.json()["type"]) == (404, "job-unknown")


async def test_the_job_of_another_tenant_has_none(api: InMemoryApi) -> None:
    path = await logged(api, block(1, "secret"))
    answer = await api.client.get(path, headers=api.as_tenant("other", "read"))
    assert (answer.status_code, answer.json()["type"]) == (404, "job-unknown")
    assert b"secret" not in answer.content


@pytest.mark.parametrize(
    "query",
    [
        "page_size=0", "page_size=1001", "page_size=x", "page_token=x", "page_token=1", "page_token=1.2.3", "page_token=-1.2",
        "page_token=1.9999999999", "page_token=%D9%A1.1", "page_token=", "other=1", "page_size=1&page_size=2",
    ],
)  # fmt: skip
async def test_what_it_does_not_know_is_refused(api: InMemoryApi, query: str) -> None:
    answer = await api.client.get(f"{await logged(api)}?{query}")
    assert (answer.status_code, answer.json()["type"]) == (422, "invalid")


async def test_a_key_that_may_only_submit_reads_no_log(api: InMemoryApi) -> None:
    path = await logged(api, block(1, "a"))
    answer = await api.client.get(path, headers=api.as_tenant("acme", "submit"))
    assert answer.status_code == 403


async def test_the_lines_of_an_attempt_that_runs_are_shown(api: InMemoryApi) -> None:
    path = await logged(api, block(1, "a"))
    api.live_logs.kept[path.split("/")[3]] = block(2, "b", "c")
    assert [line["message"] for line in (await read(api, path))["lines"]] == ["a", "b", "c"]
    page = await read(api, path, page_token="2.1")
    assert [line["message"] for line in page["lines"]] == ["c"]


async def test_what_the_record_has_counts_and_not_what_redis_kept_of_it(api: InMemoryApi) -> None:
    path = await logged(api, block(1, "a", "b"))
    api.live_logs.kept[path.split("/")[3]] = block(1, "a")
    assert [line["message"] for line in (await read(api, path))["lines"]] == ["a", "b"]
    assert (await read(api, path, page_token="2.0"))["lines"] == []


async def test_without_redis_the_lines_of_attempts_that_have_ended_are_shown(api: InMemoryApi) -> None:
    path = await logged(api, block(1, "a"))
    api.live_logs.kept[path.split("/")[3]] = block(2, "b")
    api.live_logs.away = True
    assert [line["message"] for line in (await read(api, path))["lines"]] == ["a"]
