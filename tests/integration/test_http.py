"""The api process as its operator meets it: keys by command, refused starts, stopping, pages, health."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from functools import partial
from pathlib import Path

import httpx2
import pytest

from api.keys.api_key import make_key
from infra.local import env_file as variables
from infra.local.servers import Servers
from infra.local.stack import Stack as LocalStack
from tests.support.servers import sql_session, urls
from tests.support.stack import COMMAND, ROOT, Stack, clean_environment
from tests.support.waiting import answers, until_found

SUM = {"kind": "demo.sum", "input": {"values": [1, 2]}}


async def run(servers: Servers, module: str, **settings: str) -> tuple[int, str, str]:
    """Run one of our modules to its end; return exit status, stdout, stderr."""
    return await _run(servers, [sys.executable, "-m", module], settings)


async def sluice(servers: Servers, *words: str, **settings: str) -> tuple[int, str, str]:
    """Run the command as `make setup` left it; return exit status, stdout, stderr."""
    return await _run(servers, [str(COMMAND), *words], settings)


async def _run(servers: Servers, command: list[str], settings: dict[str, str]) -> tuple[int, str, str]:
    ports = dict.fromkeys(("SLUICE_API_PORT", "SLUICE_API_PRIVATE_PORT", "SLUICE_CONSUMER_PRIVATE_PORT"), "0")
    environment = clean_environment() | urls(servers) | ports | settings
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_key_is_made_used_listed_and_revoked(bare_stack: Stack) -> None:
    servers = bare_stack.servers
    bare_stack.add_api(key_fresh_s=0.2)
    await bare_stack.apis[0].ready()
    status, out, err = await sluice(servers, "keys", "create", "--tenant", "acme", "--scopes", "submit,read")
    key = out.strip()
    assert (status, err, out) == (0, "", f"{key}\n")
    async with bare_stack.client(key) as client:
        assert (await client.post("/v1/jobs", json=SUM)).status_code == 202
        key_id, secret = key.split("_")[1:3]
        _, listing, _ = await sluice(servers, "keys", "list", "--record")
        assert key_id in listing
        assert "acme" in listing
        assert secret not in listing
        assert (await sluice(servers, "keys", "revoke", key_id, "--record"))[0] == 0

        async def refused() -> bool:
            return (await client.get("/v1/kinds")).status_code != 200

        await until_found(refused)
        answer = await client.get("/v1/kinds")
        assert (answer.status_code, answer.json()["type"]) == (401, "unauthorized")
        assert "revoked" in (await sluice(servers, "keys", "list", "--record"))[1]


async def test_the_record_never_holds_a_secret(servers: Servers) -> None:
    _, out, _ = await sluice(servers, "keys", "create", "--tenant", "acme")
    secret = out.split("_")[2]
    rows = await _dump(servers)
    assert out.split("_")[1] in rows
    assert secret not in rows
    assert secret.encode().hex() not in rows


async def test_a_key_that_nobody_has_cannot_be_revoked(servers: Servers) -> None:
    status, out, err = await sluice(servers, "keys", "revoke", "nobody", "--record")
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
        docs=True,
    )
    async with httpx2.AsyncClient() as client:
        await until_found(lambda: answers(client, f"{api.private_url}/check"))
        check = await client.get(f"{api.private_url}/check")
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
        await api.until_metric("sluice_waiting_requests", 1)
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


@pytest.mark.parametrize("redis", [True, False])
async def test_an_api_shows_the_backlog_where_no_consumer_runs(bare_stack: Stack, redis: bool) -> None:
    await bare_stack.start(apis=2, consumers=0)
    if not redis:
        bare_stack.servers.redis.kill()
    async with bare_stack.client() as client:
        for _ in range(3):
            assert (await client.post("/v1/jobs", json=SUM)).status_code == 202

        async def shown() -> bool:
            texts = [(await client.get(f"{each.private_url}/metrics")).text for each in bare_stack.apis]
            found = ['sluice_queued_jobs{lane="default"} 3.0' in text for text in texts]
            return all(found) if redis else any(found)

        await until_found(shown)


async def test_the_health_command_is_a_probe(bare_stack: Stack) -> None:
    await bare_stack.start(consumers=0)
    api = bare_stack.apis[0]
    probe = partial(sluice, bare_stack.servers, "probe")
    assert await probe(f"{api.private_url}/readyz") == (0, "ready\n", "")
    assert (await probe(f"{api.private_url}/nothing"))[0] == 1
    assert (await probe())[:2] == (2, "")


def test_the_command_of_the_local_stack_has_its_settings(servers: Servers, tmp_path: Path) -> None:
    command = LocalStack.recorded(tmp_path).leave_command() / "sluice"

    def list_keys(**settings: str) -> tuple[int, str, str]:
        variables.write(tmp_path / ".local/settings", urls(servers) | settings)
        ended = subprocess.run(
            [command, "keys", "list", "--record"],
            env=clean_environment(), cwd="/", capture_output=True, text=True, check=False,
        )  # fmt: skip
        return ended.returncode, ended.stdout[:3], ended.stderr

    assert list_keys() == (0, "id ", "")
    status, _, complained = list_keys(SLUICE_LANES='{"its own": 1}')
    assert (status, "SLUICE_LANES" in complained) == (2, True)


async def _dump(servers: Servers) -> str:
    async with sql_session(servers.postgres.url) as sql:
        return str(await sql.fetch("select api_keys::text from api_keys"))
