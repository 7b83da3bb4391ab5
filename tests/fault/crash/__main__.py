"""`python -m tests.fault.crash api|consumer`: the real process, with its crash points wrapped.

The file that CRASH_ORDER names says what is to happen, for as long as it has not happened: a point, an action and at
which time. It is renamed the moment before, so that an order that was carried out can be told from one that was not.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import wraps
from importlib import import_module
from inspect import iscoroutinefunction
from pathlib import Path
from time import sleep
from typing import Any

from tests.fault.crash.orders import VARIABLE, Order
from tests.fault.crash.points import POINTS, Point

UNDER_WAY_S = 0.01
"""How long a step runs before the crash that meets it under way: what it sends is sent by then."""


class Crash(ConnectionError):
    """What a step raises if ordered to."""


class CrashInjector:
    """Carries out the order in the file, in this very process."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: Counter[Order] = Counter()

    def due_order(self, number: str) -> Order | None:
        """Return the order, if it is for this point and its time has come."""
        order = Order.read(self._file)
        if order is None or order.point != number:
            return None
        self._seen[order] += 1
        return order if self._seen[order] >= order.nth else None

    def carry_out(self, order: Order) -> None:
        """Kill, stop or raise; do nothing if another thread was quicker. Raises Crash."""
        if not order.take(self._file):
            return
        if order.action == "raise":
            raise Crash(order.point)
        os.kill(os.getpid(), signal.SIGKILL if order.action == "kill" else signal.SIGSTOP)
        sleep(0.05)  # a signal reaches the process, not at once the thread that sent it

    def wrapped(self, number: str, point: Point, step: Callable[..., Any]) -> Callable[..., Any]:
        """Return the step with its point around it."""
        if not iscoroutinefunction(step):
            return self._wrapped_function(number, point, step)
        if point.when == "under way":
            return self._wrapped_under_way(number, point, step)

        @wraps(step)
        async def with_crash(*arguments: Any, **options: Any) -> Any:
            answer = None
            if point.when == "after":
                answer = await step(*arguments, **options)
            if point.applies(arguments, answer) and (order := self.due_order(number)):
                await asyncio.sleep(point.pause_s)
                self.carry_out(order)
            return await step(*arguments, **options) if point.when == "before" else answer

        return with_crash

    def _wrapped_function(self, number: str, point: Point, step: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(step)
        def with_crash(*arguments: Any, **options: Any) -> Any:
            answer = step(*arguments, **options) if point.when == "after" else None
            if order := self.due_order(number):
                self.carry_out(order)
            return step(*arguments, **options) if point.when == "before" else answer

        return with_crash

    def _wrapped_under_way(
        self, number: str, point: Point, step: Callable[..., Awaitable[Any]]
    ) -> Callable[..., Any]:
        @wraps(step)
        async def with_crash(*arguments: Any, **options: Any) -> Any:
            order = self.due_order(number) if point.applies(arguments, None) else None
            call = asyncio.ensure_future(step(*arguments, **options))
            if order:
                await asyncio.sleep(UNDER_WAY_S) if order.action != "raise" else await asyncio.wait([call])
                self.carry_out(order)
            return await call

        return with_crash


def find_step(target: str) -> tuple[Any, str, Callable[..., Any]]:
    """Return where a step is, its name there, and the step."""
    module, _, name = target.partition(":")
    *path, last = name.split(".")
    owner = import_module(module)
    for each in path:
        owner = getattr(owner, each)
    return owner, last, getattr(owner, last)


def wrap_steps(role: str, file: Path) -> None:
    """Wrap the steps of every point of this role; a step with several points is wrapped several times."""
    injector = CrashInjector(file)
    for number, point in POINTS.items():
        if point.role == role:
            owner, name, step = find_step(point.target)
            setattr(owner, name, injector.wrapped(number, point, step))


if __name__ == "__main__":
    wrap_steps(sys.argv[1], Path(os.environ[VARIABLE]))
    sys.exit(import_module(f"{sys.argv[1]}.__main__").main())
