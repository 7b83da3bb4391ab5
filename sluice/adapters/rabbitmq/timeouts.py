"""Call RabbitMQ with a deadline and one kind of failure: ServerAway.

The driver cancels what is pending when a connection dies, and may wait for a dead socket while it is being cancelled.
So each call runs in a task of its own, which is left behind when its time is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiormq.exceptions import AuthenticationError, ProbableAuthenticationError

from sluice.core.errors import CredentialsRefused, ServerAway

T = TypeVar("T")

SERVER = "rabbitmq"
CALL_S = 5.0
CHECK_EVERY_S = 5.0


class NoAnswer(ServerAway):
    """RabbitMQ did not answer in time."""


class NoLeader(ServerAway):
    """RabbitMQ answers, but not for a queue: the node that leads it is away, and no other has taken over."""


class NoQueue(ServerAway):
    """RabbitMQ gave a message back: the queue that it was for is gone."""


def away(why: BaseException | str) -> ServerAway:
    """Make the error that says RabbitMQ is away, and why (an exception or a text)."""
    return ServerAway(SERVER, reason(why) if isinstance(why, BaseException) else why)


def reason(error: BaseException) -> str:
    """Say why RabbitMQ is away, without its name in front."""
    return str(error).removeprefix(f"{SERVER}: ") or type(error).__name__


async def within(timeout_s: float, call: Coroutine[Any, Any, T]) -> T:
    """Wait for the answer of `call`. Raises ServerAway after `timeout_s` seconds or if the call fails in any way."""
    task = asyncio.ensure_future(call)
    task.add_done_callback(_retrieve_error)
    try:
        await asyncio.wait({task}, timeout=timeout_s)
        if not task.done():
            raise NoAnswer(SERVER, f"no answer in {timeout_s:g} s")
        return _answer(task)
    finally:
        task.cancel()


def _answer(task: asyncio.Future[T]) -> T:
    try:
        return task.result()
    except asyncio.CancelledError:
        raise away("connection lost") from None
    except ServerAway:
        raise
    except (AuthenticationError, ProbableAuthenticationError) as error:
        raise CredentialsRefused(SERVER) from error
    except Exception as error:
        raise away(error) from error


def _retrieve_error(task: asyncio.Future[Any]) -> None:
    """Retrieve an error that comes after its caller has gone, or asyncio complains about it."""
    if not task.cancelled():
        task.exception()
