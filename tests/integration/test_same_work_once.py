"""The same work once: single flight, reused results, and idempotency keys, over two api processes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2
import orjson
import pytest
import redis.asyncio as redis
import uuid_utils

from infra.local.servers import Servers
from tests.support.job_client import SUM, WAIT, JobClient, submit_and_wait, until_ended
from tests.support.paired_apis import Answer, read_answer, request
from tests.support.servers import frozen
from tests.support.stack import Process, Stack, make_a_key
from tests.support.waiting import until, until_found

MANY = 10_000
CONNECTIONS = 25
CLIENTS = 50


@asynccontextmanager
async def clients_of(stack: Stack) -> AsyncIterator[tuple[httpx2.AsyncClient, httpx2.AsyncClient]]:
    """Open a client of each api."""
    async with stack.client() as one, stack.client(api=stack.apis[1]) as other:
        yield one, other


async def submit_in_turn(stack: Stack, api: Process, body: bytes, times: int) -> list[Answer]:
    """Submit the same bytes so often over one connection."""
    headers = (("Content-Type", "application/json"), ("Authorization", f"Bearer {stack.key}"))
    raw = request("POST", "/v1/jobs", headers, body)
    parts = urlsplit(api.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        answers = []
        for _ in range(times):
            writer.write(raw)
            answers.append(await read_answer(reader))
        return answers
    finally:
        writer.close()


async def submit_from_everywhere(stack: Stack, body: bytes, times: int) -> list[Answer]:
    """Submit the same bytes so often over many connections to both apis."""
    share = times // (2 * CONNECTIONS)
    submits = [submit_in_turn(stack, api, body, share) for api in stack.apis[:2] for _ in range(CONNECTIONS)]
    return [answer for answers in await asyncio.gather(*submits) for answer in answers]


async def test_ten_thousand_identical_submits_run_once(two_apis: Stack, tmp_path: Path) -> None:
    gate, mark = tmp_path / "gate", tmp_path / "mark"
    body = orjson.dumps({"kind": "own.pure", "input": {"gate": str(gate), "mark": str(mark)}})
    submitting = asyncio.create_task(submit_from_everywhere(two_apis, body, MANY))
    await until(mark.exists)  # it runs, and the submits go on while it ends
    gate.touch()
    answers = await submitting
    assert len(answers) == MANY
    assert Counter(answer.status in (200, 202) for answer in answers) == {True: MANY}
    ids = {orjson.loads(answer.body)["id"] for answer in answers}
    assert len(ids) == 1
    assert len(mark.read_text().splitlines()) == 1
    assert {orjson.loads(answer.body)["state"] for answer in answers} >= {"queued", "succeeded"}


# Reused results


def pure(number: int | str | None = None, **options: Any) -> dict[str, Any]:
    """Make a submit of pure work that nobody asked for before, or of this number."""
    given = int(uuid4().int % 2**40) if number is None else number
    return {"kind": "own.pure", "input": {"number": given}, "options": options}


async def test_a_result_is_used_again_and_says_how_old_it_is_and_for_how_long(two_apis: Stack) -> None:
    work = pure()
    async with clients_of(two_apis) as clients:
        first = await submit_and_wait(clients[0], **work)
        assert not {"cache-status", "age"} & first.headers.keys()
        for client in clients:
            again = await client.post("/v1/jobs", json=work)
            assert (again.status_code, again.content) == (200, first.content)
            status, ttl = again.headers["cache-status"].rsplit("=", 1)
            assert status == "sluice; hit; ttl"
            assert int(ttl) + int(again.headers["age"]) == 600
            assert int(again.headers["age"]) < 30


async def test_work_under_way_is_shared_and_the_answer_says_so(two_apis: Stack, tmp_path: Path) -> None:
    async with clients_of(two_apis) as (client, other):
        work = JobClient(client, "own.pure", tmp_path)
        await work.begin()
        given = {"gate": str(work.gate), "mark": str(work.mark)}
        joined = await other.post("/v1/jobs", json={"kind": "own.pure", "input": given})
        assert (joined.status_code, joined.json()["coalesced"]) == (202, True)
        assert joined.headers["cache-status"] == "sluice; fwd=miss; collapsed"
        assert joined.json()["links"]["self"] == work.url
        work.gate.touch()
        assert "coalesced" not in await work.until_ended()


async def test_a_refresh_runs_again_and_replaces_and_off_does_neither(two_apis: Stack) -> None:
    number = pure()["input"]["number"]
    async with clients_of(two_apis) as clients:
        client, other = clients
        first = (await submit_and_wait(client, **pure(number))).json()
        off = (await submit_and_wait(client, **pure(number, cache="off"))).json()
        assert (await client.post("/v1/jobs", json=pure(number))).json()["id"] == first["id"]
        new = (await submit_and_wait(client, **pure(number, cache="refresh"))).json()
        assert len({first["id"], off["id"], new["id"]}) == 3
        assert (await client.post("/v1/jobs", json=pure(number))).json()["id"] == new["id"]

        async def replaced() -> bool:  # the other api may remember the first for SLUICE_MEMORY_S
            return bool((await other.post("/v1/jobs", json=pure(number))).json()["id"] == new["id"])

        await until_found(replaced)


async def test_a_result_that_is_asked_for_later_or_of_another_tenant_is_not_used(two_apis: Stack) -> None:
    stranger = await make_a_key(two_apis.servers, "other", ["submit", "read", "payloads"])
    work = pure()
    async with two_apis.client() as client, two_apis.client(key=stranger) as other:
        first = (await submit_and_wait(client, **work)).json()
        foreign = await submit_and_wait(other, **work)
        later = await client.post("/v1/jobs", json=work | {"options": {"delay_s": 60}})
    assert "cache-status" not in foreign.headers
    assert len({first["id"], foreign.json()["id"], later.json()["id"]}) == 3
    assert later.json()["state"] == "scheduled"


async def test_a_result_older_than_its_time_is_not_used(two_apis: Stack) -> None:
    work = {"kind": "own.brief", "input": {"number": pure()["input"]["number"]}}
    async with clients_of(two_apis) as (client, other):
        first = await submit_and_wait(client, **work)
        answers = [await other.post("/v1/jobs", json=work)]

        async def another() -> bool:
            answers.append(await other.post("/v1/jobs", json=work))
            return bool(answers[-1].json()["id"] != first.json()["id"])

        await until_found(another)
    *hits, fresh = answers  # a slow machine has none in that second
    assert {(hit.status_code, hit.headers["age"], hit.headers["cache-status"]) for hit in hits} <= {
        (200, "0", "sluice; hit; ttl=1")
    }
    assert "cache-status" not in fresh.headers


async def test_the_other_api_has_a_result_from_redis_without_the_record(two_apis: Stack) -> None:
    work = pure()
    async with clients_of(two_apis) as (client, other):
        await other.get("/v1/kinds")  # from here on it knows the key
        first = await submit_and_wait(client, **work)

        async def noted() -> bool:  # announced after it was settled
            async with redis.Redis.from_url(two_apis.servers.redis.url) as cache:
                keys = await cache.keys("sluice:*:result:*")
                values = [await cache.get(key) or b"" for key in keys]
                return any(first.json()["id"].encode() in value for value in values)

        await until_found(noted)
        with frozen(two_apis.servers.postgres):
            again = await other.post("/v1/jobs", json=work)
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["cache-status"].startswith("sluice; hit")


async def test_the_record_has_the_result_when_redis_has_forgotten_it(two_apis: Stack) -> None:
    work = pure()
    async with clients_of(two_apis) as (client, other):
        first = await submit_and_wait(client, **work)
        async with redis.Redis.from_url(two_apis.servers.redis.url) as cache:
            await cache.flushall()
        again = await other.post("/v1/jobs", json=work)
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["cache-status"].startswith("sluice; hit")


# Idempotency keys


def keyed(key: object = None) -> dict[str, str]:
    """Make a header with an unused key, or with this one."""
    return {"Idempotency-Key": str(key or uuid4())}


@pytest.mark.parametrize("kind", ["demo.sum", "own.pure"])
async def test_one_job_for_a_key_although_an_api_dies_in_between(two_apis: Stack, kind: str) -> None:
    victim = two_apis.add_api()
    await victim.ready()
    keys = [keyed() for _ in range(10)]
    bodies = [SUM if kind == "demo.sum" else pure() for _ in keys]
    async with two_apis.client() as safe, two_apis.client(api=victim) as risky:

        async def post(number: int) -> httpx2.Response:
            which = number % len(keys)
            for client in (risky, safe) if number // len(keys) % 2 else (safe,):
                try:
                    answer = await client.post("/v1/jobs", json=bodies[which], headers=keys[which])
                except httpx2.TransportError:
                    assert client is risky
                else:
                    if client is risky:
                        victim.kill()  # while the others are on their way
                    return answer
            raise AssertionError

        async def post_in_turn(first: int) -> list[httpx2.Response]:
            return [await post(number) for number in range(first, 50 * len(keys), CLIENTS)]

        posted = await asyncio.gather(*map(post_in_turn, range(CLIENTS)))
        answers = [answer for turn in zip(*posted, strict=True) for answer in turn]
        two_apis.apis.remove(victim)
        assert {answer.status_code for answer in answers} <= {200, 202}
        ids = [{each.json()["id"] for each in answers[which :: len(keys)]} for which in range(len(keys))]
        assert [len(each) for each in ids] == [1] * len(keys)
        rows = await two_apis.finished([job_id for (job_id,) in ids])
    assert len(rows) == len(keys)
    used = "select count(*) from idempotency_keys where key = any($1)"
    assert await two_apis.count(used, [key["Idempotency-Key"] for key in keys]) == len(keys)
    stray = "select count(*) from jobs where created_at >= $1 and not id = any($2::uuid[])"
    began = min(row["created_at"] for row in rows.values())
    assert await two_apis.count(stray, began, list(rows)) == 0


async def test_a_replay_answers_with_the_job_as_it_is_now(two_apis: Stack, tmp_path: Path) -> None:
    key = keyed()
    gate = tmp_path / "gate"
    body = {"kind": "own.loop", "input": {"gate": str(gate), "mark": str(tmp_path / "mark")}}
    async with clients_of(two_apis) as (client, other):
        first = await client.post("/v1/jobs", json=body, headers=key)
        await until((tmp_path / "mark").exists)
        running = await other.post("/v1/jobs", json=body, headers=key)
        gate.touch()
        job = await until_ended(client, first.json()["links"]["self"])
        done = await other.post("/v1/jobs", json=body, headers=key)
        waited = await client.post("/v1/jobs", json=body, headers=key | WAIT)
    assert "idempotent-replayed" not in first.headers
    assert (running.status_code, running.json()["state"]) == (202, "running")
    assert (done.status_code, done.json()) == (waited.status_code, waited.json()) == (200, job)
    for answer in (running, done, waited):
        assert answer.headers["idempotent-replayed"] == "true"
        assert answer.headers["location"] == first.headers["location"]
    assert len((tmp_path / "mark").read_text().splitlines()) == 1


async def test_a_key_means_the_same_quoted_and_bare(two_apis: Stack) -> None:
    key = str(uuid4())
    async with clients_of(two_apis) as (client, other):
        bare = await client.post("/v1/jobs", json=SUM, headers=keyed(key))
        quoted = await other.post("/v1/jobs", json=SUM, headers=keyed(f'"{key}"'))
    assert quoted.json()["id"] == bare.json()["id"]
    assert quoted.headers["idempotent-replayed"] == "true"


async def test_a_key_belongs_to_its_tenant(two_apis: Stack) -> None:
    stranger = await make_a_key(two_apis.servers, "other", ["submit", "read", "payloads"])
    key = keyed()
    async with two_apis.client() as client, two_apis.client(key=stranger) as other:
        mine = await client.post("/v1/jobs", json=SUM, headers=key)
        theirs = await other.post("/v1/jobs", json=SUM | {"input": {"values": [9]}}, headers=key)
    assert (theirs.status_code, "idempotent-replayed" in theirs.headers) == (202, False)
    assert theirs.json()["id"] != mine.json()["id"]


async def test_a_key_of_shared_work_belongs_to_that_job(two_apis: Stack, tmp_path: Path) -> None:
    key = keyed()
    async with clients_of(two_apis) as (client, other):
        work = JobClient(client, "own.pure", tmp_path)
        await work.begin()
        body = {"kind": "own.pure", "input": {"gate": str(work.gate), "mark": str(work.mark)}}
        joined = await other.post("/v1/jobs", json=body, headers=key)
        replayed = await client.post("/v1/jobs", json=body, headers=key)
        work.gate.touch()
        job = await work.until_ended()
        later = await other.post("/v1/jobs", json=body, headers=key)
    assert (joined.json()["id"], joined.json()["coalesced"]) == (job["id"], True)
    assert "idempotent-replayed" not in joined.headers
    for answer in (replayed, later):
        assert (answer.json()["id"], answer.headers["idempotent-replayed"]) == (job["id"], "true")


async def test_a_key_of_a_reused_result_keeps_it_even_when_it_is_too_old(two_apis: Stack) -> None:
    key, work = keyed(), pure()
    async with clients_of(two_apis) as (client, other):
        first = await submit_and_wait(client, **work)
        reused = await other.post("/v1/jobs", json=work, headers=key)
        await submit_and_wait(client, **work | {"options": {"cache": "refresh"}})
        later = await client.post("/v1/jobs", json=work, headers=key)
    assert (reused.content, "idempotent-replayed" in reused.headers) == (first.content, False)
    assert (later.content, later.headers["idempotent-replayed"]) == (first.content, "true")
    assert "cache-status" not in later.headers


# A request that died between the key and its job


async def insert_key_without_job(stack: Stack, body: bytes, key: str, job_id: str) -> None:
    """Put a key into the record whose job never came."""
    asked = sha256(b"POST /v1/jobs\n" + body).digest()
    statement = "insert into idempotency_keys (tenant, key, request_hash, job_id) values ('demo', $1, $2, $3)"
    async with stack.sql() as record:
        await record.execute(statement, key, asked, job_id)


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("kind", ["demo.sum", "own.pure"])
async def test_a_key_whose_job_never_came_is_taken_over_once(two_apis: Stack, kind: str) -> None:
    key, lost = str(uuid4()), str(uuid_utils.uuid7())
    body = orjson.dumps(SUM if kind == "demo.sum" else pure())
    await insert_key_without_job(two_apis, body, key, lost)
    async with clients_of(two_apis) as clients:
        answers = await asyncio.gather(
            *(each.post("/v1/jobs", content=body, headers=JSON | keyed(key)) for each in clients * 10)
        )
        assert (await until_ended(clients[0], f"/v1/jobs/{lost}"))["state"] == "succeeded"
    assert {answer.json()["id"] for answer in answers} == {lost}
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1


async def test_a_key_whose_job_never_came_moves_to_the_same_work_under_way(
    two_apis: Stack, tmp_path: Path
) -> None:
    key, lost = str(uuid4()), str(uuid_utils.uuid7())
    async with clients_of(two_apis) as (client, other):
        work = JobClient(client, "own.pure", tmp_path)
        await work.begin()
        body = orjson.dumps({"kind": "own.pure", "input": {"gate": str(work.gate), "mark": str(work.mark)}})
        await insert_key_without_job(two_apis, body, key, lost)
        answers = [
            await each.post("/v1/jobs", content=body, headers=JSON | keyed(key)) for each in (client, other)
        ]
        work.gate.touch()
        job = await work.until_ended()
    assert [answer.json()["id"] for answer in answers] == [job["id"]] * 2
    assert [answer.headers.get("idempotent-replayed") for answer in answers] == [None, "true"]


async def test_a_key_whose_job_was_there_long_ago_starts_nothing(two_apis: Stack) -> None:
    key, gone = str(uuid4()), "01900000-0000-7000-8000-000000000001"
    body = orjson.dumps(SUM)
    await insert_key_without_job(two_apis, body, key, gone)
    async with two_apis.client() as client:
        answer = await client.post("/v1/jobs", content=body, headers=JSON | keyed(key))
    assert (answer.status_code, answer.json()["type"]) == (410, "job-expired")


async def test_a_key_keeps_its_meaning_when_everything_but_the_record_was_lost(
    two_apis: Stack, shared_servers: Servers
) -> None:
    key = keyed()
    async with clients_of(two_apis) as (client, other):
        first = await client.post("/v1/jobs", json=SUM, headers=key)
        async with redis.Redis.from_url(shared_servers.redis.url) as cache:
            await cache.flushall()
        again = await other.post("/v1/jobs", json=SUM, headers=key)
    assert again.json()["id"] == first.json()["id"]
