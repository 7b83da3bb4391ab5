"""Watching the event loop of a host: what blocks it, and that it goes on."""

from __future__ import annotations

import asyncio
import socket
from threading import Event, Thread
from time import sleep

import pytest

from sluice.host.lag import Lag
from sluice.host.pipe import Pipe
from sluice.host.watch import BLOCKED_S, STUCK_S, LoopWatch, find_line, find_own_wait
from tests.unit.host.host_process import HostProcess

BLOCK = "import time\ntime.sleep(1.8)"


def test_a_blocked_loop_is_said_with_job_and_line_and_so_is_its_end(host: HostProcess) -> None:
    number = host.start("code.task", BLOCK)
    word, job_id, line, seconds = host.next_of("blocked")
    assert (word, job_id, line) == ("blocked", "job-1", "their_code.py:3 in main")
    assert seconds >= BLOCKED_S
    assert host.ending(number)[0] == "output"
    host.next_of("resumed")


@pytest.mark.parametrize(
    "code",
    [
        "async def sub():\n    import time\n    time.sleep(1.8)\nawait asyncio.create_task(sub())",
        "async def sub():\n    import time\n    time.sleep(1.8)\nasync def outer(): await asyncio.gather(sub())\nawait asyncio.gather(outer())",
    ],
)
def test_a_job_is_named_for_what_its_sub_tasks_do(host: HostProcess, code: str) -> None:
    host.start("code.task", "await asyncio.Event().wait()")
    host.start("code.task", code)
    assert host.next_of("blocked")[1:3] == ["job-2", "their_code.py:4 in sub"]


def test_the_job_of_a_callback_is_not_known_but_its_line_is(host: HostProcess) -> None:
    host.start("code.task", "import time\nasyncio.get_running_loop().call_soon(time.sleep, 1.8)")
    assert host.next_of("blocked")[1] == ""


def test_code_without_a_name_or_with_an_odd_file_does_not_stop_the_watch(host: HostProcess) -> None:
    code = """
import time
exec(compile("time.sleep(1.8)", "odd-\\udcff.py", "exec"), {"__name__": None, "time": time})
"""
    host.start("code.task", code)
    assert host.next_of("blocked")[1:3] == ["job-1", "odd-?.py:1 in <module>"]
    host.next_of("resumed")


def test_an_idle_or_busy_loop_is_not_blocked(host: HostProcess) -> None:
    number = host.start(
        "code.task",
        "import time\nend = time.monotonic() + 1.5\nwhile time.monotonic() < end: await asyncio.sleep(0)",
    )
    assert host.next_of("blocked", "ended")[:2] == ["ended", number]


@pytest.mark.parametrize("hold_up", ["time.sleep(0.4)", "while time.monotonic() < end: pass"])
def test_a_job_that_holds_up_the_loop_again_and_again_is_named(host: HostProcess, hold_up: str) -> None:
    host.start("code.task", "await asyncio.Event().wait()")
    host.start(
        "code.task",
        f"import time\nwhile True:\n    end = time.monotonic() + 0.4\n    {hold_up}\n    await asyncio.sleep(0)",
    )
    assert host.next_of("slow") == ["slow", "job-2", 0.5]
    assert host.next_of("alive", "slow")
    while (alive := host.next_of("alive"))[5] < 1:
        assert alive


def test_many_short_steps_hold_nobody_up(host: HostProcess) -> None:
    code = "import time\nfor _ in range(60):\n    time.sleep(0.002)\n    await asyncio.sleep(0)"
    numbers = [host.start("code.task", code) for _ in range(20)]
    heard = [host.next_of("slow", "ended") for _ in range(4)]
    assert {word for word, *_ in heard} == {"ended"}
    assert numbers


def test_the_line_is_that_of_users_code_rather_than_of_a_library() -> None:
    scope = {"__name__": "json.of_python", "call": lambda look: look()}
    exec(compile("def within(look): return call(look)", "/python/json.py", "exec"), scope)  # noqa: S102  a library
    line = scope["within"](find_line)  # type: ignore[operator]  # it is a function
    assert "test_watch.py" in line


@pytest.mark.parametrize(
    ("module", "function", "found"),
    [
        ("sluice.host.runs", "start", "runs.py:1 in start"),
        ("sluice.host.shared_host", "serve", ""),
        ("theirs", "start", ""),
    ],
)
def test_the_hosts_own_code_waits_for_a_thread_or_that_of_a_job_does(
    module: str, function: str, found: str
) -> None:
    scope, over, heard = {"__name__": module}, Event(), list[str]()
    exec(compile(f"def {function}(wait): wait()", "runs.py", "exec"), scope)  # noqa: S102  a module

    def look() -> None:
        while not over._cond._waiters:  # type: ignore[attr-defined]  # the test has come so far
            sleep(0.001)
        heard.append(find_own_wait())
        over.set()

    Thread(target=look).start()
    scope[function](over.wait)  # type: ignore[operator]  # it is a function
    assert heard == [found]


async def test_two_short_waits_at_one_place_do_not_end_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    now, ends, told = [0.0], list[BaseException](), list[str]()
    monkeypatch.setattr("sluice.host.watch.find_own_wait", lambda: "runs.py:1 in start")
    monkeypatch.setattr("sluice.host.watch.break_off", ends.append)
    monkeypatch.setattr("sluice.host.watch.monotonic", lambda: now[0])
    ours, theirs = socket.socketpair()
    with ours, theirs:
        loop, pipe = asyncio.get_running_loop(), Pipe(ours)
        watch = LoopWatch(
            loop, pipe, Lag(loop, lambda: False), lambda: told.append("tick"), lambda _: None, lambda _: None
        )

        def look_after(seconds: float) -> None:
            now[0] += seconds
            watch.look()

        for _ in range(2):
            look_after(STUCK_S)  # the loop has answered before
            look_after(BLOCKED_S)
            watch._hear()
        assert ends == []
        look_after(STUCK_S)
        look_after(BLOCKED_S)
        look_after(STUCK_S)
    assert len(ends) == 1


def test_who_waits_for_no_thread_is_not_found() -> None:
    assert find_own_wait() == ""
