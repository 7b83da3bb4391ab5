"""The command `sluice` as a user starts it: a process of its own, with nothing of this environment's configuration."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sluice.cli import main
from tests.support.stack import COMMAND, Stack, clean_environment


class Ended(NamedTuple):
    """How it ended, and what it has written."""

    status: int
    out: str
    err: str

    @property
    def documents(self) -> list[Any]:
        """Return the lines of stdout, each of which is JSON."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def document(self) -> Any:
        """Return the one line of stdout."""
        [found] = self.documents
        return found


class Said:
    """The command in this process, which starts a hundred times quicker; the environment is to be set by the test."""

    def __init__(
        self, directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.directory = directory
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def run(self, *words: str, given: str = "") -> Ended:
        """Run it to its end, with this on stdin."""
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        self._capsys.readouterr()
        return Ended(main(words), *self._capsys.readouterr())


class Command:
    """The command in a directory, with these variables and no others of ours."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self.directory = directory
        directories = {"HOME": str(directory), "XDG_CONFIG_HOME": str(directory / "config")}
        self.environment = clean_environment() | directories | dict(environment)

    def but(self, **environment: str) -> Command:
        """Return the same with other variables."""
        return Command(self.directory, {**self.environment, **environment})

    async def shell(self, script: str) -> Ended:
        """Run a script of bash that finds the command, and stops where something fails."""
        path = f"{COMMAND.parent}:{os.environ['PATH']}"
        shell = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", script),
            cwd=self.directory,
            env=self.environment | {"PATH": path},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return await end_of(shell)

    async def start(self, *words: str, group: bool = False) -> asyncio.subprocess.Process:
        """Start it; stdin is a pipe. `group`: in a group of its own, as a shell does, where Ctrl-C reaches it.

        What a shell has put in the background ignores SIGINT, and with it all that it starts.
        """
        return await asyncio.create_subprocess_exec(
            COMMAND,
            *words,
            cwd=self.directory,
            env=self.environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=group,
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL) if group else None,
        )

    async def run(self, *words: str, given: str | bytes = "") -> Ended:
        """Run it to its end, with this on stdin."""
        return await end_of(await self.start(*words), given)


async def end_of(process: asyncio.subprocess.Process, given: str | bytes = "") -> Ended:
    """Wait for the end of a process."""
    try:
        out, err = await process.communicate(given.encode() if isinstance(given, str) else given)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Ended(process.returncode or 0, out.decode(), err.decode())


def command_of(stack: Stack, directory: Path) -> Command:
    """Return the command with address and key of a stack."""
    return Command(directory, {"SLUICE_URL": stack.url, "SLUICE_API_KEY": stack.key})
