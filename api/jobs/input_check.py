"""Check an input against its kind's model. Validators are users' code: one may raise anything, or never come to an end."""

from __future__ import annotations

import logging
import random
import signal
import threading
from collections.abc import Iterator
from functools import cache
from itertools import count
from re import Pattern
from types import FrameType
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError

from api.http.schemas import flaws_of
from sluice.core.errors import Flaw, Invalid
from sluice.handler import AnyHandler
from sluice.host.user_files import UserFiles, innermost_user_line
from sluice.input_model import read_strictly, walk_schema

CHECK_S = 1.0
"""Seconds that checking an input may take; as long as it takes, nobody is answered."""
AGAIN_S = 0.05
AT_ONCE_S = 50e-6

_log = logging.getLogger("sluice.api")


class CheckCutOff(BaseException):
    """Ends validators that go on for too long; not an Exception, so that few of them swallow it."""


def check_input(handler: AnyHandler, raw: bytes, pointer: str) -> None:
    """Check JSON against the kind's model. Raises Invalid, with pointers that begin at `pointer`."""
    model = handler.input_model
    check = _check_within_time if runs_python(model) else _check  # type: ignore[arg-type]  # a class can be hashed
    try:
        check(model, raw, pointer)
    except Invalid:
        raise
    except BaseException as error:  # noqa: BLE001  validators may raise SystemExit, and must not end the process
        raise _refused(handler, error, pointer) from None


@cache
def runs_python(model: type[BaseModel]) -> bool:
    """Say whether code in Python runs when an input is checked, or a pattern that may never end. Plain models have neither."""
    return any(_is_python(key, value) for key, value in walk_schema(model.__pydantic_core_schema__))


def _check(model: type[BaseModel], raw: bytes, pointer: str) -> None:
    try:
        read_strictly(model, raw)
    except ValidationError as error:
        raise Invalid(flaws_of(error, pointer, orjson.loads(raw))) from None


def _check_within_time(model: type[BaseModel], raw: bytes, pointer: str) -> None:
    """Check it, but raise CheckCutOff once the time is up. Whoever used the timer before goes on with it afterwards."""
    if threading.current_thread() is not threading.main_thread():  # where Python handles no signals
        return _check(model, raw, pointer)
    handled = signal.getsignal(signal.SIGALRM)
    if handled is not _on_alarm:
        signal.signal(signal.SIGALRM, _on_alarm)
    timer = signal.setitimer(signal.ITIMER_REAL, CHECK_S, AGAIN_S)
    try:
        return _check_watched(model, raw, pointer, count())
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        # Not the default, which would end the process, should an alarm still be on its way.
        if handled is not _on_alarm and callable(handled):
            signal.signal(signal.SIGALRM, handled)


def _check_watched(model: type[BaseModel], raw: bytes, pointer: str, alarms: Iterator[int]) -> None:
    """Be found by `_on_alarm` on the stack, for as long as it may raise."""
    _check(model, raw, pointer)


def _on_alarm(_number: int, frame: FrameType | None) -> None:
    """Raise CheckCutOff if an input is still being checked: once that is over, nothing is left to be cut off.

    The first alarm does nothing, as the process may have been stopped meanwhile. A validator that swallows what is raised
    gets the next one soon, at a time that it cannot foresee: sooner or later that is outside its `try`.
    """
    while frame is not None and frame.f_code is not _check_watched.__code__:
        frame = frame.f_back
    if frame is None:
        return
    alarm = next(frame.f_locals["alarms"])
    if alarm > 1:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, AT_ONCE_S), AGAIN_S)  # noqa: S311  no secret
    if alarm > 0:
        raise CheckCutOff


def _refused(handler: AnyHandler, error: BaseException, pointer: str) -> Invalid:
    """Log which line of users' code it was, without the message, which may hold what the client sent."""
    name, where = type(error).__name__, innermost_user_line(error, UserFiles([handler.function.__module__]))
    fields = {"kind": handler.kind, "error": name, "where": where or handler.where}
    if isinstance(error, CheckCutOff):
        _log.error("input_check_cut_off", extra=fields)
        return Invalid([Flaw(pointer, "check-too-long", "Checking this took too long and was cut off.")])
    _log.warning("input_check_failed", extra=fields)
    return Invalid([Flaw(pointer, "check-failed", f"The kind's own check of this ended in {name}.")])


def _is_python(key: str, value: Any) -> bool:
    if isinstance(value, type):
        return key == "default_factory" and value.__module__ != "builtins"
    slow = isinstance(value, Pattern) or (key, value) == ("regex_engine", "python-re")
    return slow or callable(value) or (key in ("custom_init", "post_init") and bool(value))
