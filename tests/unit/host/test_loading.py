"""Loading users' modules, and every problem that keeps one from it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.errors import StartRefused
from sluice.host.loading import FIND, MEND, NO_EXIT, load_watched
from tests.unit.host.user_modules import HEAD, ONE, write


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make a directory from which modules load, and unload them afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def refusal(*modules: str) -> str:
    """Why these do not load."""
    with pytest.raises(StartRefused) as refused:
        load_watched(modules)
    return str(refused.value)


def test_tells_of_each_module_before_it_is_loaded(package: Path) -> None:
    told: list[str] = []
    modules = [write(package, "ld_one", ONE), write(package, "ld_bad", "1 / 0")]
    with pytest.raises(StartRefused, match="ld_bad does not load"):
        load_watched(modules, told.append)
    assert told == modules


def test_a_kind_that_another_module_imports_is_one_kind(package: Path) -> None:
    first = write(package, "ld_first", ONE)
    second = write(package, "ld_second", "from ld_first import one\nagain = one\n")
    assert list(load_watched([first, second])) == ["one.kind"]


def test_kinds_that_share_a_name_are_refused(package: Path) -> None:
    assert "'one.kind' is defined twice" in refusal(write(package, "ld_a", ONE), write(package, "ld_b", ONE))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import ld_no_such_thing", ["ModuleNotFoundError", ":1)", FIND]),
        ("\nx = = 1", ["SyntaxError", ":2)", MEND]),
        ("\n\n1 / 0", ["ZeroDivisionError: division by zero", ":3)", MEND]),
        ("import json\njson.loads('{')", ["JSONDecodeError", ":2)", MEND]),
        ("raise SystemExit(3)", ["SystemExit: 3", ":1)", NO_EXIT]),
        ("\nraise KeyboardInterrupt", ["KeyboardInterrupt (", ":2)", MEND]),
        ("class Own(BaseException): pass\nraise Own('a\\nb')", ["Own: a b", ":2)", MEND]),
        ("def deep(): deep()\ndeep()", ["RecursionError", ":1)", MEND]),
        (
            "class Mute(Exception):\n  def __str__(self): raise SystemExit\nraise Mute",
            ["Mute: (its message could not be read", ":3)"],
        ),
        ("import ast\nast.literal_eval('= 1')", ["SyntaxError", ":2)", MEND]),
    ],
)
def test_a_module_that_does_not_load_is_named_with_line_and_remedy(
    package: Path, text: str, words: list[str]
) -> None:
    why = refusal(write(package, "ld_bad", text))
    assert why.startswith("SLUICE_HANDLERS: ld_bad does not load: ")
    assert [each for each in [str(package / "ld_bad.py"), *words] if each not in why] == []
    assert len(why.splitlines()) == 1


def test_the_line_is_in_the_innermost_file_of_the_user(package: Path) -> None:
    write(package, "ld_pack.inner", "import re\n\nre.compile('(')")
    assert f"({package}/ld_pack/inner.py:3)" in refusal(
        write(package, "ld_pack.outer", "import ld_pack.inner")
    )


def test_a_wrong_option_is_told_in_its_own_words(package: Path) -> None:
    assert "lower-case words" in refusal(write(package, "ld_bad", ONE.replace("one.kind", "One")))


@pytest.mark.parametrize(
    "text",
    [
        "x = 1",
        "class Proxy:\n    @property\n    def __class__(self): raise RuntimeError('unbound')\nx = Proxy()",
        "import sys\nsys.modules[__name__] = sys",
    ],
)
def test_a_module_without_kinds_is_refused(package: Path, text: str) -> None:
    assert "ld_none defines no kind" in refusal(write(package, "ld_none", text))


def test_a_module_that_puts_something_odd_in_its_place_is_refused(package: Path) -> None:
    why = refusal(write(package, "ld_odd", "import sys\nsys.modules[__name__] = 7"))
    assert "ld_odd does not load: TypeError" in why


def test_a_module_that_is_not_there_is_named() -> None:
    why = refusal("no.such.module")
    assert why.startswith("SLUICE_HANDLERS: no.such.module does not load: ModuleNotFoundError")
    assert why.endswith(FIND)


@pytest.mark.parametrize("call", ["os._exit(7)", "getattr(os, '_exit')(7)"])
def test_a_module_that_ends_the_process_at_once_is_named_before_that(package: Path, call: str) -> None:
    write(package, "ld_exit", f"import os\n\n{call}")
    code = "from sluice.host.loading import load_watched; load_watched(['ld_exit'])"
    ended = subprocess.run([sys.executable, "-c", code], env=_path(package), capture_output=True, text=True)
    assert ended.returncode == 7
    said = f"ld_exit does not load: it calls os._exit(7) ({package}/ld_exit.py:3); {NO_EXIT}\n"
    assert ended.stderr == f"sluice: SLUICE_HANDLERS: {said}"


def test_a_child_that_a_module_forks_may_end_as_it_likes(package: Path) -> None:
    text = "import os\nif not (child := os.fork()):\n    os._exit(9)\nSTATUS = os.waitpid(child, 0)[1]\n"
    told: list[str] = []
    load_watched([write(package, "ld_fork", text + ONE)], on_exit=told.append)
    assert os.waitstatus_to_exitcode(sys.modules["ld_fork"].STATUS) == 9
    assert told == []


def test_loggers_that_there_were_write_although_a_module_configures_logging(package: Path) -> None:
    ours = logging.getLogger("sluice.api")
    code = 'import logging.config\nlogging.config.dictConfig({"version": 1})\n' + ONE
    load_watched([write(package, "ld_config", code)])
    assert not ours.disabled


def test_afterwards_os_exit_is_what_it_was(package: Path) -> None:
    before = os._exit
    load_watched([write(package, "ld_good", ONE)])
    refusal(write(package, "ld_bad", HEAD + "1 / 0"))
    assert os._exit is before


def _path(package: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(package), str(Path.cwd())])}


@pytest.mark.parametrize("name", ["kinds_of_mine/shout.py", "kinds_of_mine.shout.py"])
def test_who_names_a_file_is_told_how_the_module_is_named(name: str) -> None:
    with pytest.raises(StartRefused, match=r"with dots: kinds_of_mine\.shout$"):
        load_watched([name])
