"""What a consumer's hosts have started ends with the host, and all of it with the consumer."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import IO

import pytest

from tests.support.processes import lives
from tests.support.waiting import until

CONSUMER = """
    import asyncio, os, signal, sys
    import uvloop
    from consumer.hosts.descendants import Descendants
    from sluice.host.processes import adopt_orphans
    from tests.unit.consumer import hostile_kinds as kinds
    from tests.unit.consumer.hosts.real_hosts import mark_in, pid_of, running_hosts
    from pathlib import Path

    async def main(folder, how):
        async with running_hosts(descendants=Descendants(adopt_orphans())) as hosts:
            loop, slot, orphan = (folder / name for name in ("loop", "slot", "orphan"))
            await hosts.start(kinds.start_program, {"mark": str(loop)})
            await hosts.start(kinds.in_process, {"seconds": 60, "mark": str(slot)})
            pids = [await mark_in(loop), await mark_in(slot), pid_of(hosts.shared)]
            if how == "orphan":
                print("ended", await hosts.run(kinds.ends, {"how": "orphan", "mark": str(orphan)}, solo_crashes=1))
                pids.append(await mark_in(orphan))
            print(*pids, flush=True)
            await asyncio.sleep(60)

    if __name__ == "__main__":
        uvloop.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


def start_consumer(folder: Path, how: str) -> subprocess.Popen[str]:
    """Start a program with hosts at work, which prints their pids."""
    return subprocess.Popen(
        [sys.executable, "-c", dedent(CONSUMER), str(folder), how],
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.PIPE,
        text=True,
    )


async def read_line(stream: IO[str] | None) -> str:
    """The next line that a program prints."""
    assert stream is not None
    return await asyncio.to_thread(stream.readline)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_hosts_and_what_they_have_started_end_with_their_consumer(tmp_path: Path, number: int) -> None:
    with start_consumer(tmp_path, "") as consumer:
        pids = [int(each) for each in (await read_line(consumer.stdout)).split()]
        assert all(map(lives, pids))
        consumer.send_signal(number)
        await until(lambda: not any(map(lives, pids)))


async def test_what_a_host_that_died_has_left_behind_is_ended_and_the_rest_spared(tmp_path: Path) -> None:
    with start_consumer(tmp_path, "orphan") as consumer:
        assert await read_line(consumer.stdout) == "ended It ended with exit status 3.\n"
        *others, orphan = (int(each) for each in (await read_line(consumer.stdout)).split())
        await until(lambda: not lives(orphan))
        assert all(map(lives, others))
        consumer.kill()
        await until(lambda: not any(map(lives, others)))
