"""Where webhooks may go: which URLs, and which addresses behind their names. Nothing here asks anybody."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from sluice.errors import SluiceError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST_URL = 2_048
PORTS = (443, 8443)
"""Ports that are reached anywhere; others only in networks that are allowed."""

# One strict form, read in one place: where two programs read a URL differently, one checks another host than the other reaches.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::(?P<port>[1-9]\d{0,4}))?(?P<target>/[!-\"$-\[\]-~]*)?",
    re.ASCII,
)
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.ASCII)
_NUMERIC = re.compile(r"\d+|0x[0-9a-f]*", re.ASCII)

# What the library calls global although it is not for strangers, or leads to an address in another form.
_FORBIDDEN = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
            "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2002::/16", "5f00::/16", "fc00::/7",
            "fe80::/10", "fec0::/10", "ff00::/8",
        ),
    )
)  # fmt: skip


class Refused(SluiceError):
    """A webhook may not go there. The text says why, and what to do."""


class Target(NamedTuple):
    """A URL that was read: `host` without brackets, `path` with the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> str:
        """What the header Host says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"


def read_url(url: str) -> Target:
    """Read a URL in the one form that is taken. Raises Refused."""
    found = _URL.fullmatch(url) if len(url) <= LONGEST_URL else None
    if found is None:
        raise Refused(
            f"A webhook is https://host/path: at most {LONGEST_URL} printable ASCII characters, scheme and host in small letters, with no user and no #."
        )
    scheme, host, port, path = found["scheme"], found["host"], found["port"], found["target"] or "/"
    number = int(port) if port else 443 if scheme == "https" else 80
    if number > 65_535:
        raise Refused("There is no such port.")
    return Target(scheme, _read_host(host), number, path)


def _read_host(host: str) -> str:
    """Return the host: a name, or an address in its usual form."""
    if host.startswith("["):
        return str(_read_address(host[1:-1]))
    labels = host.split(".")
    if _NUMERIC.fullmatch(labels[-1]):
        return str(_read_address(host))
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise Refused("The host is no name of the DNS; names in other scripts are written as xn--….")
    return host


def _read_address(text: str) -> Address:
    try:
        address = ip_address(text)
    except ValueError:
        raise Refused("The host is neither a name nor an address in its usual form.") from None
    if str(address) != text:
        raise Refused("The host is an address, but not in its usual form.")
    return address


def check_addresses(target: Target, addresses: Sequence[str], allowed: Collection[Network]) -> None:
    """Raise Refused unless all of these addresses of its host may be reached, in networks that are `allowed` or anywhere."""
    if not addresses:
        raise Refused("The host has no address.")
    for text in addresses:
        _check_address(target, ip_address(text), allowed)


def _check_address(target: Target, address: Address, allowed: Collection[Network]) -> None:
    if any(address in network for network in allowed):
        return
    if target.scheme != "https":
        raise Refused(
            "Webhooks go over https; the operator may allow http to networks in SLUICE_WEBHOOK_ALLOW."
        )
    if target.port not in PORTS:
        raise Refused(
            f"Webhooks go to the ports {' and '.join(map(str, PORTS))}; the operator may allow others in SLUICE_WEBHOOK_ALLOW."
        )
    if not address.is_global or any(address in network for network in _FORBIDDEN):
        raise Refused(
            "The host has an address that is not public; the operator may allow its network in SLUICE_WEBHOOK_ALLOW."
        )
    if _is_address(target.host):
        raise Refused("Webhooks go to names, not to addresses.")


def _is_address(host: str) -> bool:
    return ":" in host or bool(_NUMERIC.fullmatch(host.rpartition(".")[2]))
