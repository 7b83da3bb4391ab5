"""What handlers cannot do to a host and to the jobs beside them: real hosts, started as a consumer starts them."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.unit.host.host_process import HostProcess, host_process

SURVIVED = ("output", "survived")


def survives(host: HostProcess) -> bool:
    """Tell whether the host still runs jobs of both kinds."""
    return all(host.run(kind, "return 'survived'") == SURVIVED for kind in ("code.task", "code.thread"))


@pytest.mark.parametrize(
    "raised", ["SystemExit(3)", "KeyboardInterrupt()", "BaseException('odd')", "GeneratorExit()"]
)
@pytest.mark.parametrize(
    "code",
    [
        "raise {}",
        "async def sub(): raise {}\nawait asyncio.create_task(sub())",
        "async def sub(): raise {}\nkeep['left'] = asyncio.create_task(sub())",
        "def back(): raise {}\nasyncio.get_running_loop().call_soon(back)\nawait asyncio.sleep(0.01)",
        "def back(): raise {}\nasyncio.get_running_loop().call_soon_threadsafe(back)",
        "def work(): raise {}\nawait asyncio.to_thread(work)",
    ],
    ids=["task", "sub-task", "left-task", "callback", "late-callback", "thread"],
)
def test_asking_to_end_the_process_ends_the_job_at_most(host: HostProcess, code: str, raised: str) -> None:
    neighbour = host.start("code.task", "await asyncio.sleep(0.05)\nreturn 'survived'")
    number = host.start("code.task", code.format(raised))
    endings = host.endings([neighbour, number])
    assert endings[neighbour] == SURVIVED
    assert endings[number][0] in ("raised", "output")
    assert survives(host)


@pytest.mark.parametrize(
    "code",
    [
        "asyncio.get_running_loop().stop()",
        "asyncio.get_running_loop().stop()\nawait asyncio.sleep(0)",
        "asyncio.get_running_loop().set_task_factory(None)",
        "asyncio.get_running_loop().set_task_factory(lambda *_, **__: None)",
        "asyncio.get_running_loop().set_exception_handler(lambda *_: 1 / 0)\nasyncio.get_running_loop().call_soon(int, '')",
        "import signal\nsignal.raise_signal(signal.SIGINT)",
        "import os, signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nos.killpg(0, signal.SIGINT)",
        "import _thread\n_thread.interrupt_main()\nawait asyncio.sleep(0)",
        "import os\nfor fd in (0, 1, 2): os.close(fd)",
        "import sys\nsys.stdout = sys.stderr = None\nprint('x')",
        "import logging\nlogging.shutdown()\nlogging.root.handlers.clear()",
    ],
)
def test_a_host_goes_on(host: HostProcess, code: str) -> None:
    number = host.start("code.task", code)
    host.endings([number])
    assert survives(host)


def test_a_task_that_is_cancelled_by_others_is_said_to_be_disturbed(host: HostProcess) -> None:
    victim = host.start("code.task", "await asyncio.Event().wait()")
    other = host.start(
        "code.task", "[task.cancel() for task in asyncio.all_tasks() - {asyncio.current_task()}]"
    )
    endings = host.endings([victim, other])
    assert endings[victim][1][:3] == ["raised", "CancelledError", "The handler cancelled its own task."]
    assert endings[other][0] == "output"


@pytest.mark.parametrize("end", ["return 'a child'", "raise SystemExit(4)", "1 / 0"])
@pytest.mark.parametrize("kind", ["code.task", "code.thread"])
def test_a_fork_that_comes_back_ends_without_an_answer(host: HostProcess, kind: str, end: str) -> None:
    code = f"import os\npid = os.fork()\nif pid == 0:\n    {end}\nos.waitpid(pid, 0)\nreturn 'its parent'"
    assert host.run(kind, code) == ("output", "its parent")
    assert survives(host)


def test_a_fork_that_goes_on_waiting_ends_when_it_gives_up_its_turn(host: HostProcess) -> None:
    code = """
import os
never = asyncio.get_running_loop().create_future()
pid = os.fork()
if pid == 0:
    await never
return os.waitpid(pid, 0)[1]
"""
    assert host.run("code.task", code) == ("output", 0)
    assert survives(host)


def test_a_fork_that_comes_back_in_a_slot_ends_without_an_answer(slot: HostProcess) -> None:
    code = (
        "import os\npid = os.fork()\nif pid == 0: return 'a child'\nos.waitpid(pid, 0)\nreturn 'its parent'"
    )
    assert slot.run("code.process", code) == ("output", "its parent")
    assert slot.run("code.process", "return 'survived'") == SURVIVED


def test_a_pool_of_a_thread_kind_works(unmeasured_host: HostProcess) -> None:
    # The pool ends its processes by SIGTERM, which `coverage` answers in Python: CPython forgets such a signal in a fork that begins.
    host = unmeasured_host
    code = "from multiprocessing import get_context\nwith get_context('fork').Pool(2) as pool: return pool.map(abs, [-1, -2])"
    assert host.run("code.thread", code) == ("output", [1, 2])
    assert survives(host)


@pytest.mark.parametrize("kind", ["code.task", "code.thread"])
@pytest.mark.parametrize(("target", "status"), [("print", 0), ("len", 1)])
def test_a_forked_process_ends_as_its_function_does(
    host: HostProcess, kind: str, target: str, status: int
) -> None:
    code = f"""
from multiprocessing import get_context
child = get_context("fork").Process(target={target}, args=("in a fork", "of a job"))
child.start()
child.join()
return child.exitcode
"""
    assert host.say(kind, code) == status
    assert ("in a fork of a job" in host.output) == (status == 0)


def test_closing_every_descriptor_ends_the_host_at_once(host: HostProcess) -> None:
    host.start("code.task", "import os\nos.closerange(0, 10_000)")
    with pytest.raises(EOFError):
        host.next_of("ended")
    host.exit_status()


@pytest.mark.parametrize("closed", [(0, 500), (0, 10_000)])
def test_closing_descriptors_in_a_slot_does_not_go_unnoticed(
    slot: HostProcess, closed: tuple[int, int]
) -> None:
    slot.start("code.process", f"import os\nos.closerange(*{closed})")
    try:
        assert slot.next_of("ended", "blocked")
    except EOFError:
        slot.exit_status()


def test_a_signal_that_a_thread_raises_interrupts_no_task(host: HostProcess) -> None:
    busy = """
import time
until = time.monotonic() + 0.2
while time.monotonic() < until: pass
return 'survived'
"""
    neighbour = host.start("code.task", busy)
    other = host.start("code.thread", "import _thread\n_thread.interrupt_main()")
    assert host.endings([neighbour, other])[neighbour] == SURVIVED


def test_standard_descriptors_that_a_job_has_closed_are_opened_again(host: HostProcess) -> None:
    assert host.run("code.task", "import os\nos.closerange(0, 3)\nreturn 'survived'") == SURVIVED
    look = """
import os
while not all(os.path.lexists(f'/proc/self/fd/{fd}') for fd in (0, 1, 2)): await asyncio.sleep(0.01)
return 'survived'
"""
    assert host.run("code.task", look) == SURVIVED


def test_slow_calls_in_threads_by_one_job_hold_up_those_of_no_other(host: HostProcess) -> None:
    many = (
        "for _ in range(40): asyncio.get_running_loop().run_in_executor(None, __import__('time').sleep, 30)"
    )
    host.say("code.task", many)
    assert host.say("code.task", "return await asyncio.to_thread(lambda: 'survived')") == "survived"


EARS = """
import resource
loop = asyncio.get_running_loop()
for fd in range(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0]): loop.remove_reader(fd)
"""


def test_a_host_that_a_job_has_made_deaf_hears_again(host: HostProcess) -> None:
    host.say("code.task", EARS)
    assert survives(host)


def test_modules_are_found_again_after_a_job_has_emptied_the_path(host: HostProcess) -> None:
    host.say("code.task", "import sys\nsys.path.clear()\nsys.meta_path.clear()")
    host.next_of("alive")
    host.next_of("alive")
    assert host.say("code.task", "import colorsys\nreturn colorsys.__name__") == "colorsys"


def test_loggers_and_the_switch_interval_are_as_they_were_soon_after_a_job_has_changed_them(
    host: HostProcess,
) -> None:
    host.say(
        "code.thread", "import logging, sys\nlogging.disable(logging.CRITICAL)\nsys.setswitchinterval(0.1)"
    )
    look = """
import logging, sys
while logging.root.manager.disable or sys.getswitchinterval() > 0.05: await asyncio.sleep(0.01)
return 'survived'
"""
    assert host.run("code.task", look) == SURVIVED


def test_a_loop_is_as_it_was_soon_after_a_job_has_changed_it(host: HostProcess) -> None:
    host.say(
        "code.task",
        "loop = asyncio.get_running_loop()\nloop.set_debug(True)\nloop.set_exception_handler(print)",
    )
    look = """
loop = asyncio.get_running_loop()
while loop.get_debug() or loop.get_exception_handler() is print: await asyncio.sleep(0.01)
return 'survived'
"""
    assert host.run("code.task", look) == SURVIVED


RAISE_IN = """
import ctypes, threading, time
from time import sleep
class Late(Exception): pass
def raise_in(victims, error):
    while True:
        for victim in victims(): ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(victim), ctypes.py_object(error))
        sleep(0.01)
"""
"""A thread that a job leaves, and that raises an error again and again in others."""

SPIN = "import time\nuntil = time.monotonic() + 10\nwhile time.monotonic() < until: pass"


def test_an_error_that_a_thread_of_an_earlier_job_raises_in_a_later_one_is_not_its_own(
    unmeasured_host: HostProcess,
) -> None:
    host = unmeasured_host
    victims = "lambda: [each.ident for each in threading.enumerate() if each.ident and each.name.startswith('handler')]"
    host.say(
        "code.task",
        f"{RAISE_IN}\nthreading.Thread(target=raise_in, args=({victims}, Late), daemon=True).start()",
    )
    number = host.start("code.thread", SPIN)
    assert host.next_of("spoilt", "ended") == ["spoilt"]
    word, said = host.ending(number)
    assert (word, said[:2]) == ("disturbed", ["raised", "Late"])


def test_a_job_that_a_thread_has_taken_along_when_it_was_ended_begins_in_another(
    unmeasured_host: HostProcess,
) -> None:
    host = unmeasured_host
    kill_soon = """
import ctypes, threading, time
def kill(victim):
    time.sleep(0.05)  # it waits for its next job by then
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(victim), ctypes.py_object(SystemExit))
keep['killer'] = threading.Thread(target=kill, args=(threading.get_ident(),))
keep['killer'].start()
"""
    host.say("code.thread", kill_soon)
    host.say("code.task", "await asyncio.to_thread(keep['killer'].join)")
    assert host.run("code.thread", "return 'survived'", limit_s=10) == SURVIVED


@pytest.mark.parametrize(
    "start",
    [
        "_thread.start_new_thread(forever, (_thread.interrupt_main,))",
        "threading.Thread(target=forever, args=(interrupt,), daemon=True).start()",
    ],
    ids=["simulated", "signal"],
)
def test_an_interrupt_by_a_thread_of_an_earlier_job_is_not_a_slots_next_job_s_own(
    slot: HostProcess, start: str
) -> None:
    code = f"""
import _thread, signal, threading, time
from time import sleep
def interrupt(): signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
def forever(act):
    while True:
        sleep(0.02)
        act()
{start}
"""
    slot.say("code.process", code)
    number = slot.start("code.process", SPIN)
    assert slot.next_of("spoilt", "ended") == ["spoilt"]
    word, said = slot.ending(number)
    assert (word, said[:2]) == ("disturbed", ["raised", "KeyboardInterrupt"])


def test_an_interrupt_of_ones_own_is_an_error_like_others(slot: HostProcess) -> None:
    code = (
        "import _thread, time\nstarted = _thread.start_new_thread(_thread.interrupt_main, ())\ntime.sleep(5)"
    )
    assert "KeyboardInterrupt" in slot.run("code.process", code)[1]


def test_an_interrupt_is_an_error_even_if_a_script_started_the_consumer_in_its_background(
    tmp_path: Path,
) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does
    try:
        with host_process(tmp_path, slot=True) as slot:
            signal.signal(signal.SIGINT, before)
            slot.load()
            slot.next_of("ready")
            code = "import _thread, time\n_thread.interrupt_main()\ntime.sleep(5)"
            assert "KeyboardInterrupt" in slot.run("code.process", code)[1]
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_error_beside_a_thread_of_a_library_is_its_jobs_own(slot: HostProcess) -> None:
    slot.say(
        "code.process",
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()",
    )
    assert slot.run("code.process", "raise ValueError('no good')")[1][:2] == ["ValueError", "no good"]


@pytest.mark.parametrize(
    "code",
    [
        "await asyncio.get_running_loop().shutdown_asyncgens()",
        "await asyncio.get_running_loop().shutdown_default_executor()",
    ],
)
def test_what_would_end_what_all_jobs_use_does_nothing(host: HostProcess, code: str) -> None:
    count = """
async def numbers():
    for number in range(20):
        yield number
        await asyncio.sleep(0.01)
return [number async for number in numbers()]
"""
    counting, ending = host.start("code.task", count), host.start("code.task", code)
    assert host.endings([counting, ending])[counting] == ("output", list(range(20)))
    assert host.say("code.task", "return await asyncio.to_thread(lambda: 'survived')") == "survived"


def test_a_thread_that_interrupts_once_and_is_gone_is_noticed(slot: HostProcess) -> None:
    code = """
import _thread, threading
def interrupt_once():
    keep['go'].wait()
    _thread.interrupt_main()
keep['go'] = threading.Event()
threading.Thread(target=interrupt_once).start()
"""
    slot.say("code.process", code)
    word, said = slot.run("code.process", "import time\nkeep['go'].set()\ntime.sleep(10)")
    assert (word, said[:2]) == ("disturbed", ["raised", "KeyboardInterrupt"])


def test_a_filter_and_a_factory_of_one_jobs_do_not_keep_the_next_from_logging(slot: HostProcess) -> None:
    code = """
import logging
def fails(*_, **__): raise LookupError
logging.setLogRecordFactory(fails)
logging.root.handlers[0].addFilter(fails)
logging.root.addFilter(fails)
"""
    slot.say("code.process", code)
    slot.say("code.process", "import logging\nlogging.getLogger('theirs').warning('heard')")


def test_a_handler_that_cancels_its_own_task_beside_its_thread_is_told_once_as_disturbed(
    host: HostProcess,
) -> None:
    code = """
import threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
asyncio.current_task().cancel()
await asyncio.sleep(60)
"""
    word, said = host.run("code.task", code)
    assert (word, said[:2]) == ("disturbed", ["raised", "CancelledError"])
