"""The list of consumers, without servers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sluice.core.installation import SeenConsumer
from sluice.core.queue_stats import LaneWork
from tests.unit.api.in_memory_api import AT, InMemoryApi

PATH = "/v1/consumers"


def consumer(number: int, **more: Any) -> SeenConsumer:
    """A consumer that was started a minute before it was heard of last."""
    seen = SeenConsumer(
        f"{number:08}-0000-4000-8000-000000000000", "a-host", 7, "0.2.0", ["default", "heavy"],
        {"default": LaneWork(slots=8, per_second=1.23456, running=3, memory=5 << 20)},
        AT - timedelta(minutes=1), AT, 2.34567, True,
    )  # fmt: skip
    return seen._replace(**more)


@pytest.fixture
def operator(api: InMemoryApi) -> dict[str, str]:
    """Headers with a key that may do this."""
    return api.as_tenant("ops", "operate")


async def test_consumers_are_listed_with_what_each_does(api: InMemoryApi, operator: dict[str, str]) -> None:
    api.record.consumers = [consumer(1)]
    answer = await api.client.get(PATH, headers=operator)
    assert answer.json() == {
        "consumers": [
            {
                "id": "00000001-0000-4000-8000-000000000000", "host": "a-host", "pid": 7, "release": "0.2.0", "alive": True,
                "silent_s": 2.346, "started_at": "2026-01-01T23:59:00Z", "seen_at": "2026-01-02T00:00:00Z", "memory": 5 << 20,
                "lanes": [
                    {"name": "default", "slots": 8, "running": 3, "per_second": 1.235},
                    {"name": "heavy", "slots": None, "running": None, "per_second": None},
                ],
            }
        ],
        "next_page_token": None,
    }  # fmt: skip
    assert answer.headers["cache-control"] == "no-store"


async def test_one_of_an_older_release_tells_of_neither_memory_nor_jobs_in_hand(
    api: InMemoryApi, operator: dict[str, str]
) -> None:
    api.record.consumers = [consumer(1, works={"default": LaneWork(slots=8, per_second=0)})]
    (shown,) = (await api.client.get(PATH, headers=operator)).json()["consumers"]
    assert (shown["memory"], shown["lanes"][0]["running"]) == (None, None)


async def test_a_large_fleet_comes_page_by_page(api: InMemoryApi, operator: dict[str, str]) -> None:
    api.record.consumers = [consumer(number) for number in (3, 1, 2)]
    seen, token = list[str](), ""
    while token is not None:
        page = (await api.client.get(f"{PATH}?page_size=2&page_token={token}", headers=operator)).json()
        seen += [each["id"][7] for each in page["consumers"]]
        token = page["next_page_token"]
    assert seen == ["1", "2", "3"]


@pytest.mark.parametrize(
    "query",
    ["page_size=0", "page_size=501", "page_token=x", "page_token=%00", "size=1", "page_size=1&page_size=2"],
)
async def test_a_wrong_query_is_refused(api: InMemoryApi, operator: dict[str, str], query: str) -> None:
    answer = await api.client.get(f"{PATH}?{query}", headers=operator)
    assert (answer.status_code, answer.json()["type"]) == (422, "invalid")


async def test_only_operators_see_consumers(api: InMemoryApi) -> None:
    everything_else = api.as_tenant("acme", "submit", "read", "payloads", "admin")
    answer = await api.client.get(PATH, headers=everything_else)
    assert (answer.status_code, answer.json()["type"]) == (403, "forbidden")


async def test_a_record_that_is_away_is_a_problem(api: InMemoryApi, operator: dict[str, str]) -> None:
    await api.client.get(PATH, headers=operator)
    api.record.away = True
    answer = await api.client.get(PATH, headers=operator)
    assert (answer.status_code, answer.json()["type"]) == (503, "record-away")
