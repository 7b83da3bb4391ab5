"""Handlers whose outputs and exceptions cannot be read, or hurt whoever tries."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, NoReturn

from sluice import Context, RetryLater
from tests.fault.hostile.case import (
    EVERYWHERE,
    HANGS,
    OUTSIDE,
    Reply,
    Whole,
    dies,
    fails,
    hostile,
    raises,
    succeeds,
)


@hostile(*EVERYWHERE, ends=fails("bad-output", "10000012 bytes"))
def returns_too_much() -> Whole:
    return Whole(Reply(value="x" * 10_000_000))


@hostile(*EVERYWHERE, ends=fails("bad-output", "NaN"))
def returns_no_number() -> float:
    return float("nan")


@hostile(*EVERYWHERE, ends=fails("bad-output", r"U\+0000"))
def returns_nothing_for_text() -> str:
    return "a\x00b"


@hostile(*EVERYWHERE, ends=fails("bad-output"))
def returns_a_ring() -> list[Any]:
    ring: list[Any] = []
    ring.append(ring)
    return ring


@hostile(*EVERYWHERE, ends=fails("bad-output", "NoneType"))
def returns_nothing() -> Whole:
    return Whole(None)


@hostile(*EVERYWHERE, ends=fails("bad-output", "Leaving|SystemExit|exit"))
def returns_what_exits() -> Any:
    return Leaving()


class Leaving(Exception):
    """Ends the program that looks at it."""

    def __str__(self) -> NoReturn:
        sys.exit(3)

    __repr__ = __reduce__ = __str__


class Dying(Exception):
    """Ends the program that looks at it, for sure."""

    def __str__(self) -> NoReturn:
        os._exit(9)


class Slow(Exception):
    """Takes for ever to say what it is."""

    def __str__(self) -> str:
        time.sleep(600)
        return "slow"


@hostile(*EVERYWHERE, ends=raises("Leaving.*SystemExit"))
def raises_what_exits() -> None:
    raise Leaving


@hostile(*OUTSIDE, ends=[dies("exit status 9"), raises("Dying")])
def raises_what_kills() -> None:
    raise Dying


@hostile(*EVERYWHERE, ends=[*HANGS, raises("Slow")], timeout_s=1)
def raises_what_hangs() -> None:
    raise Slow


@hostile(*EVERYWHERE, ends=raises("ValueError x"))
def raises_much() -> None:
    raise ValueError("x" * 50_000_000)


@hostile(*EVERYWHERE, ends=raises("LookupError"))
def raises_in_a_ring() -> None:
    first, second = LookupError("\udce4 \x00"), KeyError("b")
    first.__cause__, second.__cause__ = second, first
    raise first


@hostile(*EVERYWHERE, ends=raises("KeyError"))
def raises_a_deep_group() -> None:
    group: Exception = KeyError("at the bottom")
    for _ in range(300):
        group = ExceptionGroup("deeper", [group])
    raise group


@hostile(*EVERYWHERE, ends=succeeds(), attempts=1)
def comes_again_at_once(context: Context) -> int:
    if context.fence < 4:
        raise RetryLater(0)
    return context.fence
