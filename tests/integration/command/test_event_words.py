"""`sluice events` and `open`: what happens while it happens, and where to look at it."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.command import Command, Said, end_of
from tests.support.stack import Stack

NOBODY = "01a1fd35-8e99-748d-a037-87a48d2b4e9e"


@asynccontextmanager
async def following(program: Command, running: Stack, *words: str) -> AsyncIterator[asyncio.StreamReader]:
    """What `sluice events` writes, from when its stream is open until Ctrl-C."""
    process = await program.start("events", *words, group=True)
    try:
        await running.apis[0].until_metric("sluice_event_streams", 1)
        assert process.stdout
        async with asyncio.timeout(60):
            yield process.stdout
        process.send_signal(signal.SIGINT)
        assert (await end_of(process)).status == 130
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_what_happens_is_told_as_it_happens(program: Command, running: Stack) -> None:
    async with following(program, running) as lines:
        submitted = (await program.run("submit", "own.tells")).out.strip()
        mine: list[dict[str, Any]] = []
        while not mine or mine[-1]["event"] != "end":
            told = json.loads(await lines.readline())
            mine += [told] if told["id"] == submitted else []
    assert mine[-1]["data"]["state"] == "succeeded"
    assert set(mine[0]) == {"event", "id", "data"}


async def test_of_what_happens_only_some_is_shown(program: Command, running: Stack) -> None:
    async with following(program, running, "--event", "end", "-o", "table") as lines:
        submitted = (await program.run("submit", "own.tells")).out.strip()
        told = ""
        while submitted not in told:
            told = (await lines.readline()).decode()
            assert told.startswith("end ")
    assert told == f"end       own.tells  {submitted}  succeeded\n"


def test_what_happens_is_told_for_so_long(sluice: Said) -> None:
    said = sluice.run("events", "--for", "0.2s")
    assert (said.status, said.err) == (0, "")


def test_the_address_of_the_dashboard_is_printed(sluice: Said, running: Stack) -> None:
    assert sluice.run("open") == (0, f"{running.url}/ui\n", "")
    assert sluice.run("open", NOBODY, "--print").out == f"{running.url}/ui/jobs/{NOBODY}\n"
    assert sluice.run("open", "-o", "json").status == 0
