"""Finding and ending what was started below a process, each time in a process of its own that adopts orphans."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from sluice.host.processes import children_of, descendants_of

ROOT = Path(__file__).parents[3]
BEFORE = """
import os, signal, subprocess, sys, time
from sluice.host import processes
from sluice.host.processes import adopt_orphans, children_of, descendants_of, end_descendants

assert adopt_orphans()
told, tell = os.pipe()

def fork(code):
    child = os.fork()
    if child == 0:
        try:
            code()
        finally:
            os._exit(0)
    return child

def stay():
    os.write(tell, f"{os.getpid()} ".encode())
    while True:
        signal.pause()

def wait_for(number):
    pids = b""
    while pids.count(b" ") < number:
        pids += os.read(told, 1000)
    return {int(pid) for pid in pids.split()}

def living(pids):
    return {pid for pid in pids if os.path.exists(f"/proc/{pid}")}
"""


def run(code: str) -> str:
    """Run code in a process of its own; returns what it printed."""
    program = [sys.executable, "-c", BEFORE + textwrap.dedent(code)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "start",
    [
        "fork(stay)",
        "fork(lambda: fork(stay))",
        "fork(lambda: (os.setsid(), fork(stay)))",
        "fork(lambda: (os.setsid(), fork(lambda: (os.setsid(), fork(stay)))))",
        "fork(lambda: (os.setpgid(0, 0), stay()))",
        "fork(lambda: (fork(stay), signal.pause()))",
        "fork(lambda: (signal.signal(signal.SIGTERM, signal.SIG_IGN), stay()))",
        "__import__('threading').Thread(target=fork, args=[stay]).start()",
    ],
    ids=["child", "orphan", "session", "daemon", "group", "grandchild", "deaf", "of-a-thread"],
)
def test_what_was_started_is_ended_wherever_it_went(start: str) -> None:
    code = f"""
        {start}
        left = wait_for(1)
        end_descendants()
        print(living(left), children_of(os.getpid()))
    """
    assert run(code) == "set() set()"


def test_a_process_that_has_ended_does_not_stay_as_a_zombie() -> None:
    code = """
        child = fork(lambda: None)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        end_descendants()
        print(living({child}))
    """
    assert run(code) == "set()"


def test_processes_that_go_on_starting_others_are_ended() -> None:
    code = """
        def breed():
            while True:
                fork(stay)
                time.sleep(0.002)

        def flee():
            os.setsid()
            while True:
                if os.fork():
                    os._exit(0)
                os.write(tell, b"1 ")
                time.sleep(0.001)

        fork(breed), fork(flee)
        wait_for(10)
        end_descendants()
        print(descendants_of(os.getpid()))
    """
    assert run(code) == "set()"


def test_spared_ones_stay_with_what_they_have_started() -> None:
    code = """
        spared = fork(lambda: (fork(stay), stay()))
        stays = wait_for(2)
        fork(stay)
        [ends] = wait_for(1)
        assert end_descendants({spared}) == 1
        print(living(stays) == stays, living({ends}))
        end_descendants()
    """
    assert run(code) == "True set()"


def test_it_is_told_how_many_were_ended() -> None:
    assert run("fork(stay), fork(stay); wait_for(2); print(end_descendants(), end_descendants())") == "2 0"


def test_one_that_cannot_be_ended_does_not_hold_up_for_ever() -> None:
    code = """
        fork(stay)
        wait_for(1)
        processes.kill = lambda *_: (_ for _ in ()).throw(PermissionError())
        end_descendants()
        print("went on")
        os.kill(*children_of(os.getpid()), signal.SIGKILL)
    """
    assert run(code) == "went on"


def test_children_of_every_thread_are_found() -> None:
    code = """
        import threading
        def start():
            fork(stay)
            signal.sigwait({signal.SIGTERM})
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        thread = threading.Thread(target=start)
        thread.start()
        print(wait_for(1) == children_of(os.getpid()))
        end_descendants()
        os.kill(os.getpid(), signal.SIGTERM)
    """
    assert run(code) == "True"


def test_a_process_that_is_gone_has_nothing_below_it() -> None:
    gone = subprocess.Popen([sys.executable, "--version"], stdout=subprocess.DEVNULL)
    gone.wait()
    assert children_of(gone.pid) == descendants_of(gone.pid) == set()
