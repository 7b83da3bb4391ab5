"""Hosts give way: which work is heavy, whose weight is lowered then, and what /check says of it."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sluice.host.background import (
    HEAVY_S,
    LONG,
    LONG_S,
    NICEST,
    SHARED_NICE,
    SHORT,
    WINDOW_S,
    Load,
    set_session_weight,
)
from sluice.host.frames import Decoder, encode
from sluice.host.lag import Lag
from sluice.host.pipe import Pipe
from sluice.host.processor_time import used_s, waited_s
from sluice.host.watch import LoopWatch, start_watching
from sluice.host.weight_note import Scheduling, describe_weight, read_scheduling

BURN = "while True: pass"
THREADS = (
    "import threading\nfor _ in range(2): threading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()"
)
KEEPER = """
import subprocess, sys, time
from pathlib import Path
from sluice.host.background import SessionWeight

class Judged:
    def is_heavy(self, *_): return Path(sys.argv[1]).exists()

with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as child:
    print(child.pid, flush=True)
    weight = SessionWeight(Judged() if len(sys.argv) > 1 else None)
    while True:
        weight.keep()
        time.sleep(0.01)
"""
LIMIT_S = 100.0

has_sessions = pytest.mark.skipif(
    not Path("/proc/self/autogroup").exists(), reason="sessions have no weight on this system"
)


class Clocks:
    """The clocks of some processes, moved by hand, and a judge who reads them. Jobs are short unless told otherwise."""

    def __init__(self) -> None:
        self.now, self.used, self.waited, self.ended = 1_000.0, 50.0, 7.0, 0
        self.load = Load(lambda _: self.used, lambda _: self.waited, lambda: self.ended)
        assert not self.load.is_heavy((), self.now)

    def pass_window(self, used: float, waited: float = 0.0, ended: int = 1_000) -> bool:
        """Let a window pass in which so many processors were used, and waited for, and so many jobs ended; judge it."""
        self.now += WINDOW_S
        self.used, self.waited = self.used + used * WINDOW_S, self.waited + waited * WINDOW_S
        self.ended += ended
        return self.load.is_heavy((), self.now)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def start() -> Iterator[Callable[[str], int]]:
    """Start a Python program, and end it with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start_program(program: str) -> int:
        started.append(subprocess.Popen([sys.executable, "-c", program]))
        return started[-1].pid

    yield start_program
    for each in started:
        each.kill()
        each.wait()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def weight_of(pid: int) -> str:
    """The weight of a process's session, as the kernel tells it."""
    return Path(f"/proc/{pid}/autogroup").read_text().split("nice ")[1].strip()


def test_short_jobs_are_heavy_when_they_use_most_of_a_processor(clocks: Clocks) -> None:
    assert not clocks.pass_window(used=SHORT.heavy - 0.05)
    assert clocks.pass_window(used=SHORT.heavy + 0.05)


def test_long_jobs_are_heavy_when_others_leave_them_little(clocks: Clocks) -> None:
    used = LONG.heavy + 0.02
    assert not clocks.pass_window(used, ended=round(used / LONG_S) + 1)
    assert clocks.pass_window(used, ended=round(used / LONG_S) - 1)


def test_a_job_that_has_not_ended_is_long(clocks: Clocks) -> None:
    assert clocks.pass_window(used=LONG.heavy + 0.05, ended=0)


def test_jobs_that_hardly_use_a_processor_are_light_however_few(clocks: Clocks) -> None:
    assert not clocks.pass_window(used=LONG.heavy - 0.05, ended=0)


def test_nothing_is_judged_before_a_whole_window_has_passed(clocks: Clocks) -> None:
    clocks.used += 1.0
    assert not clocks.load.is_heavy((), clocks.now + WINDOW_S / 2)


def test_a_host_of_short_jobs_that_waits_for_others_is_light(clocks: Clocks) -> None:
    assert not clocks.pass_window(used=0.5, waited=0.5)


@pytest.mark.parametrize("ended", [0, 1_000])
def test_a_heavy_host_that_gives_way_stays_heavy(clocks: Clocks, ended: int) -> None:
    clocks.pass_window(used=1.0, ended=ended)
    assert [clocks.pass_window(used=0.1, waited=0.9, ended=ended) for _ in range(3)] == [True] * 3


@pytest.mark.parametrize(("ended", "light"), [(0, LONG.light), (1_000, SHORT.light)])
def test_a_heavy_host_whose_work_is_over_is_light_again(clocks: Clocks, ended: int, light: float) -> None:
    clocks.pass_window(used=1.0, waited=5.0, ended=ended)
    assert clocks.pass_window(used=light + 0.05, ended=ended)
    assert not clocks.pass_window(used=light - 0.05, ended=ended)


def test_a_heavy_host_shows_now_and_then_what_it_uses_unhindered(clocks: Clocks) -> None:
    clocks.pass_window(used=1.0, ended=0)
    judged = [clocks.pass_window(used=0.1, waited=0.9) for _ in range(int(HEAVY_S / WINDOW_S) + 1)]
    assert judged == [True] * int(HEAVY_S / WINDOW_S) + [False]
    assert not clocks.pass_window(used=0.3)


def test_a_host_that_goes_on_burning_is_at_full_weight_for_one_window_only(clocks: Clocks) -> None:
    judged = [clocks.pass_window(used=1.0, ended=0) for _ in range(2 * int(HEAVY_S / WINDOW_S))]
    assert judged.count(False) == 1


def test_what_ended_threads_had_waited_is_not_taken_off(clocks: Clocks) -> None:
    clocks.pass_window(used=1.0)
    assert clocks.pass_window(used=0.9, waited=-0.5)


def test_time_is_that_of_all_threads_and_of_the_processes_asked_for(start: Callable[[str], int]) -> None:
    one, other = start(BURN), start(THREADS)
    until(lambda: used_s([one]) > 0.1 and used_s([other]) > 0.1)
    assert used_s([one, other]) > used_s([one])
    pinned = start(f"import os; os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})\n{THREADS}")
    until(lambda: waited_s([pinned]) > 0.01)
    assert waited_s([one, pinned]) >= waited_s([pinned])


def test_a_process_that_is_gone_has_used_nothing() -> None:
    assert (used_s([2**22 + 1]), waited_s([2**22 + 1])) == (0, 0)
    assert not set_session_weight(2**22 + 1, NICEST)


def test_a_process_knows_whether_it_has_children() -> None:
    program = (
        "import subprocess, sys; from sluice.host.processes import has_children as has\n"
        "before = has(); child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)\n"
        "print(before, has(), end=' '); child.communicate(); print(has())"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert said.stdout.split() == ["False", "True", "False"]


@contextmanager
def keeping_weight(*heavy_while: Path) -> Iterator[tuple[int, int]]:
    """Run a host that keeps its weight, and a session that its job began; gives both ids. A shared host is heavy while a file is there.

    The session is its own, as it is a host's: the kernel refuses any weight for the one that the system began with.
    """
    command = [sys.executable, "-c", KEEPER, *map(str, heavy_while)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as host:
        assert host.stdout is not None
        try:
            yield host.pid, int(host.stdout.readline())
        finally:
            host.kill()


@has_sessions
def test_in_a_process_slot_every_session_that_a_job_begins_is_kept_low() -> None:
    with keeping_weight() as (host, child):
        until(lambda: weight_of(child) == weight_of(host) == str(NICEST))
        set_session_weight(child, 0)
        until(lambda: weight_of(child) == str(NICEST))


@has_sessions
def test_the_session_of_a_shared_host_is_low_while_its_work_is_heavy(tmp_path: Path) -> None:
    heavy = tmp_path / "heavy"
    with keeping_weight(heavy) as (host, child):
        assert weight_of(child) == "0"
        heavy.touch()
        until(lambda: weight_of(child) == weight_of(host) == str(SHARED_NICE))
        heavy.unlink()
        until(lambda: weight_of(child) == weight_of(host) == "0")


def test_the_weight_is_kept_while_the_event_loop_is_blocked() -> None:
    ours, theirs = socket.socketpair()
    kept, gone = threading.Event(), threading.Event()
    never_runs = asyncio.new_event_loop()
    pipe = Pipe(theirs)
    blocked = LoopWatch(
        never_runs, pipe, Lag(never_runs, lambda: False), lambda: None, lambda _: None, lambda _: None
    )
    start_watching(pipe, (blocked.look, kept.set), gone.set)
    assert kept.wait(LIMIT_S)
    ours.close()
    assert gone.wait(LIMIT_S)
    never_runs.close()


@has_sessions
@pytest.mark.parametrize(("slot", "low"), [(True, (str(NICEST), NICEST)), (False, ("0", 0))])
def test_a_process_slot_begins_low_and_a_shared_host_does_not(slot: bool, low: tuple[str, int]) -> None:
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "sluice.host", "test", str(theirs.fileno())]
    with subprocess.Popen(command, pass_fds=[theirs.fileno()], start_new_session=True) as host, ours, theirs:
        ours.sendall(encode(("load", ["sluice.kinds.demo_sum"], sys.path, logging.INFO, 0, slot, None)))
        decoder = Decoder()
        while not any(word == "ready" for word, *_ in decoder.feed(ours.recv(1 << 20))):
            pass
        until(lambda: (weight_of(host.pid), os.getpriority(os.PRIO_PROCESS, host.pid)) == low)


EVENLY = "share the processor evenly with"


@pytest.mark.parametrize(
    ("found", "words", "evenly"),
    [
        (Scheduling(None, True, False, 5), "sessions decide: process slots have autogroup 19", False),
        (Scheduling(None, True, True, 5), "everything else: /proc/self/autogroup is locked; give", True),
        (Scheduling(None, False, True, 5), "nice values alone decide: process slots have nice 19", False),
        (Scheduling(("cpu.weight", 5), True, False, 5), "this one has cpu.weight 5 (usual: 100)", False),
        (Scheduling(("cpu.weight", 100), True, False, 5), "other groups of 100; give", True),
        (Scheduling(("cpu.shares", 128), True, False, 5), "this one has cpu.shares 128 (usual: 1024)", False),
        (Scheduling(("cpu.shares", 1024), False, True, 5), "other groups of 1024; give", True),
    ],
)
def test_what_decides_is_said_in_plain_words(found: Scheduling, words: str, evenly: bool) -> None:
    said = describe_weight(found)
    assert words in said
    assert (EVENLY in said) is evenly


def test_where_sessions_do_not_decide_the_nice_value_of_shared_hosts_is_told() -> None:
    for group in (None, ("cpu.weight", 5)):
        assert "shared hosts nice 7" in describe_weight(Scheduling(group, False, False, 7))


def lay_out(root: Path, files: dict[str, str]) -> Scheduling:
    """Read a system that has these files."""
    for name, text in {"proc/self/autogroup": "/autogroup-7 nice 0\n", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return read_scheduling(root / "proc", root / "groups")


ENABLED = {"proc/sys/kernel/sched_autogroup_enabled": "1\n"}


def test_in_the_root_group_sessions_decide_where_the_kernel_says_so(tmp_path: Path) -> None:
    found = lay_out(tmp_path, {"proc/self/cgroup": "0::/\n", **ENABLED})
    assert (found.group, found.sessions, found.locked) == (None, True, False)
    assert not lay_out(tmp_path, {"proc/sys/kernel/sched_autogroup_enabled": "0\n"}).sessions


@pytest.mark.parametrize(
    ("cgroup", "files", "found"),
    [
        ("0::/\n", {"cpu.weight": "5\n"}, ("cpu.weight", 5)),
        ("0::/a.slice/b.scope\n", {"a.slice/cpu.weight": "20\n"}, ("cpu.weight", 20)),
        ("0::/a/b\n", {"a/cpu.weight": "20\n", "a/b/cpu.weight": "30\n"}, ("cpu.weight", 30)),
        ("0::/a.slice\n", {}, None),
        ("4:cpu,cpuacct:/docker/1\n0::/\n", {"cpu/cpu.shares": "128\n"}, ("cpu.shares", 128)),
        ("4:cpuset:/\n1:cpu:/a\n", {"cpu/a/cpu.shares": "64\n"}, ("cpu.shares", 64)),
        ("1:cpu:/\n", {"cpu/cpu.shares": "1024\n", "cpu/release_agent": ""}, None),
    ],
    ids=["a container", "a group without one of its own", "the innermost", "none", "a container, 1", "a group, 1", "the root, 1"],
)  # fmt: skip
def test_the_weight_of_the_control_group_is_found(
    tmp_path: Path, cgroup: str, files: dict[str, str], found: tuple[str, int] | None
) -> None:
    groups = {f"groups/{name}": text for name, text in files.items()}
    assert lay_out(tmp_path, {"proc/self/cgroup": cgroup, **groups, **ENABLED}).group == found


def test_a_system_that_tells_nothing_has_nice_values_alone(tmp_path: Path) -> None:
    assert read_scheduling(tmp_path, tmp_path) == (None, False, True, os.getpriority(os.PRIO_PROCESS, 0))
