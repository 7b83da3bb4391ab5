"""`make run WATCH=1`: an edited handler is what runs next, and one that does not load stops nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from io import StringIO
from pathlib import Path
from threading import Event

import httpx2
import pytest
from rich.console import Console

from infra.local.ports import free_port
from infra.local.servers import Servers
from infra.local.stack import Stack, settings_for
from infra.local.watch import follow
from tests.support.servers import QUICK, empty, urls
from tests.support.stack import NO_TLS, make_a_key
from tests.support.waiting import until

KIND = """
from pydantic import BaseModel
from sluice import handler

class Text(BaseModel):
    text: str

@handler("own.greet", runs_in="{place}")
def greet(given: Text) -> Text:
    return Text(text={returns})
"""
IN_TIME = pytest.mark.timeout(180)  # processes are started four times


class Watched:
    """A project whose stack is watched, what was said of it, and a client of its api."""

    def __init__(self, project: Path, said: StringIO, client: httpx2.AsyncClient) -> None:
        self.project, self.client, self._said = project, client, said

    def write(self, returns: str, place: str = "thread") -> None:
        """Edit the handler."""
        (self.project / "greeting.py").write_text(KIND.format(returns=returns, place=place))

    async def hears(self, word: str) -> str:
        """Wait until something is said, and return it without what was said before."""
        words = ("renewed", "refused", "failed", "mended")
        await until(lambda: any(f"  {each} " in self._said.getvalue() for each in words))
        text = self._said.getvalue()
        assert f"  {word} " in text, text
        self._said.truncate(0)
        self._said.seek(0)
        return text

    async def greets(self) -> str:
        """Submit a job, and return what came of it."""
        answer = await self.client.post("/v1/kinds/own.greet/jobs?wait=30", json={"text": "hello"})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["result"]["text"])


@pytest.fixture
async def watched(servers: Servers, tmp_path: Path) -> AsyncIterator[Watched]:
    """The stack of a project, watched as `make run WATCH=1` does once it runs."""
    await empty(servers)
    (tmp_path / "requirements.txt").touch()
    given = {f"SLUICE_{name.upper()}": str(value) for name, value in QUICK.items()}
    given |= {"SLUICE_HANDLERS": "greeting", "SLUICE_API_PORT": str(free_port())} | urls(servers)
    stack = Stack(tmp_path, settings_for(tmp_path, given, {}))
    said, stop = StringIO(), Event()
    key = await make_a_key(servers, "demo", ["submit", "read", "payloads"])
    async with httpx2.AsyncClient(
        base_url=stack.url, headers={"Authorization": f"Bearer {key}"}, timeout=40, verify=NO_TLS
    ) as client:
        project = Watched(tmp_path, said, client)
        project.write("'first'")
        watching = asyncio.create_task(asyncio.to_thread(follow, stack, Console(file=said), stop))
        try:
            await project.hears("renewed")
            yield project
        finally:
            stop.set()
            with suppress(asyncio.CancelledError):
                await watching
            await asyncio.to_thread(stack.stop)


@IN_TIME
async def test_the_next_job_runs_what_was_edited_and_the_catalogue_shows_it(watched: Watched) -> None:
    assert await watched.greets() == "first"
    watched.write("'the second'")
    assert "api, consumer" in await watched.hears("renewed")
    assert await watched.greets() == "the second"
    watched.write("given.nothing", place="process")
    await watched.hears("renewed")
    [kind] = (await watched.client.get("/v1/kinds")).json()["kinds"]
    assert kind["runs_in"] == "process"


@IN_TIME
async def test_a_handler_that_does_not_load_is_shown_and_the_old_one_runs_until_it_is_mended(
    watched: Watched,
) -> None:
    watched.write("'second'  'and more")
    said = await watched.hears("refused")
    assert "greeting.py" in said
    assert "line 10" in said, said
    assert await watched.greets() == "first"
    watched.write("'first'")
    await watched.hears("mended")
    watched.write("'mended now'")
    await watched.hears("renewed")
    assert await watched.greets() == "mended now"
