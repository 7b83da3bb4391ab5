"""The way from processes to one of their servers."""

from __future__ import annotations

from sluice.core.addresses import host_of, split_hosts
from tests.support.proxy import HOST, Behaviour, Proxies


class Edge:
    """A proxy for each host in the address of a server; `url` is the address that leads through them."""

    def __init__(self, proxies: Proxies, url: str) -> None:
        hosts = [host_of(each) for each in split_hosts(url)]
        self._proxies = [proxies.add(int(host.rpartition(":")[2])) for host in hosts]
        self.url = url.replace(",".join(hosts), ",".join(f"{HOST}:{each.port}" for each in self._proxies))

    @property
    def connections(self) -> int:
        """Return how many connections it carries now."""
        return sum(each.connections for each in self._proxies)

    def behave(self, behaviour: Behaviour) -> None:
        """Behave like this from now on; return once it does."""
        for each in self._proxies:
            each.behave(behaviour)

    def reset(self) -> None:
        """Reset every connection, on both sides."""
        for each in self._proxies:
            each.reset()
