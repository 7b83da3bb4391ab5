"""This release and the one before it, each with its own code, environment and command. PREVIOUS names the clone of the latter."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from infra.local.run_as import temporary_directory
from infra.local.servers import Servers
from tests.support.servers import urls
from tests.support.stack import COMMAND, ROOT, Stack, clean_environment

SCOPES = "submit,read,payloads,admin,operate"
needs_the_release_before = pytest.mark.skipif(
    "PREVIOUS" not in os.environ,
    reason="there is no release before this one here: make upgrade FROM=v0.1.0, make compatibility FROM=v0.1.0",
)


class Release(NamedTuple):
    """Where a release is, and its command."""

    root: Path
    command: Path

    def run(self, servers: Servers, *words: str) -> str:
        """Return what its command says, given the settings of these servers; it must succeed."""
        done = subprocess.run(
            [self.command, *words],
            env={**clean_environment(), **urls(servers)},
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def blocks(self, page: str, language: str) -> list[str]:
        """Return the examples of a page of its documentation."""
        text = (self.root / page).read_text()
        return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)

    @contextmanager
    def stack(self, servers: Servers, directory: Path, **settings: object) -> Iterator[Stack]:
        """Yield a stack of its code on migrated servers, whose processes the block starts."""
        directory.mkdir()
        with Stack(servers, directory, **settings) as stack:
            stack.root, stack.python = self.root, str(self.command.with_name("python"))
            yield stack

    def make_key(self, servers: Servers, scopes: str = SCOPES) -> str:
        """Make a key."""
        return self.run(servers, "keys", "create", "--tenant", "demo", "--scopes", scopes).strip()


def this_release() -> Release:
    """Return the code of this tree."""
    return Release(ROOT, COMMAND)


def release_before() -> Release:
    """Return the code of PREVIOUS."""
    root = Path(os.environ["PREVIOUS"]).resolve()
    return Release(root, root / ".venv/bin/sluice")


@contextmanager
def servers_of_nobody() -> Iterator[Servers]:
    """Start servers that nobody has migrated."""
    directory = temporary_directory("sluice-upgrade-")
    servers = Servers(directory)
    try:
        servers.up()
        yield servers
    finally:
        servers.down()
        shutil.rmtree(directory, ignore_errors=True)
