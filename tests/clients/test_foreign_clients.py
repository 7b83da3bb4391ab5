"""Clients of other makes, as they come, against a real server over a record in memory: `make clients`."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from api.app import wrap_middleware
from sluice.adapters.metrics import Metrics
from tests.support.waiting import until
from tests.unit.api.http.test_uvicorn_protocol import serving
from tests.unit.api.in_memory_api import Clock, Record, build_state, settings

PROGRAMS = Path(__file__).parent / "programs"
PATIENCE_S = 110
SUM = '{"kind":"demo.sum","input":{"values":[1,2]}}'
USUAL = ["submit 202", "submit 202", "large 202"]
AFTERWARDS = ["look up 200", "unchanged 304", "cancel 200", "submit 202"]


class Api(NamedTuple):
    """Where it is, and a key for it."""

    url: str
    key: str


@pytest.fixture
def record() -> Record:
    """The record behind the api."""
    return Record()


@pytest.fixture(params=[True, False], ids=["fast path", "FastAPI"])
async def api(request: pytest.FixtureRequest, record: Record) -> AsyncIterator[Api]:
    """An api with and without the fast path."""
    state = build_state(record, settings(express=request.param), Clock())
    key = record.add_key("acme", "submit", "read", "payloads")
    async with serving(wrap_middleware(state, Metrics()), 60) as server:
        yield Api(f"http://127.0.0.1:{server.port}", key)
        await state.submission.drain()


def found(program: str, package: str) -> str:
    """Find a program, or skip and say which package has it."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed: apt-get install {package}")
    return path


async def run(*command: str | Path, **environment: str) -> list[str]:
    """Run a client to its end, which has to be good; return its lines."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, (out + err).decode()
    return out.decode().splitlines()


async def test_java(api: Api) -> None:
    java = found("java", "default-jdk-headless")
    said = await run(java, "-Xshare:auto", PROGRAMS / "Client.java", *api)
    assert said == [*USUAL, "expect 202", "refused 401", *AFTERWARDS]


async def test_go(api: Api, tmp_path: Path) -> None:
    go = found("go", "golang-go")
    program = tmp_path / "client"
    await run(go, "build", "-o", program, PROGRAMS / "client.go", GO111MODULE="off", CGO_ENABLED="0")
    assert await run(program, *api) == [*USUAL, "expect 202", "refused 401", "refused 401", *AFTERWARDS]


async def test_node(api: Api) -> None:
    node = found("node", "nodejs")
    assert await run(node, PROGRAMS / "client.mjs", *api) == [*USUAL, "refused 401", *AFTERWARDS]


async def test_requests(api: Api) -> None:
    said = await run(sys.executable, PROGRAMS / "with_requests.py", *api)
    assert said == [*USUAL, "large 202", "refused 401", *AFTERWARDS]


@pytest.mark.parametrize("version", ["--http2", "--http1.1", "--http1.0"])
async def test_curl(api: Api, tmp_path: Path, version: str) -> None:
    curl = found("curl", "curl")
    large = tmp_path / "large.json"
    large.write_text(SUM + " " * 20_000)
    submit = [
        version,
        "-sS",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}\n",
        "-H",
        "Content-Type: application/json",
    ]
    submit += [f"{api.url}/v1/jobs", "-H", f"Authorization: Bearer {api.key}"]
    once: list[str] = [*submit, "-d", SUM, "--next"]
    waits: list[str] = [*submit, "-d", f"@{large}", "-H", "Expect: 100-continue", "--next"]
    refused = [
        *submit[:-1],
        "Authorization: Bearer nobody",
        "-d",
        f"@{large}",
        "-H",
        "Expect: 100-continue",
        "--next",
    ]
    said = await run(curl, *once, *once, *waits, *refused, *once, *submit, "-d", SUM)
    assert said == ["202", "202", "202", "401", "202", "202"]


async def finish_the_first(record: Record) -> None:
    """Finish the first job that is submitted, as a consumer would."""
    await until(lambda: record.jobs)
    record.finish(next(iter(record.jobs)))


async def test_a_client_written_from_the_openapi_document(api: Api, record: Record, tmp_path: Path) -> None:
    uv = [sys.executable, "-m", "uv", "run", "--quiet", "--no-project", "--with", "openapi-python-client"]
    try:
        await run(*uv, "python", "-c", "import openapi_python_client")
    except AssertionError as missing:
        pytest.skip(f"openapi-python-client cannot be had from the package index: {str(missing)[:200]}")
    consumer = asyncio.create_task(finish_the_first(record))
    [said] = await run(*uv, "python", PROGRAMS / "generated.py", *api, str(tmp_path))
    await consumer
    assert json.loads(said) == {
        "submitted": ["DemoSumJob", "demo.sum", "queued"],
        "by the path of all kinds": "queued",
        "looked up": True,
        "result": ["DemoSumOutput", 3],
        "result looked up": ["DemoSumOutput", 3],
    }
