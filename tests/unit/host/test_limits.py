"""What a host may use, and how much it does; limits are set in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread

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


def test_a_measurement_tells_memory_threads_and_files(tmp_path: Path) -> None:
    before, done = measure(), Event()
    thread = Thread(target=done.wait)
    thread.start()
    with (tmp_path / "file").open("w"):
        held = b"x" * (64 << 20)
        now = measure()
    done.set()
    thread.join()
    assert now[0] - before[0] in range(60, 60 + (len(held) >> 20))
    assert (now[1] - before[1], now[2] - before[2]) == (1, 1)
    assert now[3] >= before[3]


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
