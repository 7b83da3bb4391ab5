"""How many files this process may have open: each connection is one."""

from __future__ import annotations

import resource
from contextlib import suppress

RESERVED = 512
"""Files besides the connections of clients: servers, logs, the private port, connections that are being refused."""


def room_for(connections: int) -> int:
    """Let this process open so many connections, or as many as its hard limit has room for; return how many these are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + RESERVED
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):  # some systems allow less than their hard limit says
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return (
        connections if soft == resource.RLIM_INFINITY else min(connections, max(soft // 2, soft - RESERVED))
    )
