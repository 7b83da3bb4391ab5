"""What serves goes on serving where the new one cannot start."""

from __future__ import annotations

from contextlib import ExitStack
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from infra.local.daemon import StartError
from infra.local.run import Start, bring_processes


class Stack:
    """A stack of which the api is to be started again, that notes what is done to it. `wrong` is the step that fails."""

    def __init__(self, alive: bool, wrong: str = "") -> None:
        self.done: list[str] = []
        self.wrong = wrong
        self.api = SimpleNamespace(name="api", alive=alive, stop=lambda: self.done.append("stop"))

    def stale(self) -> list[Any]:
        return [self.api]

    def start(self, programs: list[Any]) -> None:
        self._do("start")

    def check(self) -> None:
        self._do("check")

    def migrate(self) -> None:
        self._do("migrate")

    def refuse_taken_ports(self) -> None:
        self._do("ports")

    def _do(self, step: str) -> None:
        self.done.append(step)
        if step == self.wrong:
            raise StartError(step)


def bring(stack: Stack) -> None:
    """As `make run` does, which undoes what it began if a step fails."""
    with ExitStack() as undo:
        start = Start(Path(), Console(file=StringIO()), undo)
        bring_processes(start, cast(Any, stack))
        undo.pop_all()


def test_settings_and_kinds_are_judged_before_anything_is_stopped() -> None:
    stack = Stack(alive=True)
    bring(stack)
    assert stack.done == ["ports", "check", "migrate", "start"]


def test_where_nothing_serves_the_start_itself_says_what_is_wrong() -> None:
    stack = Stack(alive=False)
    bring(stack)
    assert stack.done == ["ports", "migrate", "start"]


@pytest.mark.parametrize("wrong", ["ports", "check", "migrate"])
def test_what_cannot_start_stops_nothing(wrong: str) -> None:
    stack = Stack(alive=True, wrong=wrong)
    with pytest.raises(StartError, match=wrong):
        bring(stack)
    assert "start" not in stack.done
    assert "stop" not in stack.done
