"""Loading kinds, and every problem that keeps a process from starting."""

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from sluice.core.catalogue import describe
from sluice.core.errors import KindUnknown
from sluice.core.registry import Registry, check_lanes, load
from sluice.errors import StartRefused

HEAD = """
from pydantic import BaseModel
from sluice.handler import handler

class Given(BaseModel):
    pass
"""
ONE = (
    HEAD
    + """
@handler("one.kind", aliases=("old.kind",))
async def one(given: Given) -> Given:
    return given
"""
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make a directory from which modules load, and unload them afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(package: Path, name: str, text: str) -> str:
    (package / f"{name}.py").write_text(dedent(text))
    return name


def test_finds_a_kind_by_its_name_and_by_its_former_names(package: Path) -> None:
    registry = load([write(package, "reg_one", ONE)])
    assert registry["one.kind"] is registry["old.kind"]
    assert list(registry) == ["one.kind"]
    assert len(registry) == 1
    assert "old.kind" in registry
    assert registry.names == ["one.kind", "old.kind"]


def test_an_unknown_kind_is_no_kind(package: Path) -> None:
    with pytest.raises(KindUnknown, match=r"no\.kind"):
        Registry([])["no.kind"]
    assert "no.kind" not in Registry([])


def test_a_kind_that_another_module_imports_is_one_kind(package: Path) -> None:
    first = write(package, "reg_first", ONE)
    second = write(package, "reg_second", "from reg_first import one\n")
    assert len(load([first, second])) == 1


def test_refuses_two_kinds_of_one_name_and_names_both(package: Path) -> None:
    first, second = write(package, "reg_a", ONE), write(package, "reg_b", ONE)
    with pytest.raises(
        StartRefused, match=r"'one.kind' is defined twice, at \S+/reg_a.py:8 and at \S+/reg_b.py:8: "
    ):
        load([first, second])


def test_kinds_without_their_code_are_told_apart_in_the_same_way(package: Path) -> None:
    one = describe(load([write(package, "reg_e", ONE)])["one.kind"])
    registry = Registry([one])
    assert registry["old.kind"] is one
    with pytest.raises(StartRefused, match=r"'one.kind' is defined twice, at \S+/reg_e.py:8 and at "):
        Registry([one, one])
    with pytest.raises(StartRefused, match=r"SLUICE_LANES: .*'default'"):
        check_lanes(registry, ["heavy"])


def test_refuses_a_former_name_that_is_taken(package: Path) -> None:
    first = write(package, "reg_c", ONE)
    second = write(package, "reg_d", ONE.replace("one.kind", "two.kind"))
    with pytest.raises(StartRefused, match=r"'old.kind' is defined twice"):
        load([first, second])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", "defines no kind"),
        ("import no_such_thing", "does not load: ModuleNotFoundError"),
        ("x = = 1", "does not load: SyntaxError"),
        ("raise SystemExit(3)", "does not load: SystemExit"),
        (ONE.replace("one.kind", "One"), "lower-case words"),
    ],
)
def test_refuses_a_module_and_says_what_to_do(package: Path, text: str, words: str) -> None:
    with pytest.raises(StartRefused, match=words):
        load([write(package, "reg_bad", text)])


def test_refuses_a_module_that_is_not_there() -> None:
    with pytest.raises(StartRefused, match=r"SLUICE_HANDLERS: no\.such\.module does not load"):
        load(["no.such.module"])


def test_a_kind_of_a_lane_that_nobody_configured_stops_the_start(package: Path) -> None:
    registry = load([write(package, "one", ONE)])
    check_lanes(registry, ["default", "heavy"])
    with pytest.raises(StartRefused, match=r"SLUICE_LANES: .*'default'.*'one\.kind'"):
        check_lanes(registry, ["heavy"])
