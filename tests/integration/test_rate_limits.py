"""Rates of keys over real processes: all share one count, another key is not concerned, and Redis may die meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from time import monotonic

import httpx2
import pytest

from infra.local.servers import Servers
from tests.support.job_client import SUM
from tests.support.servers import frozen
from tests.support.stack import Process, Stack, make_a_key, stack_on_empty_servers

QUOTA, HOUR_S = 200, 3_600
HELD = 2 * 1.5 * QUOTA // 50
"""Units that two processes may hold of a key."""
AT_ONCE_S = 0.25
"""Seconds within which a refusal is told: 50 ms, and what two processors take to send many at once."""


@pytest.fixture(scope="module")
def limited(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two apis, one without the fast path, that take 200 submits and 200 polls an hour of each key."""
    rate = f"{QUOTA}/{HOUR_S}"
    directory = tmp_path_factory.mktemp("limited")
    with stack_on_empty_servers(shared_servers, directory, submit_rate=rate, poll_rate=rate) as stack:
        asyncio.run(start(stack))
        yield stack


async def start(stack: Stack) -> None:
    await stack.start(apis=1, consumers=0)
    await stack.add_api(express=False).ready()


async def new_client(stack: Stack, api: Process | None = None, key: str | None = None) -> httpx2.AsyncClient:
    """A client with a key of its own, of this api or of the first."""
    scopes = ["submit", "read", "payloads"]
    return stack.client(key or await make_a_key(stack.servers, "demo", scopes), api)


async def submit(client: httpx2.AsyncClient, times: int, at_once: int = 20) -> Counter[int]:
    """Submit so often, and count the statuses."""
    room, statuses = asyncio.Semaphore(at_once), Counter[int]()

    async def one() -> None:
        async with room:
            answer = await client.post("/v1/jobs", json=SUM)
            statuses[answer.status_code] += 1

    await asyncio.gather(*(one() for _ in range(times)))
    return statuses


async def test_two_processes_share_the_quota_of_a_key(limited: Stack) -> None:
    key = await make_a_key(limited.servers, "demo", ["submit", "read", "payloads"])
    async with (
        await new_client(limited, limited.apis[0], key) as one,
        await new_client(limited, limited.apis[1], key) as other,
    ):
        begun = monotonic()
        both = await asyncio.gather(submit(one, QUOTA), submit(other, QUOTA))
        came_back = (monotonic() - begun) * QUOTA / HOUR_S
    assert set(both[0] + both[1]) == {202, 429}
    assert both[0][202] > QUOTA / 5
    assert both[1][202] > QUOTA / 5
    assert QUOTA - HELD <= (both[0] + both[1])[202] <= QUOTA + 1 + came_back


async def test_a_key_that_floods_leaves_another_its_own(limited: Stack) -> None:
    async with await new_client(limited) as flood, await new_client(limited) as quiet:
        await submit(flood, QUOTA + 20)
        flooding = asyncio.create_task(submit(flood, 300))
        assert await submit(quiet, 50, at_once=1) == {202: 50}
        assert await flooding == {429: 300}


@pytest.mark.parametrize("number", [0, 1])
async def test_a_refusal_says_what_and_for_how_long_at_once(limited: Stack, number: int) -> None:
    async with await new_client(limited, limited.apis[number]) as client:
        first = await client.post("/v1/jobs", json=SUM)
        assert first.headers["ratelimit-policy"] == f'"key";q={QUOTA};w={HOUR_S}'
        assert first.headers["ratelimit"] == f'"key";r={QUOTA - 1};t=18'
        job = first.headers["location"]
        assert "ratelimit" not in (await client.get(job)).headers
        await submit(client, QUOTA)
        begun = monotonic()
        refused = await client.post("/v1/jobs", json=SUM)
        assert monotonic() - begun < AT_ONCE_S
        document = refused.json()
        assert (refused.status_code, document["type"], document["retryable"]) == (429, "rate-limited", True)
        assert 1 <= int(refused.headers["retry-after"]) <= 18
        assert refused.headers["ratelimit"].startswith('"key";r=0;')
        for _ in range(QUOTA):
            polled = await client.get(job)
        assert (polled.status_code, polled.json()["type"]) == (429, "rate-limited")


async def test_what_was_refused_is_counted(limited: Stack) -> None:
    async with await new_client(limited) as client:
        before = await limited.apis[0].metrics()
        statuses = await submit(client, QUOTA + 10)
        after = await limited.apis[0].metrics()
    name = "sluice_requests_rate_limited_total"
    assert after[name] - before.get(name, 0) == statuses[429] > 0


async def test_redis_may_die_in_the_middle_and_nothing_fails_or_hangs(
    bare_stack: Stack, servers: Servers
) -> None:
    bare_stack.key = await make_a_key(servers, "demo", ["submit", "read", "payloads"])
    api = bare_stack.add_api(submit_rate=f"{QUOTA}/{HOUR_S}", redis_budget_s=0.1)
    await api.ready()
    async with bare_stack.client() as client:
        assert await submit(client, 50) == {202: 50}
        servers.redis.kill()
        begun = monotonic()
        without = await submit(client, QUOTA)
        assert set(without) == {202, 429}
        assert QUOTA / 2 <= without[202] <= QUOTA / 2 + HELD
        assert monotonic() - begun < 10
        servers.up(servers.redis)
        again = await _until_accepted(client)
        assert again.headers["ratelimit"].startswith('"key";')


async def test_redis_may_freeze_and_a_submit_is_not_held_up(bare_stack: Stack, servers: Servers) -> None:
    bare_stack.key = await make_a_key(servers, "demo", ["submit", "read", "payloads"])
    api = bare_stack.add_api(submit_rate=f"{QUOTA}/{HOUR_S}", redis_budget_s=0.1)
    await api.ready()
    async with bare_stack.client() as client:
        await submit(client, 5)
        with frozen(servers.redis):
            begun = monotonic()
            assert (await submit(client, QUOTA))[202] >= QUOTA / 2
            assert monotonic() - begun < 10


async def _until_accepted(client: httpx2.AsyncClient) -> httpx2.Response:
    while True:
        answer = await client.post("/v1/jobs", json=SUM)
        if answer.status_code == 202:
            return answer
        assert answer.status_code == 429
        await asyncio.sleep(0.1)


async def test_an_address_without_a_valid_key_is_refused_before_the_record(
    bare_stack: Stack, servers: Servers
) -> None:
    bare_stack.key = await make_a_key(servers, "demo", ["submit", "read"])
    good = await make_a_key(servers, "demo", ["submit", "read"])
    api = bare_stack.add_api(failed_auth_rate=f"20/{HOUR_S}", trusted_proxies="127.0.0.1")
    await api.ready()
    async with bare_stack.client() as client:
        assert (await client.get("/v1/kinds")).status_code == 200
        bad = {"authorization": "Bearer slc_x", "x-forwarded-for": "192.0.2.1, 198.51.100.7"}
        answers = [await client.get("/v1/kinds", headers=bad) for _ in range(21)]
        assert [answer.status_code for answer in answers] == [401] * 20 + [429]
        refused = answers[20]
        assert (refused.json()["type"], refused.headers["retry-after"]) == ("too-many-failures", "180")
        new = {"authorization": f"Bearer {good}", "x-forwarded-for": "198.51.100.7"}
        assert (await client.get("/v1/kinds", headers=new)).status_code == 429
        elsewhere = new | {"x-forwarded-for": "198.51.100.7, 192.0.2.1"}
        assert (await client.get("/v1/kinds", headers=elsewhere)).status_code == 200
        assert (await client.get("/v1/kinds", headers=new)).status_code == 200  # it is known by now
