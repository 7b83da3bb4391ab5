"""Bound how many connections are open at once: in all, and of one address. What comes beyond that is refused unread.

Timers end connections that are slow or idle; they do not bound how many of them one client opens meanwhile, nor the memory and
the open files that these cost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from api.keys.failed_auth import network_of

MOST_ANSWERED = 256
"""Refused connections that are open at the same time, so that their clients can read why; further ones are closed at once."""


class ConnectionCaps:
    """At most `most` connections, and `most_of_peer` of one address (0: any number) for which `is_proxy` is not true.

    `on_refused` is told of each that is refused: `all`, or `address` if only those of its address are too many.
    """

    __slots__ = ("_by_peer", "_is_proxy", "_most", "_most_of_peer", "_on_refused", "_peers", "_refused")

    def __init__(
        self, most: int, most_of_peer: int, is_proxy: Callable[[str], bool], on_refused: Callable[[str], None]
    ) -> None:
        self._most, self._most_of_peer = most, most_of_peer
        self._is_proxy, self._on_refused = is_proxy, on_refused
        self._peers: dict[object, str] = {}
        self._by_peer: defaultdict[str, int] = defaultdict(int)
        self._refused: set[object] = set()

    def __len__(self) -> int:
        return len(self._peers)

    def admit(self, connection: object, host: str) -> bool:
        """Count a new connection from this address; return False, and count it among the refused, if it is one too many."""
        if len(self._peers) >= self._most:
            return self._refuse(connection, "all")
        peer = "" if not self._most_of_peer or self._is_proxy(host) else network_of(host)
        if peer and self._by_peer[peer] >= self._most_of_peer:
            return self._refuse(connection, "address")
        self._peers[connection] = peer
        self._by_peer[peer] += 1
        return True

    def may_answer(self) -> bool:
        """Whether the connection that was refused last may stay open until its client has read why."""
        return len(self._refused) <= MOST_ANSWERED

    def remove(self, connection: object) -> None:
        """Count it no more: it is closed."""
        self._refused.discard(connection)
        if (peer := self._peers.pop(connection, None)) is None:
            return
        self._by_peer[peer] -= 1
        if not self._by_peer[peer]:
            del self._by_peer[peer]

    def _refuse(self, connection: object, why: str) -> bool:
        self._refused.add(connection)
        self._on_refused(why)
        return False
