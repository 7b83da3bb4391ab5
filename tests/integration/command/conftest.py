"""An api and a consumer for each module, and the command with their address and key."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.servers import Servers
from tests.support.command import Command, Said, command_of
from tests.support.job_client import KINDS
from tests.support.stack import Stack, stack_on_empty_servers


@pytest.fixture(scope="module")
def running(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start the stack; tests leave it as they found it."""
    settings = {"handlers": KINDS, "webhook_allow": "127.0.0.1/32"}
    with stack_on_empty_servers(shared_servers, tmp_path_factory.mktemp("running"), **settings) as stack:
        asyncio.run(stack.start())
        yield stack


@pytest.fixture
def sluice(
    running: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Said:
    """The command in this process, in an empty directory, with address and key of the stack."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("SLUICE_URL", running.url)
    monkeypatch.setenv("SLUICE_API_KEY", running.key)
    return Said(tmp_path, capsys, monkeypatch)


@pytest.fixture
def program(running: Stack, tmp_path: Path) -> Command:
    """The command as a process of its own."""
    return command_of(running, tmp_path)
