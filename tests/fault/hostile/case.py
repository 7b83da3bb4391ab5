"""A hostile handler, where it is tried, and how its jobs have to end."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel

from sluice import Context, RetryPolicy, handler
from sluice.handler import AnyHandler, RunsIn
from tests.fault.hostile.stray import PLACE

LOOP: RunsIn = "loop"
THREAD: RunsIn = "thread"
PROCESS: RunsIn = "process"
EVERYWHERE: tuple[RunsIn, ...] = (LOOP, THREAD, PROCESS)
OUTSIDE: tuple[RunsIn, ...] = (THREAD, PROCESS)
"""Where a handler may block."""

SHARED: tuple[RunsIn, ...] = (LOOP, THREAD)
"""Where a handler shares its process with others."""

Body = TypeVar("Body", bound=Callable[..., Any])


class Ask(BaseModel):
    """Nothing is asked."""


class Reply(BaseModel):
    """Anything at all."""

    value: Any = None


class Whole(NamedTuple):
    """What a handler returns, instead of a value for its Reply."""

    output: Any


class Ending(NamedTuple):
    """A way in which a job may end; `words` is a pattern for title and detail, `attempts` the most that may count."""

    state: str
    error: str = ""
    words: str = ""
    value: Any = None
    attempts: int = 1


def succeeds(value: Any = None) -> Ending:
    """It succeeds, with this value if one is given."""
    return Ending("succeeded", value=value)


def fails(error: str, words: str = "", attempts: int = 1) -> Ending:
    """It fails with an error of this type."""
    return Ending("failed", error, words, attempts=attempts)


def raises(words: str) -> Ending:
    """It fails with what its handler raised."""
    return fails("handler-error", words)


def dies(words: str = "") -> Ending:
    """It fails as the one who ended its process."""
    return fails("worker-lost", words)


TIMES_OUT = fails("timed-out")
BLOCKS = dies("The event loop was blocked for")
CLOSED = raises("Bad file descriptor")
"""Another job in the same host has just closed what this one uses."""

GONE = raises("No such file or directory")
"""Another job in the same host has just gone to a directory that is no more: `multiprocessing` asks where it is."""

HANGS = (TIMES_OUT, BLOCKS)


class Case(NamedTuple):
    """A hostile kind, the endings that are right for its jobs, and how many of them there are."""

    kind: AnyHandler
    endings: Sequence[Ending]
    copies: int

    @property
    def name(self) -> str:
        """Its name for people."""
        return self.kind.kind.removeprefix("hostile.")


CASES: dict[str, Case] = {}
"""Every case by its name."""


def hostile(
    *places: RunsIn,
    ends: Ending | Sequence[Ending],
    timeout_s: float = 240,
    attempts: int = 1,
    copies: int = 1,
) -> Callable[[Body], Body]:
    """Make a function a kind for each of these places; where several endings are right, any may come."""

    def register(body: Body) -> Body:
        for place in places:
            kind = handler(
                f"hostile.{body.__name__.replace('_', '-')}.{place}",
                runs_in=place,
                timeout_s=timeout_s,
                retry=RetryPolicy(max_attempts=attempts, base_s=0.05),
            )(_function(body, place))
            case = Case(kind, [ends] if isinstance(ends, Ending) else ends, copies)
            CASES[case.name] = case
        return body

    return register


def _function(body: Callable[..., Any], place: RunsIn) -> Callable[[Ask, Context], Any]:
    """Give a body the form that a handler has to have."""
    if inspect.iscoroutinefunction(body):

        async def run(_: Ask, context: Context) -> Reply:
            PLACE.set(place)
            reply: Reply = _reply(await body(*_wanted(body, context)))
            return reply

        return run

    def call(_: Ask, context: Context) -> Reply:
        PLACE.set(place)
        reply: Reply = _reply(body(*_wanted(body, context)))
        return reply

    async def call_in_loop(ask: Ask, context: Context) -> Reply:
        return call(ask, context)

    return call_in_loop if place == LOOP else call


def _wanted(body: Callable[..., Any], context: Context) -> list[Context]:
    return [context] if inspect.signature(body).parameters else []


def _reply(value: Any) -> Any:
    return value.output if isinstance(value, Whole) else Reply(value=value)
