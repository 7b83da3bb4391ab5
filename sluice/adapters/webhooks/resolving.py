"""Find the addresses of a host, and check that a webhook may go there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial

from sluice.core.webhook_url import Network, Refused, Target, check_addresses

RESOLVE_S = 5.0
THREADS = 8
"""Names that one process looks up at once."""


async def find_addresses(target: Target, allowed: Collection[Network]) -> list[str]:
    """Return every address of the host. Raises Refused if any may not be reached, or if none is found in time."""
    try:
        async with asyncio.timeout(RESOLVE_S):
            ask = partial(socket.getaddrinfo, target.host, target.port, type=socket.SOCK_STREAM)
            found = await asyncio.get_running_loop().run_in_executor(_threads(), ask)
    except (OSError, UnicodeError, TimeoutError):
        raise Refused("The host has no address, or its name server does not answer.") from None
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    check_addresses(target, addresses, allowed)
    return addresses


@cache
def _threads() -> ThreadPoolExecutor:
    """Make threads of our own: a name server that is slow on purpose holds up no other work of the process."""
    return ThreadPoolExecutor(THREADS, "webhook-names")
