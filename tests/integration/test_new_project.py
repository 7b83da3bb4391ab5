"""A project as `sluice new` wrote it: its kind runs, and its page prints a request that does."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.servers import Servers
from sluice.cli import main
from tests.support.servers import empty
from tests.support.stack import COMMAND, Stack


@pytest.fixture
def running(shared_servers: Servers, tmp_path: Path) -> Iterator[Stack]:
    """`sluice api` and `sluice consumer`, started in the project."""
    project = tmp_path / "acme-media"
    assert main(["new", str(project)]) == 0
    shared_servers.up()
    asyncio.run(empty(shared_servers))
    with Stack(shared_servers, tmp_path, handlers="acme_media.words") as stack:
        stack.root, stack.launcher = project, [str(COMMAND)]
        asyncio.run(stack.start())
        yield stack


async def test_its_kind_runs_by_the_request_that_its_page_prints(running: Stack) -> None:
    page = (running.root / "README.md").read_text()
    [(path, body)] = re.findall(r'"\$SLUICE_URL(\S+)".*?-d \'(.*?)\'', page, re.DOTALL)
    async with running.client() as client:
        answer = await client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"] == {"words": 6, "longest": "not"}
