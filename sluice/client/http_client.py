"""How both drivers use httpx2."""

from __future__ import annotations

from collections.abc import Callable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar

import httpx2

from sluice.client.config import Config, Misconfigured
from sluice.client.errors import ClientError

C = TypeVar("C")

MOST_BYTES = 64 * 1024 * 1024
"""Bytes of an answer that are read. The server sends no more than 8 MiB of documents, and one."""
TOO_LARGE = f"The answer has more than {MOST_BYTES} bytes."
CONNECT_S = 5.0
MOST_CONNECTIONS = 100


def options(config: Config, streams: bool) -> dict[str, Any]:
    """Return what a client is made with. Streams, which are open for long, have connections of their own, so that requests find one."""
    limits = httpx2.Limits(
        max_connections=None if streams else MOST_CONNECTIONS, max_keepalive_connections=20
    )
    # loading certificates takes 30 ms, and nothing redirects from http to https: redirects are not followed
    verify = config.url.startswith("https:")
    # a balancer's cookie would keep all of a client's requests with one api; without Set-Cookie there is nothing to send back
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    return {"limits": limits, "verify": verify, "follow_redirects": False, "cookies": no_cookies}


def opened(make: Callable[..., C], config: Config, streams: bool) -> C:
    """Make a client, with the proxies and certificates that the environment names. Raises Misconfigured."""
    try:
        return make(**options(config, streams))
    except (ImportError, OSError, ValueError, httpx2.InvalidURL) as error:
        raise Misconfigured(
            f"The environment names a proxy or certificates that are of no use (ALL_PROXY, SSL_CERT_FILE, …): {error}"
        ) from error


def timeouts(timeout_s: float) -> httpx2.Timeout:
    """Return the bounds of one request that may take so many seconds."""
    return httpx2.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s))


def headers_of(response: httpx2.Response) -> dict[str, str]:
    """Return the headers of an answer, their names in small letters."""
    return {name.lower(): value for name, value in response.headers.items()}


def is_sent(error: Exception) -> bool:
    """Tell whether the server may have read a request that ended so."""
    return not isinstance(
        error, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
    )


def told(error: Exception) -> ClientError:
    """Return what those who wait are told if the poller ends with this error."""
    return (
        error
        if isinstance(error, ClientError)
        else ClientError(f"The poller has ended: {type(error).__name__}: {error}")
    )
