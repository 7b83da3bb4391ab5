"""Show the api under a prefix that a proxy puts before its paths.

The rest of the api knows no prefix in paths: it is removed from them if the proxy has left it, and `Location` gets it here.
Documents get it where they are shown, as only those know which links are theirs: a result may hold others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any
from urllib.parse import quote

from api.http.asgi import AsgiApp, AsgiMessage, Receive, Scope, Send
from sluice.core.runtime.web_settings import Network, read_networks, read_prefix

PREFIX = "sluice.prefix"
"""Key of the scope."""
TRUSTED = "sluice.trusted"
"""Key of the scope: tells whether an address is that of a trusted proxy."""
MOST_HOPS = 16


class PrefixMiddleware:
    """Wraps the whole api. `root_path` is the usual prefix; proxies in the networks `trusted` may send another."""

    def __init__(self, app: AsgiApp, root_path: str, trusted: tuple[Network, ...]) -> None:
        self._app, self._root_path = app, root_path
        self._is_trusted = lru_cache(1_024)(lambda host: is_within(host, trusted))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[TRUSTED] = self._is_trusted
        prefix = self._find(scope) if scope["type"] == "http" else ""
        if not prefix:
            await self._app(scope, receive, send)
            return

        def locate(message: AsgiMessage) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    (name, prefix.encode() + value if name == b"location" else value)
                    for name, value in message["headers"]
                ]
            return send(message)

        await self._app(dict(scope, **_remove(prefix, scope), **{PREFIX: prefix}), receive, locate)

    def _find(self, scope: Scope) -> str:
        """Find the prefix of a request; the root path if it came with none, or with one that does not count."""
        sent = [value for name, value in scope["headers"] if name == b"x-forwarded-prefix"]
        if len(sent) != 1 or not self._is_trusted((scope.get("client") or ("",))[0]):
            return self._root_path
        return read_prefix(sent[0].decode("latin-1")) or self._root_path


def behind_proxies(app: AsgiApp, root_path: str, trusted_proxies: tuple[str, ...]) -> AsgiApp:
    """Wrap the whole api so that it can be shown under a prefix, if the settings say so."""
    if root_path or trusted_proxies:
        return PrefixMiddleware(app, root_path, read_networks(trusted_proxies))
    return app


def prefix_of(scope: Any) -> str:
    """Return the prefix under which the client of this request sees the api; mostly there is none."""
    prefix: str = scope.get(PREFIX, "")
    return prefix


def peer_of(scope: Any) -> str:
    """Return the address of the client: that of the connection, or what trusted proxies say in `X-Forwarded-For`.

    The last entries are theirs, and whatever is before the first that is not may be made up.
    """
    host: str = (scope.get("client") or ("",))[0]
    is_trusted: Callable[[str], bool] | None = scope.get(TRUSTED)
    if is_trusted is None or not is_trusted(host):
        return host
    sent = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
    for hop in reversed(sent.decode("latin-1").split(",")[-MOST_HOPS:]):
        hop = hop.strip()
        if not _is_address(hop):
            break
        host = hop
        if not is_trusted(hop):
            break
    return host


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _remove(prefix: str, scope: Scope) -> Scope:
    """Remove the prefix from the path if the proxy has not."""
    path: str = scope["path"]
    if path != prefix and not path.startswith(prefix + "/"):
        return {}
    left = path.removeprefix(prefix) or "/"
    return {"path": left, "raw_path": quote(left).encode()}


def is_within(host: str, networks: tuple[Network, ...]) -> bool:
    """Tell whether an address is in one of these networks; an IPv4 address may be mapped to IPv6."""
    try:
        address = ip_address(host)
    except ValueError:  # a socket without addresses
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in networks)
