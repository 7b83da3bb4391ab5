"""Find the addresses of a host, and check that a webhook may go there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection

from sluice.core.webhook_url import Network, Refused, Target, check_addresses

RESOLVE_S = 5.0


async def find_addresses(target: Target, allowed: Collection[Network]) -> list[str]:
    """Return every address of the host. Raises Refused if any may not be reached, or if none is found in time."""
    try:
        async with asyncio.timeout(RESOLVE_S):
            found = await asyncio.get_running_loop().getaddrinfo(
                target.host, target.port, type=socket.SOCK_STREAM
            )
    except (OSError, UnicodeError, TimeoutError):
        raise Refused("The host has no address, or its name server does not answer.") from None
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    check_addresses(target, addresses, allowed)
    return addresses
