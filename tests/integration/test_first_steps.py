"""The first steps work as they are printed, pasted into one shell."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

from tests.support.stack import ROOT, Stack

PATIENCE_S = 120
SEEN = (
    '\n{"total":6}\n', '\n{"slept_s":2.', "\n21\n", "\n{'total': 9}\n4950\n", "image.thumbnail", "status 1", "cancel", '\n{"total":3}\n',
    "job.succeeded ", "304 Not Modified", "event: end",
)  # fmt: skip


async def run(script: str, stack: Stack, directory: Path) -> str:
    """Run commands in a shell that stops at the first that fails, or is answered with an error; what was printed."""
    (directory / ".curlrc").write_text("fail-with-body\nshow-error\nmax-time = 40\n")
    environment = (
        os.environ
        | {
            "SLUICE_URL": stack.url,
            "SLUICE_API_KEY": stack.key,
            "CURL_HOME": str(directory),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # with the command, as in the shell of `make run`
        }
    )
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-euxo", "pipefail", "-c", script),
        cwd=directory,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(shell.communicate(), PATIENCE_S)
    finally:
        if shell.returncode is None:
            shell.kill()
    assert shell.returncode == 0, said.decode()[-3_000:]
    return said.decode()


async def test_the_first_steps_work_as_they_are_printed(stack_of_the_pages: Stack, tmp_path: Path) -> None:
    page = (ROOT / "docs/first-steps.md").read_text()
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / ".local").mkdir()
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    script = "\n".join(blocks).replace(". .local/env", ":", 1)
    said = await run(script, stack_of_the_pages, tmp_path)
    assert [each for each in SEEN if each not in said] == [], said[-6_000:]
