"""The types of settings that say who may call the api, from where and how often: origins of pages, prefixes of paths, proxies, rates."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import AfterValidator

from sluice.core.rate_limit import read_quota
from sluice.core.runtime.setting_types import Words

Network = IPv4Network | IPv6Network

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?", re.ASCII)
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+", re.ASCII)
LONGEST_PREFIX = 256


def read_prefix(text: str) -> str | None:
    """Return a prefix of paths without the slash at its end, or None if it is none.

    It may not begin with a path of the api, or nobody could tell whether a proxy has removed it.
    """
    prefix = text.removesuffix("/")
    if len(prefix) > LONGEST_PREFIX or not _PREFIX.fullmatch(prefix):
        return None
    return None if prefix.split("/")[1] in ("v1", "docs", "openapi.json") else prefix


def _check_prefix(text: str) -> str:
    if text in ("", "/"):
        return ""
    prefix = read_prefix(text)
    if prefix is None:
        raise ValueError("a prefix is written as /jobs-api, and is not /v1, /docs or below them")
    return prefix


def _check_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise ValueError(
                f"an origin is written as https://app.example.com, in small letters, or *: not {origin}"
            )
        if (origin.startswith("https:") and origin.endswith(":443")) or (
            origin.startswith("http:") and origin.endswith(":80")
        ):
            raise ValueError(f"browsers leave the port of {origin} out: write {origin.rpartition(':')[0]}")
    return origins


def _check_networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    read_networks(networks)
    return networks


def _check_rate(text: str) -> str:
    read_quota(text)
    return text


def read_networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Read addresses and networks. Raises ValueError."""
    return tuple(ip_network(text) for text in texts)


Origins = Annotated[Words, AfterValidator(_check_origins)]
PathPrefix = Annotated[str, AfterValidator(_check_prefix)]
Rate = Annotated[str, AfterValidator(_check_rate)]
Networks = Annotated[Words, AfterValidator(_check_networks)]
