"""The client and the command of one release, and the server of another: what the older one documents works, whichever is which.

`make compatibility FROM=v0.1.0` puts the older one into PREVIOUS. Its pages are the programs: those who wrote theirs after them go on
with a newer server before they renew the client, or with a newer client before the server is renewed.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.command import Ended
from tests.support.stack import Stack, clean_environment
from tests.support.two_releases import (
    Release,
    needs_the_release_before,
    release_before,
    servers_of_nobody,
    this_release,
)

pytestmark = [
    needs_the_release_before,
    pytest.mark.timeout(600),
]  # servers of its own, and some fifty processes
PAIRS = {
    "old-server-new-client": ("old", "new"),
    "new-server-old-client": ("new", "old"),
    "new-server-new-client": ("new", "new"),  # whether the other two tell something about the pair
}
PROGRAM = """
import sys
names = {}
for number, example in enumerate(sys.stdin.read().split("\\0")):
    exec(compile(example, f"example {number}", "exec"), names)
names["sluice"].close()
"""


def release(age: str) -> Release:
    """The release of this age."""
    return release_before() if age == "old" else this_release()


class Pair:
    """A server, and the client of a release with its address and key, in an empty directory."""

    def __init__(self, stack: Stack, client: Release, directory: Path) -> None:
        self.client, self.directory = client, directory
        own = {
            "HOME": directory,
            "XDG_CONFIG_HOME": directory / "config",
            "PYTHONPATH": f"{client.root}:{directory}",
        }
        found = {
            "SLUICE_URL": stack.url,
            "SLUICE_API_KEY": stack.key,
            "PATH": f"{client.command.parent}:{os.environ['PATH']}",
        }
        self.environment = clean_environment() | {name: str(value) for name, value in (own | found).items()}

    def run(self, *command: str, given: str = "") -> Ended:
        """Run a program to its end."""
        done = subprocess.run(
            command, input=given, cwd=self.directory, env=self.environment, capture_output=True, text=True, timeout=500, check=False
        )  # fmt: skip
        return Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture(params=PAIRS)
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pair]:
    """Start the server of one release, as `make run` does, for the client of another."""
    server, client = (release(age) for age in PAIRS[request.param])
    (tmp_path / "reader").mkdir()
    with servers_of_nobody() as servers:
        server.run(servers, "migrate")
        with server.stack(servers, tmp_path / "stack", docs=True, webhook_allow="127.0.0.1/32") as stack:
            stack.key = server.make_key(servers)
            for each in (stack.add_api(), stack.add_consumer()):
                await each.ready()
            yield Pair(stack, client, tmp_path / "reader")


def test_what_the_older_release_documents_works(pair: Pair) -> None:
    old = release_before()
    examples = old.blocks("docs/client.md", "python")
    assert len(examples) >= 6
    if "from kinds import" in "".join(examples):
        (pair.directory / "kinds.py").write_text(succeeded(pair.run("sluice", "types")).out)
    succeeded(pair.run("python", "-c", PROGRAM, given="\0".join(examples)))

    script = "\n".join(old.blocks("docs/command.md", "sh")).replace(". .local/env", ":", 1)
    said = succeeded(pair.run("bash", "-euo", "pipefail", "-c", script))
    assert said.out.startswith('{"total":6}\n')


def succeeded(ended: Ended) -> Ended:
    """Return how a program has ended, which must be well."""
    assert ended.status == 0, ended.err[-3_000:]
    assert "Traceback" not in ended.err, ended.err[-3_000:]
    return ended
