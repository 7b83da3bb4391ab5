"""The release before this one and this one beside each other, under load: `make upgrade FROM=v0.1.0` puts the former into PREVIOUS."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.run_as import temporary_directory
from infra.local.servers import Servers
from tests.fault.claims import check_claims
from tests.support.load import Load
from tests.support.servers import urls
from tests.support.stack import COMMAND, Process, Stack, clean_environment

PREVIOUS = Path(os.environ.get("PREVIOUS", "")).resolve()
OLD_COMMAND = PREVIOUS / ".venv/bin/sluice"

pytestmark = [
    pytest.mark.skipif(
        "PREVIOUS" not in os.environ,
        reason="there is no release before this one here: make upgrade FROM=v0.1.0",
    ),
    pytest.mark.timeout(300),  # servers of its own, and eight starts of a process
]


@pytest.fixture
def new_servers() -> Iterator[Servers]:
    """Start servers that nobody has migrated."""
    directory = temporary_directory("sluice-upgrade-")
    servers = Servers(directory)
    try:
        servers.up()
        yield servers
    finally:
        servers.down()
        shutil.rmtree(directory, ignore_errors=True)


def sluice(servers: Servers, command: Path, *words: str) -> str:
    """Return what the command of a release says; it must succeed."""
    done = subprocess.run(
        [command, *words],
        env={**clean_environment(), **urls(servers)},
        cwd=command.parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def old(new_servers: Servers, tmp_path: Path) -> Iterator[Stack]:
    """Provide a stack of the release before, on its own schema, whose processes the test starts."""
    (tmp_path / "old").mkdir()
    sluice(new_servers, OLD_COMMAND, "migrate")
    with Stack(new_servers, tmp_path / "old") as stack:
        stack.root, stack.python = PREVIOUS, str(PREVIOUS / ".venv/bin/python")
        stack.key = sluice(
            new_servers, OLD_COMMAND, "keys", "create", "--tenant", "demo", "--scopes", "submit,read"
        ).strip()
        yield stack


@pytest.fixture
def new(new_servers: Servers, old: Stack, tmp_path: Path) -> Iterator[Stack]:
    """Provide a stack of this release, with the key that the old one made."""
    (tmp_path / "new").mkdir()
    with Stack(new_servers, tmp_path / "new") as stack:
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
        await asyncio.to_thread(sluice, new.servers, COMMAND, "migrate")
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
    sluice(new.servers, COMMAND, "verify")
