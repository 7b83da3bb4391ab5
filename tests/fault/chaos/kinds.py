"""Kinds whose results say which claim made them, and whose every run leaves a line in a ledger outside the record.

Fences are there to prevent a result of an older claim than the record's, and two lines of one claim.
"""

from __future__ import annotations

import asyncio
import os
import time

from pydantic import BaseModel, ConfigDict, Field

from sluice.context import Context
from sluice.handler import handler
from sluice.retry import RetryPolicy

LEDGER = "CHAOS_LEDGER"
"""The environment variable that holds the path of the ledger."""

SALT = 7_919


class Ask(BaseModel):
    """The input: `number` tells every submit apart, `nap_s` is how long the work takes."""

    model_config = ConfigDict(strict=True, extra="forbid")

    number: int
    nap_s: float = Field(default=0.0, ge=0, le=60)


class Done(BaseModel):
    """The answer, and the claim under which it was computed."""

    answer: int
    fence: int


class PureDone(BaseModel):
    """The answer alone."""

    answer: int


def answer_to(number: int) -> int:
    """Compute what nobody arrives at by accident."""
    return (number * SALT) % 1_000_003


def note(context: Context, number: int) -> None:
    """Append a line to the ledger; one short write to a file opened for appending stays whole."""
    path = os.environ.get(LEDGER)
    if path is None:
        return
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        line = f"{context.job_id} {context.fence} {number} {os.getpid()} {time.time():.3f}\n"
        os.write(file, line.encode())
    finally:
        os.close(file)


@handler("chaos.sum", timeout_s=30)
async def in_loop(ask: Ask, context: Context) -> Done:
    """Do ordinary work, which may take its time."""
    note(context, ask.number)
    if ask.nap_s:
        await asyncio.sleep(ask.nap_s)
    return Done(answer=answer_to(ask.number), fence=context.fence)


@handler("chaos.pure", cache_s=86_400, timeout_s=30)
async def pure(ask: Ask, context: Context) -> PureDone:
    """Do work once for all who ask for the same."""
    note(context, ask.number)
    return PureDone(answer=answer_to(ask.number))


@handler("chaos.shaky", retry=RetryPolicy(max_attempts=5, base_s=0.2), timeout_s=30)
async def shaky(ask: Ask, context: Context) -> Done:
    """Fail at the first attempt."""
    note(context, ask.number)
    if context.attempt == 1:
        raise LookupError("not at the first attempt")
    return Done(answer=answer_to(ask.number), fence=context.fence)


@handler("chaos.thread", timeout_s=30)
def in_thread(ask: Ask, context: Context) -> Done:
    """Work in a thread."""
    note(context, ask.number)
    time.sleep(ask.nap_s)
    return Done(answer=answer_to(ask.number), fence=context.fence)


@handler("chaos.process", runs_in="process", timeout_s=30)
def in_process(ask: Ask, context: Context) -> Done:
    """Work in a process of its own."""
    note(context, ask.number)
    time.sleep(ask.nap_s)
    return Done(answer=answer_to(ask.number), fence=context.fence)
