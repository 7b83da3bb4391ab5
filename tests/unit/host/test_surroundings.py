"""What jobs of one slot leave behind for each other: nothing. Each case is two jobs of a real host."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.host.host_process import HostProcess, host_process

TOKYO = "os.environ['TZ'] = 'Asia/Tokyo'; time.tzset()"
ZONE = "time.strftime('%Z %z', time.localtime(0))"
FOR_PROGRAMS = "sorted(subprocess.check_output('/usr/bin/env', text=True).splitlines())"
CASES = {
    "directory": ("os.chdir('/')", "os.getcwd()"),
    "environment": ("os.environ.update(A_NEW='1'); del os.environ['PATH']", "dict(os.environ)"),
    "time zone": ("os.environ['TZ'] = 'Asia/Tokyo'; time.tzset()", "time.tzname"),
    "time zone behind": (f"{TOKYO}; del os.environ['TZ']", ZONE),
    "time zone and its function": (f"{TOKYO}; del os.environ['TZ']; time.tzset = os.putenv = lambda *_: None", ZONE),
    "environment past Python": ("os.putenv('A_NEW', '1'); os.putenv('HOME', '/nowhere'); os.unsetenv('PATH')", FOR_PROGRAMS),
    "many variables past Python": ("[os.putenv(f'A_NEW{n}', '1') for n in range(99)]", FOR_PROGRAMS),
    "environment of C": ("ctypes.CDLL(None).setenv(b'A_NEW', b'1', 1)", FOR_PROGRAMS),
    "environment of C cleared": ("ctypes.CDLL(None).clearenv()", FOR_PROGRAMS),
    "environment replaced": ("os.environ['A_NEW'] = '1'; os.environ = {'B': '2'}", "[sorted(os.environ), " + FOR_PROGRAMS + "]"),
    "umask": ("os.umask(0)", "[os.umask(0o77), os.umask(0o22)][0]"),
    "locale": ("locale.setlocale(locale.LC_ALL, 'C.UTF-8')", "locale.setlocale(locale.LC_ALL)"),
    "limits": (
        "resource.setrlimit(resource.RLIMIT_NOFILE, (800, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))",
        "resource.getrlimit(resource.RLIMIT_NOFILE)",
    ),
    "processors": ("os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})", "len(os.sched_getaffinity(0))"),
    "standard descriptors": (
        "os.dup2(os.open('/dev/zero', os.O_RDONLY), 1); os.close(0); os.close(2)",
        "[os.path.lexists(fd) and os.readlink(fd) for fd in map('/proc/self/fd/{}'.format, (0, 1, 2))]",
    ),
    "signal handlers": (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT, lambda *_: None)",
        "[str(signal.getsignal(each)) for each in (signal.SIGTERM, signal.SIGINT)]",
    ),
    "signal mask": (
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})",
        "list(signal.pthread_sigmask(signal.SIG_BLOCK, ()))",
    ),
    "alarm": ("signal.alarm(60)", "signal.alarm(0)"),
    "timers": (
        "[signal.setitimer(each, 60) for each in (signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)]",
        "[signal.getitimer(each)[0] for each in (signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)]",
    ),
    "wake-up descriptor": (
        "keep['pipe'] = os.pipe(); os.set_blocking(keep['pipe'][1], False); signal.set_wakeup_fd(keep['pipe'][1])",
        "signal.set_wakeup_fd(-1)",
    ),
    "faulthandler": (
        "faulthandler.disable(); faulthandler.dump_traceback_later(60, exit=True)",
        "[faulthandler.is_enabled(), len(os.listdir('/proc/self/task'))]",
    ),
    "stdin": ("sys.stdin = open('/dev/zero')", "sys.stdin.name"),
    "stdout": ("sys.stdout = sys.stderr = io.StringIO()", "[type(sys.stdout).__name__, type(sys.stderr).__name__]"),
    "module path": ("sys.path.insert(0, '/nowhere'); sys.path = ['/nowhere']", "sys.path"),
    "importers": ("sys.meta_path.clear(); sys.path_hooks.clear()", "[len(sys.meta_path), len(sys.path_hooks)]"),
    "modules": ("del sys.modules['json']; sys.modules['logging'] = None", "['json' in sys.modules, str(sys.modules['logging'])]"),
    "arguments": ("sys.argv[:] = ['x']; sys.argv = ['y']", "sys.argv"),
    "recursion": ("sys.setrecursionlimit(77_777)", "sys.getrecursionlimit()"),
    "switch interval": ("sys.setswitchinterval(1)", "sys.getswitchinterval()"),
    "digits": ("sys.set_int_max_str_digits(0)", "sys.get_int_max_str_digits()"),
    "collector": (
        "gc.disable(); gc.set_threshold(1); gc.set_debug(gc.DEBUG_STATS); gc.callbacks.append(print)",
        "[gc.isenabled(), gc.get_threshold(), gc.get_debug(), len(gc.callbacks)]",
    ),
    "tracing": (
        "[set(lambda *_: None) for set in (sys.settrace, sys.setprofile, threading.settrace, threading.setprofile)]",
        "[str(get()) for get in (sys.gettrace, sys.getprofile, threading.gettrace, threading.getprofile)]",
    ),
    "hooks": (
        "sys.excepthook = sys.unraisablehook = sys.displayhook = threading.excepthook = sys.breakpointhook = print",
        "[str(hook).partition(' at ')[0] for hook in "
        "(sys.excepthook, sys.unraisablehook, sys.displayhook, threading.excepthook, sys.breakpointhook)]",
    ),
    "size of stacks": ("threading.stack_size(1 << 20)", "threading.stack_size()"),
    "decimals": ("decimal.getcontext().prec = 3", "decimal.getcontext().prec"),
    "socket time-out": ("socket.setdefaulttimeout(1)", "socket.getdefaulttimeout()"),
    "temporary files": ("tempfile.tempdir = '/nowhere'", "tempfile.tempdir"),
    "event loop": (
        "asyncio.run(asyncio.sleep(0))",
        "asyncio.get_event_loop_policy()._local._set_called",  # if so, there is none any more
    ),
    "log level": ("logging.root.setLevel(60); logging.disable(60)", "logging.root.isEnabledFor(40)"),
    "log handlers": ("logging.basicConfig(force=True)", "[type(each).__name__ for each in logging.root.handlers]"),
    "loggers": ("logging.config.dictConfig({'version': 1})", "logging.getLogger('sluice.host').disabled"),
    "warnings": (
        "warnings.simplefilter('ignore'); warnings.showwarning = print",
        "[len(warnings.filters), warnings.showwarning.__name__]",
    ),
}  # fmt: skip
IMPORTS = """
import asyncio, ctypes, decimal, faulthandler, gc, io, json, locale, logging, logging.config, os, resource, signal, socket, sys
import subprocess, tempfile, threading, time, warnings
"""


@pytest.fixture(scope="module")
def used_slot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    """Start a slot that runs the jobs of all these tests: it is what none of them may notice."""
    with host_process(tmp_path_factory.mktemp("slot"), slot=True) as slot:
        slot.load()
        slot.next_of("ready")
        yield slot


@pytest.mark.parametrize(
    "change",
    [
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9, 9))",
        "for _ in range(60): threading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
        "keep['memory'] = bytearray(300 << 20)",
        "sys.addaudithook(lambda *_: None)",
    ],
    ids=["limit", "threads", "memory", "audit-hook"],
)
def test_what_nobody_can_undo_spoils_the_slot(tmp_path: Path, change: str) -> None:
    with host_process(tmp_path, slot=True) as slot:
        slot.load(memory_mib=512)
        slot.next_of("ready")
        number = slot.start("code.process", f"{IMPORTS}\n{change}")
        assert slot.next_of("spoilt", "ended") == ["spoilt"]
        slot.endings([number])


@pytest.mark.parametrize(("change", "look"), CASES.values(), ids=CASES)
def test_the_next_job_finds_everything_as_the_first_one_did(
    used_slot: HostProcess, change: str, look: str
) -> None:
    first = used_slot.say("code.process", f"{IMPORTS}\nreturn {look}")
    changed = used_slot.say("code.process", f"{IMPORTS}\n{change}\nreturn {look}")
    assert changed != first, "the change cannot be seen"
    assert used_slot.say("code.process", f"{IMPORTS}\nreturn {look}") == first


def test_random_numbers_are_new_for_each_job(slot: HostProcess) -> None:
    code = "import random\nfirst = random.random()\nrandom.seed(1)\nreturn first"
    assert slot.say("code.process", code) != slot.say("code.process", code)


def test_random_numbers_of_numpy_are_new_for_each_job(slot: HostProcess) -> None:
    pytest.importorskip("numpy")
    code = "import numpy.random\nfirst = float(numpy.random.random())\nnumpy.random.seed(1)\nreturn first"
    assert slot.say("code.process", code) != slot.say("code.process", code)


def test_what_cannot_be_restored_does_not_keep_the_rest_from_it(slot: HostProcess) -> None:
    slot.say(
        "code.process",
        "import os, sys, tempfile\nkeep['gone'] = tempfile.mkdtemp()\nos.chdir(keep['gone'])\nos.rmdir(keep['gone'])\n"
        "sys.modules['numpy.random'] = os\nos.umask(0)",
    )
    assert slot.say("code.process", "import os\nreturn os.umask(0o22)") == 0o22


RAISES_LATER = """
import signal, subprocess
def late(_, frame):
    while frame is not None:
        if frame.f_code.co_name == "main":
            return
        frame = frame.f_back
    raise {}
"""
"""The handler of a signal that raises wherever the main thread is, as soon as that has left the function of the job."""


@pytest.fixture
def unmeasured_slot(tmp_path: Path) -> Iterator[HostProcess]:
    """A slot whose coverage is not measured: tracing takes most of the time between two ticks, and an error may come within it."""
    with host_process(tmp_path, slot=True, measured=False) as host:
        host.load()
        host.next_of("ready")
        yield host


@pytest.mark.parametrize("error", ["TimeoutError", "SystemExit(1)", "KeyboardInterrupt"])
def test_a_signal_handler_that_still_raises_afterwards_loses_no_job(
    unmeasured_slot: HostProcess, error: str
) -> None:
    slot = unmeasured_slot
    code = f"""
{RAISES_LATER.format(error)}
signal.signal(signal.SIGALRM, late)
signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
"""
    numbers = [slot.start("code.process", code) for _ in range(50)]
    assert list(slot.endings(numbers)) == numbers


TIMER = """
import ctypes, signal
class Event(ctypes.Structure): _fields_ = [("value", ctypes.c_void_p), ("number", ctypes.c_int), ("how", ctypes.c_int), ("rest", ctypes.c_char * 48)]
def late(_, frame): raise TimeoutError
libc, timer = ctypes.CDLL(None), ctypes.c_void_p()
number = {}
signal.signal(number, {})
assert libc.timer_create(1, ctypes.byref(Event(None, number, 0)), ctypes.byref(timer)) == 0
assert libc.timer_settime(timer, 0, ctypes.byref((ctypes.c_long * 4)(0, 50_000_000, 1, 0)), None) == 0
"""
"""A timer that Python knows nothing about: it sends a signal twenty times a second, once the job that set it has ended."""


def test_a_real_time_signal_does_not_call_what_an_earlier_job_has_set_up(slot: HostProcess) -> None:
    slot.say("code.process", TIMER.format("signal.SIGRTMIN", "late"))
    with pytest.raises(EOFError):  # as if no handler had been set up: its consumer knows of the earlier job
        slot.run("code.process", "import time\ntime.sleep(5)")
    assert slot.exit_status() == -signal.SIGRTMIN


def test_an_interrupt_by_a_timer_of_an_earlier_job_is_not_the_next_one_s_own(slot: HostProcess) -> None:
    slot.say("code.process", TIMER.format("signal.SIGINT", "signal.SIG_IGN"))
    assert slot.run("code.process", "import time\ntime.sleep(5)")[1][:2] == ["raised", "KeyboardInterrupt"]


def test_a_job_that_puts_other_functions_in_the_place_of_those_of_the_system_changes_nothing(
    slot: HostProcess,
) -> None:
    code = "import os, signal\nos._exit = signal.setitimer = signal.pthread_sigmask = os.kill = signal.signal = print"
    slot.say("code.process", code)
    assert slot.say("code.process", "return 'survived'") == "survived"
    slot.socket.close()
    assert slot.exit_status() == 0


def test_a_job_that_replaces_what_every_program_calls_hurts_no_later_one(slot: HostProcess) -> None:
    slot.say("code.process", "import os, time\nos.getcwd = time.time = print")
    said = "import os, time\nreturn [type(os.getcwd()).__name__, type(time.time()).__name__]"
    assert slot.say("code.process", said) == ["str", "float"]


def test_what_a_job_has_started_ends_with_it(slot: HostProcess) -> None:
    start = "import subprocess\nreturn subprocess.Popen(['sleep', '600'], start_new_session=True).pid"
    pid = slot.say("code.process", start)
    assert slot.say("code.process", f"import os\nreturn os.path.exists('/proc/{pid}')") is False


def test_its_signal_handlers_do_not_keep_what_it_has_started_from_ending(slot: HostProcess) -> None:
    code = f"""
{RAISES_LATER.format("TimeoutError")}
signal.signal(signal.SIGCHLD, late)
return [subprocess.Popen(["sleep", "600"]).pid for _ in range(8)]
"""
    pids = slot.say("code.process", code)
    look = f"import os\nreturn [pid for pid in {pids} if os.path.exists(f'/proc/{{pid}}')]"
    assert slot.say("code.process", look) == []


def test_the_helpers_of_multiprocessing_stay(slot: HostProcess) -> None:
    code = """
from multiprocessing import shared_memory, resource_tracker
block = shared_memory.SharedMemory(create=True, size=1)
block.close()
block.unlink()
return resource_tracker._resource_tracker._pid
"""
    assert slot.say("code.process", code) == slot.say("code.process", code)


def test_a_trace_function_that_raises_does_not_outlive_its_job(slot: HostProcess) -> None:
    code = """
import sys
def trace(frame, *_):
    if frame.f_code.co_name == "feed": raise TimeoutError
sys.settrace(trace)
"""
    slot.say("code.process", code)
    assert slot.say("code.process", "return 1") == 1


def test_an_interrupt_that_comes_when_its_job_has_ended_loses_no_job(slot: HostProcess) -> None:
    code = """
import os, signal, threading, time
def interrupt():
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.0001)
threading.Thread(target=interrupt, daemon=True).start()
"""
    numbers = [slot.start("code.process", code) for _ in range(50)]
    assert list(slot.endings(numbers)) == numbers


REPLACE_ONCE = """
from sluice.host.slot_host import SlotHost
real = SlotHost.{name}
def once(self, *arguments):
    SlotHost.{name} = real
    {instead}
SlotHost.{name} = once
"""


def test_an_interrupt_between_two_steps_of_a_slot_ends_nothing(slot: HostProcess) -> None:
    slot.run("code.process", REPLACE_ONCE.format(name="_step", instead="raise KeyboardInterrupt"))
    assert slot.say("code.process", "return 1") == 1


def test_a_job_whose_ending_is_lost_does_not_end_with_nothing(slot: HostProcess) -> None:
    slot.run("code.process", REPLACE_ONCE.format(name="_run", instead="pass"))
    word, _ = slot.run("code.process", "return 1")
    assert word == "disturbed"


def test_memory_is_free_again_before_anything_is_done_after_a_job_that_filled_it(tmp_path: Path) -> None:
    with host_process(tmp_path, slot=True) as slot:
        slot.load(memory_mib=256)
        slot.next_of("ready")
        word, _ = slot.run("code.process", "hoard = []\nwhile True: hoard.append(bytes(400))", limit_s=600)
        assert word == "out-of-memory"
        assert slot.say("code.process", "return 1") == 1


@pytest.mark.skipif(os.getuid() != 0, reason="only root can do this")
@pytest.mark.parametrize("change", ["os.setuid(65534)", "os.setgid(65534)", "os.chroot('/tmp')"])
def test_a_slot_that_has_become_another_users_or_sees_other_files_is_spoilt(
    slot: HostProcess, change: str
) -> None:
    number = slot.start("code.process", f"import os\n{change}")
    assert slot.next_of("spoilt", "ended") == ["spoilt"]
    slot.endings([number])
