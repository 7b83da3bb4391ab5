"""The routes for lanes, with and without the fast path, without servers."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.core.access import Actor
from sluice.core.job import JobState
from sluice.core.queue_stats import LaneStatistics, Times, write_statistics
from tests.unit.api.in_memory_api import AT, InMemoryApi

PATH = "/v1/lanes"
RUNS = Times(runs=9, mean_s=2, p50_s=1, p90_s=5)
NOBODY_COUNTS: dict[str, Any] = dict.fromkeys(
    ("queued", "running", "slots", "oldest_s", "per_second", "drain_s", "consumers")
)
REASON = {"reason": "the disk is full"}


@pytest.fixture
def operator(api: InMemoryApi) -> dict[str, str]:
    """Headers with a key that may do this."""
    return api.as_tenant("ops", "operate")


async def counted(api: InMemoryApi, **lanes: LaneStatistics) -> None:
    """Somebody has counted these."""
    await api.cache.post_statistics(write_statistics(lanes), 60)
    assert await api.state.counts.read_board()


async def listed(api: InMemoryApi, operator: dict[str, str]) -> list[dict[str, Any]]:
    """The lanes as they are listed."""
    answer = await api.client.get(PATH, headers=operator)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return list(answer.json()["lanes"])


async def test_lanes_are_listed_with_what_was_counted(api: InMemoryApi, operator: dict[str, str]) -> None:
    found = LaneStatistics(
        queued=40, running=8, oldest_queued_s=7.12345, oldest_undispatched_s=0, consumers=2, slots=8,
        per_second=3.98765, times=RUNS,
    )  # fmt: skip
    await counted(api, default=found)
    assert await listed(api, operator) == [
        {
            "name": "default", "queued": 40, "running": 8, "slots": 8, "oldest_s": 7.123, "per_second": 3.988,
            "drain_s": 10.0, "consumers": 2, "paused": None,
        },
        {"name": "heavy", **NOBODY_COUNTS, "paused": None},
    ]  # fmt: skip


@pytest.mark.parametrize("unknown", [{"slots": 0}, {"times": None}])
async def test_nobody_says_when_a_lane_is_drained_whose_speed_is_not_known(
    api: InMemoryApi, operator: dict[str, str], unknown: dict[str, Any]
) -> None:
    known = {"consumers": 2, "slots": 8, "times": RUNS} | unknown
    count = {"queued": 1, "running": 0, "oldest_queued_s": 7, "oldest_undispatched_s": 0}
    await counted(api, default=LaneStatistics(**(count | known)))
    assert (await listed(api, operator))[0]["drain_s"] is None


async def test_a_lane_is_paused_until_it_is_resumed(api: InMemoryApi, operator: dict[str, str]) -> None:
    count = {"queued": 4, "running": 0, "oldest_queued_s": 7, "oldest_undispatched_s": 0}
    await counted(api, heavy=LaneStatistics(**count, slots=8, times=RUNS))
    answer = await api.client.post(f"{PATH}/heavy/pause", json=REASON, headers=operator)
    assert answer.status_code == 200
    key_id = next(iter(key for key in api.record.keys.values() if key.tenant == "ops")).key_id
    assert answer.json()["paused"] == {
        "since": AT.strftime("%Y-%m-%dT00:00:00Z"), "reason": "the disk is full", "by": key_id
    }  # fmt: skip
    assert (answer.json()["queued"], answer.json()["drain_s"]) == (4, None)
    assert [each["paused"] for each in await listed(api, operator)] == [None, answer.json()["paused"]]
    for _ in range(2):
        resumed = await api.client.post(f"{PATH}/heavy/resume", headers=operator)
        assert (resumed.status_code, resumed.json()["paused"]) == (200, None)
    assert api.record.pauses == {}


async def test_what_changes_is_announced_and_an_absent_redis_makes_no_pause_look_lost(
    api: InMemoryApi, operator: dict[str, str]
) -> None:
    heard: list[str] = []
    api.cache._listeners["pauses"].append(lambda _: heard.append(str([*api.record.pauses])))
    await api.client.post(f"{PATH}/heavy/pause", json=REASON, headers=operator)
    await api.client.post(f"{PATH}/heavy/resume", headers=operator)
    assert heard == ["['heavy']", "[]"]  # each is in the record before it is told
    api.cache.away = True
    answer = await api.client.post(f"{PATH}/heavy/pause", json=REASON, headers=operator)
    assert (answer.status_code, [*api.record.pauses]) == (200, ["heavy"])


async def test_a_lane_that_is_taken_out_of_the_settings_can_be_resumed(
    api: InMemoryApi, operator: dict[str, str]
) -> None:
    await api.record.pause_lane("former", "as asked", "ops", Actor("key"))
    assert [each["name"] for each in await listed(api, operator)] == ["default", "heavy", "former"]
    assert (await api.client.post(f"{PATH}/former/pause", json=REASON, headers=operator)).status_code == 404
    assert (await api.client.post(f"{PATH}/former/resume", headers=operator)).status_code == 200
    assert (await api.client.post(f"{PATH}/former/resume", headers=operator)).status_code == 404


@pytest.mark.parametrize("lane", ["light", "%00", "a%2Fb", "h" * 2_000])
@pytest.mark.parametrize("act", ["pause", "resume"])
async def test_an_unknown_lane_is_a_problem(
    api: InMemoryApi, operator: dict[str, str], lane: str, act: str
) -> None:
    answer = await api.client.post(f"{PATH}/{lane}/{act}", json=REASON, headers=operator)
    assert answer.status_code == 404
    if "%2F" not in lane:
        assert answer.json()["type"] == "lane-unknown"
        assert "GET /v1/lanes" in answer.json()["detail"]
    assert api.record.pauses == {}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/reason"),
        ([], ""),
        ({"reason": ""}, "/reason"),
        ({"reason": "  "}, "/reason"),
        ({"reason": None}, "/reason"),
        ({"reason": 7}, "/reason"),
        ({"reason": "two\nlines"}, "/reason"),
        ({"reason": "a bell\a"}, "/reason"),
        ({"reason": "nul\0"}, ""),
        ({"reason": "é" * 201}, "/reason"),
        ({"reason": "fine", "until": "noon"}, "/until"),
    ],
)  # fmt: skip
async def test_a_pause_without_a_good_reason_is_refused(
    api: InMemoryApi, operator: dict[str, str], body: Any, pointer: str
) -> None:
    answer = await api.client.post(f"{PATH}/heavy/pause", json=body, headers=operator)
    assert (answer.status_code, answer.json()["type"]) == (422, "invalid")
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert api.record.pauses == {}


async def test_only_operators_see_and_change_lanes(api: InMemoryApi) -> None:
    for method, path in (("GET", ""), ("POST", "/heavy/pause"), ("POST", "/heavy/resume")):
        answer = await api.client.request(method, PATH + path, json=REASON)
        assert (answer.status_code, answer.json()["type"]) == (403, "forbidden")
    assert api.record.pauses == {}


async def test_a_record_that_is_away_is_a_problem_and_nothing_is_announced(
    api: InMemoryApi, operator: dict[str, str]
) -> None:
    await api.client.get(PATH, headers=operator)
    api.cache._listeners["pauses"].append(lambda _: pytest.fail("announced"))
    api.record.away = True
    for method, path in (("GET", ""), ("POST", "/heavy/pause"), ("POST", "/heavy/resume")):
        answer = await api.client.request(method, PATH + path, json=REASON, headers=operator)
        assert (answer.status_code, answer.json()["type"]) == (503, "record-away")


async def test_jobs_are_accepted_into_a_paused_lane(api: InMemoryApi, operator: dict[str, str]) -> None:
    await api.client.post(f"{PATH}/default/pause", json=REASON, headers=operator)
    answer = await api.submit()
    assert (answer.status_code, answer.json()["state"]) == (202, JobState.QUEUED)
