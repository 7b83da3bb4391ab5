"""The event loop hears of the programs that jobs wait for, whatever other jobs do to their signal, or to their ends."""

from __future__ import annotations

import pytest

from tests.unit.host.host_process import HostProcess

WAITS = """
program = await asyncio.create_subprocess_exec({!r}, {!r})
return await program.wait()
"""
AT_ONCE, LATER = WAITS.format("sleep", "0"), WAITS.format("sleep", "1")
IGNORE, REAP = (
    "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    "import os, signal; signal.signal(signal.SIGCHLD, lambda *_: None)",
)


@pytest.mark.parametrize("code", [IGNORE, REAP])
def test_a_job_that_takes_the_signal_of_children_hurts_no_later_one(host: HostProcess, code: str) -> None:
    for before in ([], [AT_ONCE]):
        for each in [*before, code]:
            assert host.ending(host.start("code.task", each))[0] == "output"
        for _ in range(3):
            assert host.ending(host.start("code.task", AT_ONCE)) == ("output", 0)


def test_nor_one_that_waits_already(host: HostProcess) -> None:
    waiting = host.start("code.task", LATER)
    assert host.ending(host.start("code.task", REAP))[0] == "output"
    assert host.ending(waiting) == ("output", 0)


def test_a_job_whose_program_another_has_waited_for_runs_elsewhere(host: HostProcess) -> None:
    waiting = host.start("code.task", LATER)
    host.start("code.task", "import os; os.waitpid(-1, 0)")
    word, values = host.endings([waiting, waiting + 1])[waiting]
    assert (word, values[:2]) == ("disturbed", ["raised", "ChildProcessError"])
