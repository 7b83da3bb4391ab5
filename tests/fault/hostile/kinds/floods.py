"""Handlers that print, log and report without measure."""

from __future__ import annotations

import logging
import os
import subprocess
import time
from typing import NoReturn

from sluice import Context
from tests.fault.hostile.case import (
    CLOSED,
    EVERYWHERE,
    HANGS,
    LOOP,
    OUTSIDE,
    PROCESS,
    THREAD,
    hostile,
    raises,
    succeeds,
)

LOG = logging.getLogger("hostile")
MANY = 30_000


class Unspeakable:
    """Cannot be put into words."""

    def __init__(self, error: type[BaseException] = LookupError) -> None:
        self.error = error

    def __repr__(self) -> NoReturn:
        raise self.error("no words")


@hostile(*EVERYWHERE, ends=succeeds())
def prints_without_end() -> None:
    for number in range(MANY):
        print(number)  # noqa: T201  what it is for


@hostile(PROCESS, ends=succeeds())
@hostile(THREAD, ends=[succeeds(), CLOSED])
def writes_without_end() -> None:
    for _ in range(200):
        os.write(1, b"x" * 49_999 + b"\n")


@hostile(LOOP, ends=[succeeds(), CLOSED, *HANGS], timeout_s=60)
def writes_without_end_in_the_loop() -> None:
    for _ in range(200):
        os.write(1, b"x" * 49_999 + b"\n")


@hostile(*OUTSIDE, ends=succeeds())
def says_yes() -> None:
    child = subprocess.Popen(["/usr/bin/yes"])
    time.sleep(1)
    child.kill()
    child.wait()


@hostile(PROCESS, ends=succeeds())
def says_yes_for_ever() -> None:
    subprocess.Popen(["/usr/bin/yes"], start_new_session=True)


@hostile(*EVERYWHERE, ends=succeeds())
def logs_without_end() -> None:
    for number in range(MANY):
        LOG.info("line %d", number)


@hostile(*EVERYWHERE, ends=succeeds())
def logs_a_huge_line() -> None:
    LOG.warning("x" * 10_000_000, extra={"more": "y" * 1_000_000})


@hostile(*EVERYWHERE, ends=succeeds())
def logs_what_cannot_be_said() -> None:
    LOG.info("%d of %s", "three", Unspeakable())
    LOG.info("%r", Unspeakable(), extra={"level": Unspeakable(), "number": 10**400, "nan": float("nan")})
    LOG.info("\udce4 \x00 {", extra={"nested": {"a": [{"b": Unspeakable()}]}})
    print("\udce4 \x00", end="")  # noqa: T201  what it is for


@hostile(*EVERYWHERE, ends=raises("SystemExit no words"))
def logs_what_exits() -> None:
    LOG.info("%s", Unspeakable(SystemExit))


@hostile(*EVERYWHERE, ends=succeeds())
def reports_without_end(context: Context) -> None:
    for number in range(MANY):
        context.progress(number, "\udce4 \x00" * 100)
    context.progress(float("nan"), "nowhere")
