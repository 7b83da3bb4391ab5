"""Opening a socket to listen on."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack

import pytest
import uvloop

from sluice.adapters.http_server import accept_more_at_once, listen
from sluice.errors import StartRefused


def answers(host: str, port: int) -> bool:
    """Say whether something listens there."""
    try:
        with socket.create_connection((host, port), 5):
            return True
    except ConnectionRefusedError:
        return False


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("::", (True, True)),
        ("0::0", (True, True)),
        ("0.0.0.0", (True, False)),  # noqa: S104  for the length of this test
        ("127.0.0.1", (True, False)),
        ("localhost", (True, False)),
        ("::1", (False, True)),
    ],
)
def test_all_addresses_are_those_of_ipv4_too(host: str, reached: tuple[bool, bool]) -> None:
    with listen(host, 0) as listener:
        port = listener.getsockname()[1]
        assert (answers("127.0.0.1", port), answers("::1", port)) == reached


@pytest.mark.parametrize(
    ("host", "shown"), [("192.0.2.1", "192.0.2.1:80"), ("2001:db8::1", r"\[2001:db8::1\]:80")]
)
def test_an_address_of_another_machine_is_refused(host: str, shown: str) -> None:
    with pytest.raises(StartRefused, match=f"^cannot listen on {shown}: "):
        listen(host, 80)


def test_connections_that_come_at_once_are_accepted_in_few_turns_of_the_loop() -> None:
    async def accept(listener: socket.socket, clients: int) -> int:
        """Return how many turns of the loop that took."""
        loop, accepted, turns = asyncio.get_running_loop(), list[asyncio.BaseTransport](), 0

        class Accepting(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                accepted.append(transport)

        servers = [await loop.create_server(Accepting, sock=each) for each in accept_more_at_once(listener)]
        with ExitStack() as stack:
            for _ in range(clients):
                client = stack.enter_context(socket.socket())
                client.connect(listener.getsockname())
            while len(accepted) < clients:
                await asyncio.sleep(0)
                turns += 1
        for each in accepted:
            each.close()
        for server in servers:
            server.close()
            await server.wait_closed()
        return turns

    with listen("127.0.0.1", 0, backlog=64) as listener:
        assert uvloop.run(accept(listener, 64)) <= 8
