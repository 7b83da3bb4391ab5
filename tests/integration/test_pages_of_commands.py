"""What is printed to be copied is run as it is printed: the first steps, and a line for each route."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from api.http.auth import OPEN_PATHS, ROUTE_SCOPES
from infra.local.servers import Servers
from tests.support.stack import NO_TLS, ROOT, Stack, stack_on_empty_servers

SECTION = "## A line for each route"
PATIENCE_S = 120
OF_THE_PAGE = {"/docs/start.js", "/docs/assets"}
"""Fetched by a browser that shows `/docs`."""
ANSWERED = re.compile(r'sluice_http_requests_total\{method="(\w+)",route="([^"]+)",status="(\d+)"\} [1-9]')


@pytest.fixture
def stack(shared_servers: Servers, tmp_path: Path) -> Iterator[Stack]:
    """One api and one consumer with the shipped kinds."""
    with stack_on_empty_servers(shared_servers, tmp_path, docs=True, webhook_allow="127.0.0.1/32") as stack:
        asyncio.run(stack.start())
        yield stack


async def run(script: str, stack: Stack, directory: Path) -> str:
    """Run commands in a shell that stops at the first that fails, or is answered with an error; what was printed."""
    (directory / ".curlrc").write_text("fail-with-body\nshow-error\nmax-time = 40\n")
    environment = os.environ | {
        "SLUICE_URL": stack.url,
        "SLUICE_API_KEY": stack.key,
        "CURL_HOME": str(directory),
    }
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-euxo", "pipefail", "-c", script),
        cwd=directory,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(shell.communicate(), PATIENCE_S)
    finally:
        if shell.returncode is None:
            shell.kill()
    assert shell.returncode == 0, said.decode()[-3_000:]
    return said.decode()


async def routes_answered(stack: Stack) -> set[tuple[str, str]]:
    """Methods and templates of the requests that were answered well."""
    async with httpx2.AsyncClient(verify=NO_TLS) as client:
        text = (await client.get(f"{stack.apis[0].private_url}/metrics")).text
    return {(method, route) for method, route, status in ANSWERED.findall(text) if int(status) < 400}


async def test_the_first_steps_work_as_they_are_printed(stack: Stack, tmp_path: Path) -> None:
    page = (ROOT / "docs/first-steps.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    said = await run("\n".join(blocks).replace(". .local/env", ":", 1), stack, tmp_path)
    for seen in ('"total":6', "304 Not Modified", "event: end", "cancel", "webhook-signature: v1,"):
        assert seen in said


async def test_there_is_a_line_for_each_route_and_all_work_in_their_order(
    stack: Stack, tmp_path: Path
) -> None:
    page = (ROOT / "docs/http-api.md").read_text()
    lines = page[page.index(SECTION) :].split("```sh\n", 1)[1].split("```", 1)[0]
    await run(lines, stack, tmp_path)
    every = {*ROUTE_SCOPES, *(("GET", path) for path in OPEN_PATHS - OF_THE_PAGE)}
    assert every - await routes_answered(stack) == set()
