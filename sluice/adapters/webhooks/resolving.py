"""Find the addresses of a host, and check that a webhook may go there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection
from concurrent.futures import Future
from functools import cache
from queue import SimpleQueue
from threading import Thread
from typing import Any

from sluice.core.webhook_url import Network, Refused, Target, check_addresses

RESOLVE_S = 5.0
THREADS = 8
"""Names that one process looks up at once."""

_Question = tuple[Future[list[Any]], str, int]


async def find_addresses(target: Target, allowed: Collection[Network]) -> list[str]:
    """Return every address of the host. Raises Refused if any may not be reached, or if none is found in time."""
    answer: Future[list[Any]] = Future()
    _questions().put((answer, target.host, target.port))
    try:
        async with asyncio.timeout(RESOLVE_S):
            found = await asyncio.wrap_future(answer)
    except (OSError, UnicodeError, TimeoutError):
        raise Refused("The host has no address, or its name server does not answer.") from None
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    check_addresses(target, addresses, allowed)
    return addresses


@cache
def _questions() -> SimpleQueue[_Question]:
    """Start threads of our own: a name server that is slow on purpose holds up no other work of the process.

    Nor its end, for which those of an executor are waited for.
    """
    questions: SimpleQueue[_Question] = SimpleQueue()
    for number in range(THREADS):
        Thread(target=_answer, args=(questions,), name=f"webhook-names-{number}", daemon=True).start()
    return questions


def _answer(questions: SimpleQueue[_Question]) -> None:
    while True:
        answer, host, port = questions.get()
        if not answer.set_running_or_notify_cancel():  # nobody waits for it any more
            continue
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except Exception as error:  # noqa: BLE001  who asked raises it
            answer.set_exception(error)
        else:
            answer.set_result(found)
