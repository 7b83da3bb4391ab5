"""Errors that a thread of an earlier job raises in the host's own code: each job ends, or its host does."""

from __future__ import annotations

import pytest

from sluice.host.breaking_off import STATUS
from tests.unit.host.host_process import HostProcess

RAISE_AT = """
import ctypes, sys, threading
class Late(Exception): pass
threading.Thread(target=threading.Event().wait, daemon=True).start()
def look(frame, event, _):
    if event == 'call' and frame.f_code.co_name == {!r} and '/sluice/' in frame.f_code.co_filename:
        sys.setprofile(None)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(threading.get_ident()), ctypes.py_object(Late))
sys.setprofile(look)
"""
"""Raises an error as the main thread begins a function, as if that thread had done it."""


@pytest.mark.parametrize(
    "step",
    [
        "_beat",
        "_end",
        "_end_after_all",
        "_gather_ending",
        "_hear",
        "_perform",
        "_receive_or_leave",
        "_send_ended",
        "_start",
        "create_task",
        "measure",
        "mend",
        "receive",
        "send",
        "start",
        "tick",
    ],
)
def test_every_job_ends_whatever_step_of_the_host_is_hit(unmeasured_host: HostProcess, step: str) -> None:
    host = unmeasured_host
    numbers = [host.start("code.task", RAISE_AT.format(step))]
    try:
        numbers += [host.start(kind, "return 'survived'") for kind in ("code.task", "code.thread") * 2]
        endings = host.endings(numbers)
    except (EOFError, OSError):
        assert host.exit_status() == STATUS
    else:
        assert {word for word, _ in endings.values()} <= {"output", "disturbed"}


def test_a_host_that_waits_for_what_an_ended_thread_has_held_ends(unmeasured_host: HostProcess) -> None:
    host = unmeasured_host
    take = """
import threading
host = asyncio.get_running_loop().get_task_factory().__self__
threading.Thread(target=host._threads._idle_semaphore._cond.acquire).start()
"""
    host.say("code.task", take)
    host.start("code.thread", "return 'survived'")
    with pytest.raises(EOFError, match=r"waits for a thread that does not answer, at .* in _hand_over"):
        host.next_of("ended")
    assert host.exit_status() == STATUS
