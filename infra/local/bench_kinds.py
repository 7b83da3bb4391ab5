"""Kinds that use all the processor time they can get, until they are cancelled: what is measured beside them should not notice."""

from hashlib import sha256
from time import process_time

from pydantic import BaseModel

from sluice import Context, handler

BLOCK = bytes(1 << 18)
"""As long as this is hashed, other threads run: so several burn several processors in one process too."""


class Nothing(BaseModel):
    """What they take."""


class Burnt(BaseModel):
    """Seconds of processor time that their process used meanwhile."""

    cpu_s: float


def _burn(context: Context) -> Burnt:
    began = process_time()
    while not context.should_stop():
        sha256(BLOCK).digest()
    return Burnt(cpu_s=process_time() - began)


@handler("bench.burn-in-process", runs_in="process", timeout_s=120)
def burn_in_process(_: Nothing, context: Context) -> Burnt:
    """Burn in a process slot."""
    return _burn(context)


@handler("bench.burn-in-thread", runs_in="thread", timeout_s=120)
def burn_in_thread(_: Nothing, context: Context) -> Burnt:
    """Burn in a thread of the shared host."""
    return _burn(context)
