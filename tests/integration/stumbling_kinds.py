"""A kind whose validator stumbles or goes on for ever, as it is told, loaded by the processes of the tests."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, field_validator

from sluice.handler import handler


def spin() -> None:
    while True:
        pass


def recurse() -> None:
    recurse()


def raises(error: BaseException) -> Callable[[], object]:
    def stumble() -> None:
        raise error

    return stumble


DOES: dict[str, Callable[[], object]] = {
    "divide": lambda: 1 / 0,
    "key": lambda: {"a": 1}["b"],
    "attribute": lambda: object().__getattribute__("no_such_name"),
    "recurse": recurse,
    "surrogate": raises(ValueError("\ud800")),
    "group": raises(BaseExceptionGroup("both", [KeyError("a"), KeyboardInterrupt()])),
    "exit": lambda: sys.exit(0),
    "sleep": lambda: time.sleep(600),
    "spin": spin,
}


class Ask(BaseModel):
    """How its validator is to end; `unless` is a file: if that is there, the validator stumbles."""

    how: str = ""
    unless: str = ""

    @field_validator("how")
    @classmethod
    def end(cls, how: str) -> str:
        DOES.get(how, str)()
        return how

    @field_validator("unless")
    @classmethod
    def look(cls, file: str) -> str:
        if file and Path(file).exists():
            raise KeyError(file)
        return file


@handler("own.checked")
async def checked(ask: Ask) -> Ask:
    """Give back what came."""
    return ask
