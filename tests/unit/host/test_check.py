"""Modules are loaded in a child process first: whatever they do there is a refusal here, and hurts nobody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sluice.core.catalogue import describe
from sluice.errors import StartRefused
from sluice.host.check import check_modules, load_checked
from sluice.host.loading import FIND, MEND, NO_EXIT
from tests.support.waiting import until
from tests.unit.host.user_modules import ONE, write

DEADLINE_S = 30


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a directory from which modules load."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def refusal(module: str, deadline_s: float = DEADLINE_S) -> str:
    """Why this one is refused."""
    with pytest.raises(StartRefused) as refused:
        check_modules([module], deadline_s)
    return str(refused.value)


def test_describes_the_kinds_of_all_modules() -> None:
    modules = ["sluice.kinds.demo_sum", "sluice.kinds.demo_sleep"]
    registry = load_checked(modules, DEADLINE_S)
    found = {each.kind: each for each in check_modules(modules, DEADLINE_S)}
    assert list(found) == ["demo.sleep", "demo.sum"]
    assert found == {kind: describe(registry[kind]) for kind in registry}


def test_finds_modules_exactly_where_this_process_does(
    package: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write(elsewhere, "ck_one", "1 / 0")
    write(elsewhere, "json", "1 / 0")
    monkeypatch.chdir(elsewhere)
    assert [each.where for each in check_modules([write(package, "ck_one", ONE)], DEADLINE_S)] == [
        f"{package}/ck_one.py:8"
    ]


def test_a_problem_of_loading_is_told_as_it_is(package: Path) -> None:
    assert refusal("no.such.module").endswith(FIND)
    write(package, "ck_bad", "\n1 / 0")
    assert f"ZeroDivisionError: division by zero ({package}/ck_bad.py:2); {MEND}" in refusal("ck_bad")


def test_a_kind_that_no_schema_describes_is_refused(package: Path) -> None:
    write(package, "ck_odd", ONE.replace("pass", "other: 'Nowhere'"))
    found = refusal("ck_odd")
    assert found.startswith(
        f"kind 'one.kind' ({package}/ck_odd.py:8): no JSON schema can be made for its input"
    )


def test_a_kind_that_is_to_be_found_by_a_secret_is_refused(package: Path) -> None:
    given = "pin: str = __import__('pydantic').Field('', json_schema_extra={'secret': True})"
    write(package, "ck_pin", ONE.replace("pass", given).replace("aliases", "searchable=('pin',), aliases"))
    assert "searchable: 'pin' is a secret" in refusal("ck_pin")


@pytest.mark.parametrize(
    ("text", "why", "remedy"),
    [
        ("\nos._exit(3)", "it calls os._exit(3) ({file}:3)", NO_EXIT),
        ("import posix; posix._exit(3)", "it ends its process with status 3", NO_EXIT),
        ("os.kill(os.getpid(), 9)", "it ends its process by SIGKILL", MEND),
        ("import ctypes\n\nctypes.string_at(0)", "by SIGSEGV ({file}:4 in <module>)", MEND),
        ("os.abort()", "by SIGABRT ({file}:2 in <module>)", MEND),
        ("os.execv('/bin/true', ['true'])", "it ends its process with status 0", NO_EXIT),
    ],
)
def test_a_module_that_ends_its_process_is_named(package: Path, text: str, why: str, remedy: str) -> None:
    told = refusal(write(package, "ck_end", f"import os\n{text}"))
    assert told.startswith("SLUICE_HANDLERS: ck_end does not load: ")
    assert why.format(file=package / "ck_end.py") in told
    assert told.endswith(remedy)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("while True: pass", 1),
        ("import time\ntime.sleep(600)", 2),
        ("import threading\nthreading.Event().wait()", 2),
        ("sum(iter(int, 1))", 1),
        ("try:\n    while True: pass\nexcept BaseException: pass", 2),
    ],
)
def test_a_module_that_goes_on_loading_is_named_with_its_line(package: Path, text: str, line: int) -> None:
    told = refusal(write(package, "ck_late", text), 1)
    assert f"ck_late does not load: it is still loading after 1 s ({package}/ck_late.py:{line} in " in told
    assert told.endswith(MEND)


def test_a_module_reads_nothing_from_the_terminal(package: Path) -> None:
    text = "import sys\nassert sys.stdin.read() == ''\n"
    assert len(check_modules([write(package, "ck_asks", text + ONE)], DEADLINE_S)) == 1


def test_what_outlives_the_deadline_unseen_is_killed(package: Path) -> None:
    text = "import faulthandler\nfaulthandler.cancel_dump_traceback_later()\nwhile True: pass"
    assert "ck_deaf does not load: it ends its process by SIGKILL" in refusal(
        write(package, "ck_deaf", text), 0.1
    )


async def test_what_a_module_prints_or_leaves_behind_does_not_disturb(
    package: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text = """
import atexit, os, subprocess, sys, threading, time
print('["ready", []]', flush=True)
os.write(1, b"noise" * 100_000)
os.write(2, b"noise" * 100_000)
atexit.register(time.sleep, 600)
threading.Thread(target=time.sleep, args=(600,)).start()
program = subprocess.Popen(["sleep", "600"])
open(__file__ + ".pid", "w").write(str(program.pid))
"""
    found = check_modules([write(package, "ck_loud", text + ONE)], DEADLINE_S)
    assert [each.kind for each in found] == ["one.kind"]
    assert capfd.readouterr() == ("", "")
    program = int((package / "ck_loud.py.pid").read_text())
    await until(lambda: not _runs(program))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
