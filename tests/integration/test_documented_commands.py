"""Every `curl` command of docs/http-api.md does what the page says, and every route has one."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest

from api.http.auth import ROUTE_SCOPES
from tests.support.documented_commands import Command, commands
from tests.support.job_client import SUM
from tests.support.stack import ROOT, Stack

pytestmark = [
    pytest.mark.timeout(300),  # some seventy commands, of which some wait
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]
DOCS = ROOT / "docs"
SEEN = "%{stderr}\\n%{http_code} %{method} %{url}\\n"
"""What curl is to say of each request, after whatever else it says."""
REQUEST = re.compile(r"^(\d{3}) ([A-Z]+) http://[^/]+(/[^\s?]*)", re.MULTILINE)


class Seen(NamedTuple):
    """A request that a command made, and how it was answered."""

    status: int
    method: str
    path: str


class Reader:
    """Who copies the commands one after another, and remembers what the answers name."""

    def __init__(self, directory: Path, client: httpx2.AsyncClient, given: Mapping[str, str]) -> None:
        self._directory, self._client = directory, client
        self._given = given
        self._values = dict(given)
        self._ids: dict[str, str] = {}
        wrapper = directory / "curl"
        wrapper.write_text(
            f"""#!/bin/bash\n{shutil.which("curl")} -w '{SEEN}' "$@" 2>>requests | tee answer\nexit 0\n"""
        )
        wrapper.chmod(0o755)

    async def run(self, command: Command) -> list[Seen]:
        """Run it, and return the requests that it made."""
        values = self._values | {name: await self._id(each) for name, each in self._wanted(command)}
        for name in ("requests", "answer"):
            (self._directory / name).write_text("")
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-euc",
            f'{command.text}\nprintf %s "${{{command.assigns or "IFS"}}}" >assigned',
            cwd=self._directory,
            env=os.environ | values | {"PATH": f"{self._directory}:{os.environ['PATH']}"},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
        assert process.returncode == 0, f"{command.text}\n{said.decode()}"
        if command.assigns:
            self._values[command.assigns] = (self._directory / "assigned").read_text()
        seen = [Seen(int(status), method, path) for status, method, path in self._requests()]
        self._remember(seen)
        return seen

    def answer(self) -> str:
        """Return the body of the last answer, which `curl -i` shows behind its headers."""
        return (self._directory / "answer").read_bytes().split(b"\r\n\r\n")[-1].decode()

    def _wanted(self, command: Command) -> Iterator[tuple[str, str]]:
        return ((name, each) for name, each in command.names.items() if name not in self._given)

    async def _id(self, collection: str) -> str:
        """Return the newest id of a collection that an answer has named; a job can always be had."""
        if collection == "jobs" and collection not in self._ids:
            self._ids[collection] = (await self._client.post("/v1/jobs", json=SUM)).json()["id"]
        assert collection in self._ids, f"no command before this one makes any of /v1/{collection}"
        return self._ids[collection]

    def _requests(self) -> list[tuple[str, str, str]]:
        return REQUEST.findall((self._directory / "requests").read_text())

    def _remember(self, seen: list[Seen]) -> None:
        for _, method, path in seen:
            collection, _, more = path.removeprefix("/v1/").partition("/")
            if method == "POST" and not more:
                self._ids[collection] = json.loads(self.answer()).get("id", "")
            if method == "DELETE":
                self._ids.pop(collection, None)


def template_of(method: str, path: str) -> str | None:
    """Return the route that answers; one without a parameter goes before those with one."""
    for each, template in sorted(ROUTE_SCOPES, key=lambda route: route[1].count("{")):
        if each == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            return template
    return None


async def a_failure(client: httpx2.AsyncClient) -> dict[str, str]:
    """Let a job fail, which no command of a page about the shipped kinds does."""
    failed = (await client.post("/v1/kinds/image.thumbnail/jobs?wait=20", json={"image": "AAAA"})).json()
    return {"FAILED": failed["id"], "FINGERPRINT": failed["error"]["fingerprint"]}


async def copy_all(page: Path, stack: Stack, directory: Path) -> set[tuple[str, str | None]]:
    """Run the commands of a page in order, each of which has to do as it says; return the routes that they use."""
    used, wrong = set(), []
    keys = {
        "SLUICE_URL": stack.url,
        "SLUICE_API_KEY": stack.key,
        "ADMIN_KEY": stack.key,
        "OPERATOR_KEY": stack.key,
    }
    async with stack.client() as client:
        reader = Reader(directory, client, keys | await a_failure(client))
        for command in commands(page):
            seen = await reader.run(command)
            assert seen or "curl" not in command.text, f"this made no request: {command.text}"
            used |= {(each.method, template_of(each.method, each.path)) for each in seen}
            if not all(_as_stated(each.status, command.status) for each in seen):
                wrong.append((command.text, seen, reader.answer()[:500]))
    assert not wrong
    return used


def _as_stated(status: int, stated: int | None) -> bool:
    return status == stated if stated else 200 <= status < 300


async def test_every_route_has_a_command_that_works(stack_of_the_pages: Stack, tmp_path: Path) -> None:
    used = await copy_all(DOCS / "http-api.md", stack_of_the_pages, tmp_path)
    assert ROUTE_SCOPES.keys() <= used, f"without a curl line: {sorted(ROUTE_SCOPES.keys() - used)}"
