"""Send a webhook: one request on one connection, to an address that was checked a moment before."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import httpcore2

from sluice.adapters.webhooks.resolving import find_addresses
from sluice.core.webhook import CHALLENGE_RESPONSE, Answer
from sluice.core.webhook_url import Network, Refused, Target, read_url

TIMEOUT_S = 15.0
CONNECT_S = 5.0
"""Seconds for one address, so that there is time for another."""
READ_S = 2.0
"""Seconds for the beginning of an answer's body, once its status has come: that alone says whether it was taken."""
KEPT = 1_024
"""Bytes of an answer that are kept; no more is read."""
MOST_READ = 64 * 1024
"""Bytes of an answer, its headers and all, that are read: interim answers (1xx) may be endless, and each costs time to parse."""
LONGEST_RETRY_AFTER_S = 86_400
LONGEST_HEADER = 256
"""Bytes of a header of an answer that are kept."""


class CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to the addresses it was made for, whatever host is asked for: nobody else resolves a name."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first that can be reached."""
        failed: Exception = httpcore2.ConnectError(host)
        for address in self._addresses:
            try:
                return _BoundedStream(
                    await self._inner.connect_tcp(address, port, CONNECT_S, local_address, socket_options)
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed


class AnswerTooLong(httpcore2.ReadError):
    """More than MOST_READ bytes have come without what is looked for."""


class _BoundedStream(httpcore2.AsyncNetworkStream):
    """A connection of which no more than MOST_READ bytes are read."""

    def __init__(self, inner: httpcore2.AsyncNetworkStream) -> None:
        self._inner, self._left = inner, MOST_READ

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if not self._left:
            raise AnswerTooLong
        read = await self._inner.read(min(max_bytes, self._left), timeout)
        self._left -= len(read)
        return read

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        return _BoundedStream(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class WebhookSender:
    """Implements sluice.core.ports.WebhookSender. `allowed` are networks that may be reached besides public addresses."""

    def __init__(self, allowed: Collection[Network], release: str, timeout_s: float = TIMEOUT_S) -> None:
        self._allowed, self._timeout_s = allowed, timeout_s
        self._agent = f"sluice/{release}"

    async def check(self, url: str) -> None:
        """Raise Refused unless a webhook may go there now."""
        await find_addresses(read_url(url), self._allowed)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post it once. Whatever comes of it is an answer."""
        try:
            async with asyncio.timeout(self._timeout_s) as limit:
                target = read_url(url)
                addresses = await find_addresses(target, self._allowed)
                return await self._send(target, addresses, headers, body, limit)
        except Refused as error:
            return Answer(None, f"not sent: {error}")
        except TimeoutError:
            return Answer(None, f"no answer within {self._timeout_s:g} s")
        except (httpcore2.ConnectError, ssl.SSLError) as error:
            return Answer(None, f"no connection: {str(error)[:200]}")
        except (
            httpcore2.NetworkError,
            httpcore2.ProtocolError,
            httpcore2.TimeoutException,
            OSError,
        ) as error:
            return Answer(None, f"no answer: {type(error).__name__}")

    async def _send(
        self,
        target: Target,
        addresses: Sequence[str],
        headers: Mapping[str, str],
        body: bytes,
        limit: asyncio.Timeout,
    ) -> Answer:
        own = {
            "host": target.origin,
            "user-agent": self._agent,
            "content-type": "application/json",
            "content-length": str(len(body)),
            "connection": "close",
        }
        sent: list[tuple[bytes | str, bytes | str]] = [*own.items(), *headers.items()]
        url = httpcore2.URL(
            scheme=target.scheme.encode(),
            host=target.host.encode(),
            port=target.port,
            target=target.path.encode(),
        )
        async with (
            httpcore2.AsyncConnectionPool(
                _tls(), max_keepalive_connections=0, network_backend=CheckedBackend(addresses)
            ) as pool,
            pool.stream("POST", url, headers=sent, content=body) as response,
        ):
            limit.reschedule(None)  # it has answered in time; what is left to do has a bound of its own
            return Answer(
                response.status,
                f"answered {response.status}",
                await _read_beginning(response),
                _read_retry_after(response.headers),
                _read_header(response.headers, CHALLENGE_RESPONSE),
            )


@cache
def _tls() -> ssl.SSLContext:
    """Make it once: loading certificates takes a while."""
    return ssl.create_default_context()


async def _read_beginning(response: httpcore2.Response) -> bytes:
    """Read as much as is kept. What cannot be read is no matter: the status has come."""
    read = bytearray()
    with suppress(TimeoutError, httpcore2.NetworkError, httpcore2.ProtocolError):
        async with asyncio.timeout(READ_S):
            async for part in response.aiter_stream():
                read += part[:KEPT]
                if len(read) >= KEPT:
                    break
    return bytes(read[:KEPT])


def _read_retry_after(headers: Sequence[tuple[bytes, bytes]]) -> float:
    """Read a Retry-After in seconds; another, and a date, is as good as none."""
    value = _read_header(headers, "retry-after")
    return float(min(int(value), LONGEST_RETRY_AFTER_S)) if value.isdigit() and len(value) <= 9 else 0.0


def _read_header(headers: Sequence[tuple[bytes, bytes]], wanted: str) -> bytes:
    """Return how a header begins, the first of its name; empty: there is none."""
    return next((value for name, value in headers if name.lower() == wanted.encode()), b"")[:LONGEST_HEADER]
