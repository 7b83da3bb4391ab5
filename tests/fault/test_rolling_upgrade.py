"""The release before this one and this one beside each other, under load: `make upgrade FROM=v0.1.0` puts the former into PREVIOUS."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.servers import Servers
from tests.fault.claims import check_claims
from tests.support.load import Load
from tests.support.stack import Process, Stack
from tests.support.two_releases import (
    needs_the_release_before,
    release_before,
    servers_of_nobody,
    this_release,
)

pytestmark = [
    needs_the_release_before,
    pytest.mark.timeout(300),
]  # servers of its own, and eight starts of a process


@pytest.fixture
def new_servers() -> Iterator[Servers]:
    """Start servers that nobody has migrated."""
    with servers_of_nobody() as servers:
        yield servers


@pytest.fixture
def old(new_servers: Servers, tmp_path: Path) -> Iterator[Stack]:
    """Provide a stack of the release before, on its own schema, whose processes the test starts."""
    release = release_before()
    release.run(new_servers, "migrate")
    with release.stack(new_servers, tmp_path / "old") as stack:
        stack.key = release.make_key(new_servers, "submit,read")
        yield stack


@pytest.fixture
def new(new_servers: Servers, old: Stack, tmp_path: Path) -> Iterator[Stack]:
    """Provide a stack of this release, with the key that the old one made."""
    with this_release().stack(new_servers, tmp_path / "new") as stack:
        stack.key = old.key
        yield stack


async def stop(process: Process) -> None:
    """Stop a process as an orchestrator does."""
    assert await asyncio.to_thread(process.stop) == 0


async def test_the_next_release_takes_over_without_an_error_and_without_a_loss(
    old: Stack, new: Stack
) -> None:
    first, second = Load(old), Load(new)
    old.add_api()
    old_consumers = [old.add_consumer(), old.add_consumer()]
    await asyncio.gather(*(each.ready() for each in old.apis + old.consumers))
    async with first.running():
        await first.more(100)
        await asyncio.to_thread(this_release().run, new.servers, "migrate")
        await first.more(100)

        # The old release starts on the schema of the new one, too: that is how one goes back.
        await stop(old_consumers[0])
        old_consumers[0].start()
        await asyncio.gather(old_consumers[0].ready(), new.add_consumer().ready())
        await stop(old_consumers[1])
        await first.more(100)

        # Consumers first, then apis: no job is accepted for a kind that nobody knows.
        await new.add_api().ready()
        async with second.running():
            await asyncio.gather(first.more(100), second.more(100))
            await stop(old_consumers[0])
            await asyncio.gather(first.more(100), second.more(100))
    await stop(old.apis[0])
    await first.check()
    await second.check()
    assert (first.refused, first.unknown, second.refused, second.unknown) == ([], 0, [], 0)
    await check_claims(new)
    this_release().run(new.servers, "verify")
