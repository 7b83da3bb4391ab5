"""The api process as its operator meets it: keys by command, refused starts, stopping, pages, health."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable

import asyncpg
import httpx2
import pytest

from api.keys.api_key import make_key
from infra.local.servers import Servers
from tests.support.servers import urls
from tests.support.stack import ROOT, Stack, clean_environment

SUM = {"kind": "demo.sum", "input": {"values": [1, 2]}}


async def run(servers: Servers, *command: str, **settings: str) -> tuple[int, str, str]:
    """Run one of our modules to its end: exit status, stdout, stderr."""
    ports = dict.fromkeys(("SLUICE_API_PORT", "SLUICE_API_PRIVATE_PORT", "SLUICE_CONSUMER_PRIVATE_PORT"), "0")
    environment = clean_environment() | urls(servers) | ports | settings
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Return once it is so."""
    async with asyncio.timeout(60):
        while not await true():  # noqa: ASYNC110  another process decides
            await asyncio.sleep(0.02)


async def test_a_key_is_made_used_listed_and_revoked(bare_stack: Stack) -> None:
    servers = bare_stack.servers
    bare_stack.add_api(key_fresh_s=0.2)
    await bare_stack.apis[0].ready()
    status, out, err = await run(
        servers, "api.keys.keyring", "create", "--tenant", "acme", "--scopes", "submit,read"
    )
    key = out.strip()
    assert (status, err, out) == (0, "", f"{key}\n")
    async with bare_stack.client(key) as client:
        assert (await client.post("/v1/jobs", json=SUM)).status_code == 202
        key_id, secret = key.split("_")[1:3]
        _, listing, _ = await run(servers, "api.keys.keyring", "list")
        assert key_id in listing
        assert "acme" in listing
        assert secret not in listing
        assert (await run(servers, "api.keys.keyring", "revoke", key_id))[0] == 0

        async def refused() -> bool:
            return (await client.get("/v1/kinds")).status_code != 200

        await until(refused)
        answer = await client.get("/v1/kinds")
        assert (answer.status_code, answer.json()["type"]) == (401, "unauthorized")
        assert "revoked" in (await run(servers, "api.keys.keyring", "list"))[1]


async def test_the_record_never_holds_a_secret(servers: Servers) -> None:
    _, out, _ = await run(servers, "api.keys.keyring", "create", "--tenant", "acme")
    secret = out.split("_")[2]
    rows = await _dump(servers)
    assert out.split("_")[1] in rows
    assert secret not in rows
    assert secret.encode().hex() not in rows


async def test_a_key_that_nobody_has_cannot_be_revoked(servers: Servers) -> None:
    status, out, err = await run(servers, "api.keys.keyring", "revoke", "nobody")
    assert (status, out) == (2, "")
    assert "no key with the id nobody" in err


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"SLUICE_API_PORT": "many"}, "SLUICE_API_PORT"),
        ({"SLUICE_HANDLERS": "no.such.module"}, "no.such.module"),
        ({"SLUICE_KEY_PEPPER": "short"}, "SLUICE_KEY_PEPPER"),
        ({"SLUICE_API_HOST": "192.0.2.1"}, "192.0.2.1"),
    ],
)
async def test_a_start_is_refused_with_one_line(
    servers: Servers, settings: dict[str, str], word: str
) -> None:
    status, out, err = await run(servers, "api", **settings)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert word in err
    assert err.startswith("sluice: ")


async def test_it_starts_without_any_server_and_says_what_is_missing(bare_stack: Stack) -> None:
    nowhere = "127.0.0.1:9"
    api = bare_stack.add_api(
        postgres_url=f"postgresql://u:p@{nowhere}/d",
        redis_url=f"redis://{nowhere}/0",
        rabbitmq_url=f"amqp://{nowhere}/",
    )
    async with httpx2.AsyncClient() as client, asyncio.timeout(60):
        while True:
            try:
                check = await client.get(f"{api.private_url}/check")
                break
            except httpx2.TransportError:
                await asyncio.sleep(0.05)
        assert (check.status_code, check.json()["status"]) == (503, "failing")
        assert {each["status"] for each in check.json()["dependencies"].values()} == {"away"}
        assert (await client.get(f"{api.private_url}/livez")).status_code == 200
        assert (await client.get(f"{api.private_url}/readyz")).status_code == 503
        assert (await client.get(f"{bare_stack.url}/docs")).status_code == 200
        answer = await client.get(
            f"{bare_stack.url}/v1/kinds", headers={"authorization": f"Bearer {make_key()}"}
        )
        assert (answer.status_code, answer.json()["type"]) == (503, "record-away")
    assert api.stop() == 0


async def test_a_stop_answers_who_waits_and_ends_well(bare_stack: Stack) -> None:
    await bare_stack.start(consumers=0)
    api = bare_stack.apis[0]
    async with bare_stack.client() as client:
        waiting = asyncio.create_task(client.post("/v1/jobs?wait=50", json=SUM))

        async def somebody_waits() -> bool:
            return (await api.figures())["sluice_waiting_requests"] > 0

        await until(somebody_waits)
        status = await asyncio.wait_for(asyncio.to_thread(api.stop), 40)
        assert (status, (await waiting).status_code) == (0, 202)
    assert '"process_stopped"' in api.log.read_text()
    assert "Traceback" not in api.log.read_text()


async def test_head_sends_headers_and_no_body(bare_stack: Stack) -> None:
    await bare_stack.start(consumers=0)
    async with bare_stack.client() as client:
        for path in (
            "/v1/kinds",
            (await client.post("/v1/jobs", json=SUM)).headers["location"],
            "/v1/jobs/nope",
        ):
            get, head = await client.get(path), await client.head(path)
            assert (head.status_code, head.content) == (get.status_code, b"")
            assert head.headers["content-type"] == get.headers["content-type"]


async def test_the_public_port_shows_nothing_private(bare_stack: Stack) -> None:
    await bare_stack.start(consumers=0)
    async with bare_stack.client() as client:
        for path in ("/metrics", "/livez", "/readyz", "/check"):
            assert (await client.get(path)).status_code == 404


async def test_requests_are_counted_over_both_ways(bare_stack: Stack) -> None:
    await bare_stack.start(consumers=0)
    async with bare_stack.client() as client:
        for _ in range(3):  # the first goes through FastAPI, because its key is not known yet
            job = (await client.post("/v1/jobs", json=SUM)).headers["location"]
            await client.get(job)
        figures = (await client.get(f"{bare_stack.apis[0].private_url}/metrics")).text
    assert 'sluice_http_requests_total{method="POST",route="/v1/jobs",status="202"} 3.0' in figures
    assert 'sluice_http_requests_total{method="GET",route="/v1/jobs/{job_id}",status="200"} 3.0' in figures


async def test_the_health_command_is_a_probe(bare_stack: Stack) -> None:
    await bare_stack.start(consumers=0)
    api = bare_stack.apis[0]
    assert (await run(bare_stack.servers, "sluice.adapters.admin_http", f"{api.private_url}/readyz"))[0] == 0
    assert (await run(bare_stack.servers, "sluice.adapters.admin_http", f"{api.private_url}/nothing"))[0] == 1
    assert (await run(bare_stack.servers, "sluice.adapters.admin_http"))[0] == 1


async def _dump(servers: Servers) -> str:
    connection = await asyncpg.connect(servers.postgres.url)
    try:
        return str(await connection.fetch("select api_keys::text from api_keys"))
    finally:
        await connection.close()
