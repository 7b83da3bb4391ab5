"""Count requests without a valid key by the address that they come from, so that nobody tries keys at will.

Counted in process, in bounded memory: each process of the api gives an address the whole quota.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from math import ceil

from sluice.core.rate_limit import SECOND_US, Quota, take
from sluice.core.runtime.bounded_dict import BoundedDict
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.errors import SluiceError

MOST_PEERS = 10_000


class TooManyFailures(SluiceError):
    """Too many requests without a valid key came from this address; wait, and send a valid key."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s


class FailedAuth:
    """The failures of each address. Without a quota nothing is counted."""

    def __init__(
        self, quota: Quota | None, telemetry: Telemetry, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._quota, self._telemetry, self._clock = quota, telemetry, clock
        self._times: BoundedDict[str, int] = BoundedDict(MOST_PEERS)

    def __len__(self) -> int:
        return len(self._times)

    def check(self, peer: str) -> None:
        """Raise TooManyFailures if this address has used up its failures."""
        if self._quota is None:
            return
        tat_us = self._times.get(network_of(peer))
        if tat_us is None:
            return
        _, lease = take(self._quota, tat_us, self._now_us(), 1, 1)
        if not lease.units:
            self._telemetry.emit(Event.PEER_LIMITED)
            raise TooManyFailures(max(1, ceil(lease.wait_us / SECOND_US)))

    def count(self, peer: str) -> None:
        """Count a failure."""
        if self._quota is not None:
            network = network_of(peer)
            tat_us, _ = take(self._quota, self._times.get(network, 0), self._now_us(), 1, 1)
            self._times[network] = tat_us

    def _now_us(self) -> int:
        return round(self._clock() * SECOND_US)


def network_of(peer: str) -> str:
    """Return the address itself; of IPv6 the first 64 bits, as whoever has one address has all of these."""
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:  # a socket without addresses
        return ""
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> 64 << 64))
