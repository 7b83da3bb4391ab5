"""What a host may use, and how much it does; limits are set in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sluice.host.limits import measure, waited_for_processor_s

ROOT = Path(__file__).parents[3]
PRINT = "print(*resource.getrlimit(resource.RLIMIT_DATA), *resource.getrlimit(resource.RLIMIT_CORE))"


def limited(mib: int, before: str = "", after: str = PRINT) -> str:
    """Limit a process, and return what it printed."""
    code = f"import resource\nfrom pathlib import Path\nfrom sluice.host.limits import limit_memory\n{before}\nlimit_memory({mib})\n{after}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_memory_that_is_allocated_is_bounded() -> None:
    code = "try: bytearray(300 << 20)\nexcept MemoryError: print('no')"
    assert limited(256, after=code) == "no"
    assert limited(0, after=code) == ""


def test_memory_is_short_when_half_of_it_is_held_used_or_not() -> None:
    code = (
        "from sluice.host.limits import memory_is_short\nheld = bytearray({} << 20)\nprint(memory_is_short())"
    )
    assert limited(512, after=code.format(300)) == "True"
    assert limited(512, after=code.format(100)) == "False"
    assert limited(0, after=code.format(300)) == "False"


def test_no_core_is_written_and_no_bound_is_no_bound() -> None:
    soft, hard, core, _ = limited(0).split()
    assert (soft, hard) == ("-1", "-1")
    assert core == "0"


def test_a_stricter_limit_from_outside_is_kept() -> None:
    mib = 1 << 20
    before = f"resource.setrlimit(resource.RLIMIT_DATA, ({200 * mib}, {300 * mib}))"
    assert limited(400, before).split()[:2] == [str(200 * mib), str(300 * mib)]
    assert limited(250, before).split()[:2] == [str(250 * mib), str(300 * mib)]


def test_the_kernel_ends_a_host_first() -> None:
    assert limited(0, after="print(Path('/proc/self/oom_score_adj').read_text())") == "1000"


def test_a_measurement_tells_memory_threads_and_files() -> None:
    """In a process of its own: one that has grown gives what it has freed before it grows again."""
    code = (
        "from sluice.host.limits import measure\nfrom threading import Event, Thread\n"
        "before, done = measure(), Event()\nthread = Thread(target=done.wait)\nthread.start()\n"
        "file, held = open('/dev/null'), b'x' * (64 << 20)\nnow = measure()\ndone.set()\n"
        "print(*(int(after - was) for was, after in zip(before, now)))"
    )
    memory_mib, threads, files, waited_s, _ = map(int, limited(0, after=code).split())
    assert memory_mib in range(60, 100)
    assert (threads, files) == (1, 1)
    assert waited_s >= 0


def test_where_the_system_does_not_tell_it_is_measured_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", refuse)
    memory_mib, threads, files, waited_s, _ = measure()
    assert memory_mib > 1
    assert threads >= 1
    assert (files, waited_s) == (0, 0.0)


def test_a_process_that_is_gone_waits_for_nothing() -> None:
    gone = subprocess.Popen([sys.executable, "--version"], stdout=subprocess.DEVNULL)
    gone.wait()
    assert waited_for_processor_s(gone.pid) == 0
    assert waited_for_processor_s(os.getpid()) > 0
