"""The api under a prefix: removed from paths, put before every link, and believed only of those who may set it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import orjson
import pytest

from api.app import wrap_middleware
from api.http.prefix import behind_proxies, peer_of
from sluice.adapters.metrics import Metrics
from sluice.core.job import JobState
from tests.support.fakes import FakeCache
from tests.unit.api.in_memory_api import Clock, InMemoryApi, Record, build_state, settings

PROXY, STRANGER = "10.1.2.3", "192.0.2.1"
TRUSTED = ("10.0.0.0/8", "2001:db8::/32")


@asynccontextmanager
async def serving(
    root_path: str = "", client: str = STRANGER, express: bool = True, trusted: tuple[str, ...] = TRUSTED
) -> AsyncIterator[InMemoryApi]:
    """An api under this prefix, and a client that seems to come from this address."""
    record, cache, metrics = Record(), FakeCache(), Metrics()
    state = build_state(record, settings(express=express), Clock(), cache)
    app = behind_proxies(wrap_middleware(state, metrics), root_path, trusted)
    key = record.add_key("acme", "submit", "read", "payloads", "admin")
    transport = httpx2.ASGITransport(app, client=(client, 1))
    headers = {"authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://sluice", headers=headers) as http:
        await http.get("/v1/kinds")
        yield InMemoryApi(http, state, record, cache, metrics, key, headers)
        await state.submission.drain()


def links_of(value: Any) -> Iterator[str]:
    """Every path in the links of an answer, and none in a result or input."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name == "links":
                yield from each.values()
            elif name not in ("result", "input", "output"):
                yield from links_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from links_of(each)


SCHEDULE = {"name": "nightly", "cron": "0 3 * * *", "kind": "demo.sum", "input": {"values": [1]}}


async def everything(api: InMemoryApi, at: str) -> list[httpx2.Response]:
    """Ask for everything that has links; paths begin with `at`."""
    work = {"kind": "demo.pure", "input": {"values": [1]}}
    client = api.client
    first = await client.post(f"{at}/v1/jobs", json=work)
    path = f"{at}/v1/jobs/{first.json()['id']}"
    answers = [first, await client.post(f"{at}/v1/jobs", json=work), await client.get(path)]
    answers += [await client.get(f"{path}/result"), await client.get(f"{path}?wait=0")]
    answers += [await client.post(f"{at}/v1/kinds/demo.sum/jobs", json={"values": [2]})]
    answers += [await client.post(f"{path}/cancel"), await client.get(path), await client.get(path)]
    failing = await client.post(f"{at}/v1/jobs", json=work)
    api.record.finish(failing.json()["id"], JobState.FAILED, None)
    answers += [failing, await client.post(f"{at}/v1/jobs/{failing.json()['id']}/retry")]
    answers += [await client.post(f"{at}/v1/schedules", json=SCHEDULE)]
    for last in ("", "/nightly"):
        answers += [await client.get(f"{at}/v1/schedules{last}")]
    answers += [await client.put(f"{at}/v1/schedules/nightly", json=SCHEDULE)]
    for verb in ("pause", "resume"):
        answers += [await client.post(f"{at}/v1/schedules/nightly/{verb}")]
    for page in ("/v1/jobs", "/v1/kinds", "/v1/kinds/demo.sum", "/"):
        answers += [await client.get(f"{at}{page}")]
    return answers


@pytest.mark.parametrize("express", [True, False])
@pytest.mark.parametrize("at", ["", "/team/jobs"])
async def test_every_link_has_the_prefix_whether_the_proxy_removes_it_or_not(at: str, express: bool) -> None:
    async with serving("/team/jobs", express=express) as api:
        answers = await everything(api, at)
    for answer in answers:
        assert answer.status_code in (200, 201, 202), (answer.url, answer.text)
        links = list(links_of(answer.json()))
        assert links or answer.json() == {"total": 3}, answer.url
        assert [each for each in links if not each.startswith("/team/jobs/")] == []
        assert not any(each.startswith("/team/jobs/team/jobs") for each in links)
        assert answer.headers.get("location", "/team/jobs/v1/").startswith("/team/jobs/v1/")


async def test_without_a_prefix_no_link_has_one() -> None:
    async with serving() as api:
        links = [each for answer in await everything(api, "") for each in links_of(answer.json())]
    assert links
    assert [each for each in links if not each.startswith(("/v1/", "/docs", "/openapi"))] == []


async def test_a_result_with_links_of_its_own_stays_as_it_is() -> None:
    async with serving("/p") as api:
        job_id = (await api.submit()).json()["id"]
        result = b'{"links":{"self":"/v1/jobs/%b"},"total":1}' % job_id.encode()
        api.record.finish(job_id, result=result)
        whole = (await api.client.get(f"/v1/jobs/{job_id}")).content
        assert result in whole
        assert orjson.loads(whole)["links"]["self"] == f"/p/v1/jobs/{job_id}"
        assert (await api.client.get(f"/v1/jobs/{job_id}/result")).content == result


async def prefix_seen(api: InMemoryApi, *sent: str) -> str:
    """The prefix of a link of a request with these headers."""
    headers = [("authorization", api.headers["authorization"])] + [
        ("x-forwarded-prefix", each) for each in sent
    ]
    link: str = (await api.client.get("/", headers=headers)).json()["links"]["kinds"]
    return link.removesuffix("/v1/kinds")


async def test_a_trusted_proxy_may_say_which_prefix_it_is() -> None:
    for address in (PROXY, "::ffff:10.1.2.3", "2001:db8::7"):
        async with serving("/usual", client=address) as api:
            assert await prefix_seen(api) == "/usual"
            assert await prefix_seen(api, "/other/") == "/other"


@pytest.mark.parametrize("address", [STRANGER, "11.0.0.1", "2001:db9::1", "no address", ""])
async def test_nobody_else_may(address: str) -> None:
    async with serving("/usual", client=address) as api:
        assert await prefix_seen(api, "/evil") == "/usual"
    async with serving("/usual", client=PROXY, trusted=()) as api:
        assert await prefix_seen(api, "/evil") == "/usual"


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "/",
        "evil",
        "//evil.example",
        "/a/../b",
        "/a b",
        "/a,/b",
        "/v1",
        "/a\xff",
        "/" + "a" * 300,
        "https://evil.example",
    ],
)
async def test_a_prefix_in_another_form_does_not_count(sent: str) -> None:
    async with serving("/usual", client=PROXY) as api:
        answer = await api.client.get("/", headers={b"x-forwarded-prefix": sent.encode("latin-1")})
        assert answer.json()["links"]["kinds"] == "/usual/v1/kinds"
        assert await prefix_seen(api, "/a", "/b") == "/usual"


async def test_the_pages_work_under_the_prefix() -> None:
    async with serving("/p") as api:
        assert (
            (await api.client.get("/p/docs"))
            .headers["content-security-policy"]
            .startswith("default-src 'none'; script")
        )
        assert (await api.client.get("/p/docs/assets/swagger-ui.css")).status_code == 200
        assert (await api.client.get("/p/openapi.json")).json()["servers"] == [{"url": "/p"}]
        assert (await api.client.get("/p")).json()["links"]["docs"] == "/p/docs"
        assert (await api.client.get("/px/v1/kinds")).status_code == 404
    async with serving() as api:
        assert "servers" not in (await api.client.get("/openapi.json")).json()


async def test_a_key_means_the_same_request_whoever_removes_the_prefix() -> None:
    async with serving("/p") as api:
        work = {"kind": "demo.sum", "input": {"values": [1]}}
        both = [
            await api.client.post(path, json=work, headers={"idempotency-key": "k"})
            for path in ("/v1/jobs", "/p/v1/jobs")
        ]
    assert [each.status_code for each in both] == [202, 202]
    assert both[0].json()["id"] == both[1].json()["id"]


@pytest.mark.parametrize(
    ("client", "sent", "peer"),
    [
        (STRANGER, ["198.51.100.7"], STRANGER),
        (PROXY, [], PROXY),
        (PROXY, ["198.51.100.7"], "198.51.100.7"),
        (PROXY, ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        (PROXY, ["203.0.113.9, 198.51.100.7, 10.9.9.9"], "198.51.100.7"),
        (PROXY, ["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
        (PROXY, ["203.0.113.9, unknown"], PROXY),
        (PROXY, ["203.0.113.9, unknown, 10.9.9.9"], "10.9.9.9"),
        (PROXY, ["10.9.9.8, 10.9.9.9"], "10.9.9.8"),
        (PROXY, [" , "], PROXY),
        (PROXY, ["2001:db9::1"], "2001:db9::1"),
        (PROXY, [", ".join(["10.9.9.8"] * 5_000)], "10.9.9.8"),
    ],
)
async def test_only_what_trusted_proxies_say_makes_an_address(
    client: str, sent: list[str], peer: str
) -> None:
    found: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append(peer_of(scope))

    headers = [(b"x-forwarded-for", each.encode()) for each in sent]
    scope = {"type": "http", "path": "/v1/jobs", "headers": headers, "client": (client, 1)}
    await behind_proxies(app, "", TRUSTED)(scope, _unused, _unused)
    assert found == [peer]
    assert peer_of({"headers": headers}) == ""


async def _unused(*_: Any) -> Any:
    raise AssertionError
