"""Commands and processes whose caller has closed stdin, stdout or stderr."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from infra.local.ports import free_port
from tests.support.stack import clean_environment
from tests.support.waiting import answers

ROOT = Path(__file__).parents[3]
SETTINGS = {
    "SLUICE_POSTGRES_URL": "postgresql://u:p@127.0.0.1:1/d",
    "SLUICE_REDIS_URL": "redis://127.0.0.1:1/",
    "SLUICE_RABBITMQ_URL": "amqp://u:p@127.0.0.1:1/",
    "SLUICE_KEY_PEPPER": "x" * 16,
    "SLUICE_HANDLERS": "sluice.kinds.demo_sum",
}
CLOSED = {"stdin": [0], "stderr": [2], "all": [0, 1, 2]}
COMMAND = ["-c", "import sys; from sluice.cli import main; sys.exit(main())"]


def without(streams: list[int], command: list[str]) -> list[str]:
    """Return a command that closes these streams and becomes Python with this one."""
    program = (
        "import os, sys; streams, *command = sys.argv[1:]; [os.close(int(each)) for each in streams.split()];"
        "os.execv(sys.executable, [sys.executable, *command])"
    )
    return [sys.executable, "-c", program, " ".join(map(str, streams)), *command]


def streams_of(pid: int) -> list[str]:
    """Return what stdin, stdout and stderr of a process are."""
    return [str(Path(f"/proc/{pid}/fd/{each}").readlink()) for each in range(3)]


def run(streams: list[int], *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command without these streams."""
    environment = clean_environment() | SETTINGS
    command = without(streams, [*COMMAND, *words])
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", ["settings", "", "keys create --tenant acme", "probe http://127.0.0.1:1/"])
def test_what_could_not_answer_is_not_begun(words: str) -> None:
    done = run([1], *words.split())
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith("sluice: stdout is closed")


@pytest.mark.parametrize("closed", ["stdin", "stderr"])
def test_handlers_are_checked_as_ever(closed: str) -> None:
    done = run(CLOSED[closed], "check")
    assert (done.returncode, done.stderr) == (0, "")
    assert "demo.sum" in done.stdout


def test_a_refusal_that_nobody_can_read_has_its_exit_status() -> None:
    assert run([1, 2], "check").returncode == 2
    assert run([2], "nonsense").returncode == 2


@pytest.mark.parametrize(
    ("process", "closed"),
    [(["-m", "api"], "stdin"), (["-m", "consumer"], "stdin"), (["-m", "consumer"], "all"), ([*COMMAND, "api"], "all")],
)  # fmt: skip
async def test_a_process_starts_and_stops(process: list[str], closed: str) -> None:
    port = free_port()
    own = {
        "SLUICE_API_PORT": "0",
        "SLUICE_API_PRIVATE_PORT": str(port),
        "SLUICE_CONSUMER_PRIVATE_PORT": str(port),
        "SLUICE_LAME_DUCK_S": "0",
    }
    started = await asyncio.create_subprocess_exec(
        *without(CLOSED[closed], process),
        cwd=ROOT,
        env=clean_environment() | SETTINGS | own,
        stdin=-3,
        stdout=-3,
        stderr=-3,
    )
    try:
        async with httpx2.AsyncClient(verify=False) as client:
            while not await answers(client, f"http://127.0.0.1:{port}/livez", 200):
                assert started.returncode is None
                await asyncio.sleep(0.05)
        assert streams_of(started.pid) == [os.devnull] * 3
        started.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(started.wait(), 60) == 0
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()
