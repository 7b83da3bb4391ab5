"""Kinds that run the code they are given: what a handler does then stands in the test that is about it."""

from __future__ import annotations

import asyncio
from textwrap import indent
from typing import Any

from pydantic import BaseModel

from sluice.context import Context
from sluice.handler import handler


class Code(BaseModel):
    """The body of a function of `context` and `keep`, a dict that outlives the job."""

    code: str


class Said(BaseModel):
    """What that function returned."""

    said: Any = None


KEPT: dict[str, Any] = {}


@handler("code.task")
async def run_in_task(given: Code, context: Context) -> Said:
    """Run it as a coroutine."""
    return Said(said=await _define("async def", given)(context, KEPT))


@handler("code.thread")
def run_in_thread(given: Code, context: Context) -> Said:
    """Run it as a plain function, in a thread."""
    return Said(said=_define("def", given)(context, KEPT))


@handler("code.process", runs_in="process")
def run_in_process(given: Code, context: Context) -> Said:
    """Run it as a plain function, in the main thread of a process."""
    return Said(said=_define("def", given)(context, KEPT))


def _define(head: str, given: Code) -> Any:
    scope: dict[str, Any] = {"__name__": "their_code", "asyncio": asyncio}
    text = f"{head} main(context, keep):\n{indent(given.code, ' ')}\n"
    exec(compile(text, "their_code.py", "exec"), scope)  # noqa: S102  the code is the test's own
    return scope["main"]
