"""A whole host, started as its consumer starts it: what it answers, and how it ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from sluice.core.catalogue import from_wire
from tests.unit.host.code_kinds import run_in_task
from tests.unit.host.host_process import CODE_KINDS, HostProcess, host_process
from tests.unit.host.user_modules import ONE, write


def is_alive(pid: int) -> bool:
    """Tell whether there is such a process."""
    return Path(f"/proc/{pid}").exists()


# Starting


def test_a_host_tells_what_it_loads_and_then_the_kinds_it_has(bare_host: HostProcess) -> None:
    bare_host.load()
    assert bare_host.next() == ["loading", CODE_KINDS]
    word, kinds, _ = bare_host.next()
    assert word == "ready"
    found = {info.kind: info for info in map(from_wire, kinds)}
    assert list(found) == ["code.process", "code.task", "code.thread"]
    assert [info.runs_in for info in found.values()] == ["process", "loop", "thread"]
    assert found["code.task"].line == run_in_task.function.__code__.co_firstlineno


def test_a_module_that_does_not_load_is_refused_and_the_host_ends(
    bare_host: HostProcess, tmp_path: Path
) -> None:
    bare_host.load([write(tmp_path, "hp_bad", "\n1 / 0")], [str(tmp_path)])
    assert bare_host.next() == ["loading", "hp_bad"]
    assert "hp_bad.py:2" in bare_host.next_of("refused")[1]
    assert bare_host.exit_status() == 0


def test_a_module_that_exits_is_refused_with_its_line(bare_host: HostProcess, tmp_path: Path) -> None:
    bare_host.load([write(tmp_path, "hp_exit", "import os\nos._exit(5)")], [str(tmp_path)])
    assert "os._exit(5) (" in bare_host.next_of("refused")[1]
    assert bare_host.exit_status() == 5


def test_a_child_that_a_module_forks_does_not_serve(bare_host: HostProcess, tmp_path: Path) -> None:
    module = "import os\nif os.fork():\n    STATUS = os.wait()[1]\n" + ONE.replace(
        "return given", "1 / STATUS"
    )
    bare_host.load([write(tmp_path, "hp_forks", module)], [str(tmp_path)])
    bare_host.next_of("ready")
    assert bare_host.ending(bare_host.start("one.kind", ""))[1][0] == "ZeroDivisionError"


def test_what_modules_print_and_log_is_sent(bare_host: HostProcess, tmp_path: Path) -> None:
    text = "import logging\nprint('printed')\nlogging.info('logged')\n" + ONE
    bare_host.load([write(tmp_path, "hp_talks", text)], [str(tmp_path)])
    assert bare_host.next_line("stdout")[0] == "printed"
    assert bare_host.next_line("root")[0] == "logged"
    bare_host.next_of("ready")


def test_memory_of_a_host_is_bounded(bare_host: HostProcess) -> None:
    bare_host.load(memory_mib=1_000)
    bare_host.next_of("ready")
    word, values = bare_host.run("code.task", "return len(bytearray(2_000 << 20))")
    assert word == "out-of-memory"
    assert "the 1000 MiB that a process may have" in values[0]
    assert bare_host.say("code.task", "return 1") == 1


# Running


@pytest.mark.parametrize("kind", ["code.task", "code.thread"])
def test_a_job_ends_with_its_output_or_its_error(host: HostProcess, kind: str) -> None:
    assert host.run(kind, "return [context.job_id, context.attempt, context.fence]") == (
        "output",
        ["job-1", 1, 1],
    )
    word, (title, text, trace) = host.run(kind, "1 / 0")
    assert (word, title, text) == ("raised", "ZeroDivisionError", "division by zero")
    assert 'File "their_code.py", line 2, in main' in trace


def test_a_kind_that_this_host_does_not_have_fails_alone(host: HostProcess) -> None:
    numbers = [host.start("no.such", ""), host.start("code.task", "return 1")]
    endings = host.endings(numbers)
    assert endings[1][1][0] == "KindUnknown"
    assert endings[2] == ("output", 1)


def test_jobs_that_end_together_are_told_together(host: HostProcess) -> None:
    code = """
import os
keep.setdefault("gate", asyncio.Event())
keep["in"] = keep.get("in", 0) + 1
if keep["in"] == 64:
    keep["gate"].set()
    keep["writes"] = int(open("/proc/self/io").read().split("syscw: ")[1].split()[0])
await keep["gate"].wait()
"""
    numbers = [host.start("code.task", code) for _ in range(64)]
    host.endings(numbers)
    look = "return int(open('/proc/self/io').read().split('syscw: ')[1].split()[0]) - keep['writes']"
    assert host.say("code.task", look) < 16


def test_a_cancelled_job_is_given_back(host: HostProcess) -> None:
    number = host.start("code.task", "context.progress(1)\nawait asyncio.Event().wait()")
    host.next_of("progress")
    host.send(("cancel", number), ("cancel", number), ("cancel", 999))
    assert host.ending(number)[0] == "released"


def test_a_plain_function_is_told_that_it_should_stop(host: HostProcess) -> None:
    number = host.start("code.thread", "context.progress(1)\nwhile not context.should_stop(): pass")
    host.next_of("progress")
    host.send(("cancel", number))
    assert host.ending(number)[0] == "released"


def test_a_time_limit_is_kept_in_the_host(host: HostProcess) -> None:
    assert host.run("code.task", "await asyncio.Event().wait()", 0.05) == (
        "timed-out",
        ["The time limit of 0.05 s was reached."],
    )


def test_the_newest_progress_comes_at_last(host: HostProcess) -> None:
    host.start("code.task", "for n in range(99): context.progress(n)\nawait asyncio.Event().wait()")
    assert host.next_of("progress") == ["progress", 1, b'{"percent":0.0,"note":""}']
    assert host.next_of("progress") == ["progress", 1, b'{"percent":98.0,"note":""}']


def test_lines_name_their_job(host: HostProcess) -> None:
    host.start("code.task", "print('from a task')")
    text, fields = host.next_line("stdout")
    assert (text, fields["job_id"], fields["kind"], fields["attempt"]) == (
        "from a task",
        "job-1",
        "code.task",
        1,
    )


def test_lines_of_threads_that_a_job_of_a_slot_starts_name_it_too(slot: HostProcess) -> None:
    slot.start(
        "code.process",
        "import threading\nthread = threading.Thread(target=print, args=['x'])\nthread.start()\nthread.join()",
    )
    assert slot.next_line("stdout")[1]["job_id"] == "job-1"


def test_a_host_says_how_much_it_uses(host: HostProcess) -> None:
    _, memory_mib, threads, files, waited_s, held_up_s = host.next_of("alive")
    assert memory_mib > 10
    assert threads >= 2
    assert files > 3
    assert waited_s >= 0
    assert held_up_s >= 0


# Ending


@pytest.mark.parametrize("kind", ["code.task", "code.thread"])
def test_a_host_ends_with_its_consumer_and_so_does_what_it_started(host: HostProcess, kind: str) -> None:
    code = """
import subprocess
script = "sleep 600 & echo $!; exec sleep 600"
child = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True)
return [child.pid, int(child.stdout.readline())]
"""
    started = host.say(kind, code)
    assert all(map(is_alive, started))
    host.socket.close()
    assert host.exit_status() == 0
    assert not any(map(is_alive, started))


@pytest.mark.parametrize(
    "busy",
    [
        "import time\ntime.sleep(600)",
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))\nwhile True: pass",
    ],
)
def test_a_host_whose_loop_is_blocked_ends_with_its_consumer_too(host: HostProcess, busy: str) -> None:
    host.start("code.task", f"context.progress(1)\n{busy}")
    host.next_of("progress")
    host.socket.close()
    assert host.exit_status() == 0


def test_a_slot_at_work_ends_with_its_consumer(slot: HostProcess) -> None:
    slot.start("code.process", "context.progress(1)\nimport time\ntime.sleep(600)")
    slot.next_of("progress")
    slot.socket.close()
    assert slot.exit_status() == 0


def test_a_host_ends_if_its_consumer_goes_before_it_has_loaded(tmp_path: Path) -> None:
    with host_process(tmp_path) as host:
        host.socket.close()
        host.exit_status()


def test_a_host_says_where_it_stood_when_it_is_aborted(host: HostProcess) -> None:
    host.start("code.task", "context.progress(1)\nimport time\ntime.sleep(600)")
    host.next_of("progress")
    os.kill(host.process.pid, signal.SIGABRT)
    assert host.exit_status() == -signal.SIGABRT
    assert 'File "their_code.py", line' in host.output
