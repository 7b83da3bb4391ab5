"""Addresses that name several hosts: `scheme://user:password@a:1,b:2/path`."""

from __future__ import annotations

from urllib.parse import urlsplit


def split_hosts(url: str) -> list[str]:
    """Return an address for each host, the same but for that; an address with one host as it is."""
    parts = urlsplit(url)
    account, at, hosts = parts.netloc.rpartition("@")
    if "," not in hosts:
        return [url]
    return [parts._replace(netloc=account + at + host).geturl() for host in hosts.split(",")]


def host_of(url: str) -> str:
    """Return host and port as they are written, without user and password."""
    return urlsplit(url).netloc.rpartition("@")[2]
