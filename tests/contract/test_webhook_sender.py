"""The suite of sluice.core.ports.WebhookSender: what it reaches, what it does not, and what it makes of answers. Real servers on this machine."""

from __future__ import annotations

import asyncio
import socket
import sys
from ipaddress import ip_network
from typing import Any

import pytest

from sluice.adapters.webhooks.sender import KEPT, WebhookSender
from sluice.core.ports import WebhookSender as WebhookSenderPort
from sluice.core.webhook_url import Refused
from tests.support.webhook_receiver import OK, answer, webhook_receiver

HERE = [ip_network("127.0.0.0/8")]


def sender(timeout_s: float = 15) -> WebhookSenderPort:
    """One that may reach this machine."""
    return WebhookSender(HERE, "test", timeout_s)


STRANGER: WebhookSenderPort = WebhookSender([], "test")
"""One that may reach what is public alone."""


async def test_what_is_posted_arrives_and_the_answer_is_told() -> None:
    async with webhook_receiver(answer(201, body=b"thanks")) as receiver:
        came = await sender().post(receiver.url, {"webhook-id": "an-id"}, b'{"a":1}')
        assert (came.status, came.outcome, came.body, came.delivered) == (
            201,
            "answered 201",
            b"thanks",
            True,
        )
        (received,) = receiver.received
    assert (received.path, received.body) == ("/hook", b'{"a":1}')
    assert received.headers["webhook-id"] == "an-id"
    assert received.headers["user-agent"] == "sluice/test"


async def test_only_the_beginning_of_an_answer_is_read() -> None:
    endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1000\r\n" + b"a" * 4_096 + b"\r\n"
    for long in (answer(200, body=b"a" * 100_000), endless):
        async with webhook_receiver(long) as receiver:
            came = await sender().post(receiver.url, {}, b"{}")
        assert (came.status, came.body) == (200, b"a" * KEPT)


async def test_whose_status_has_come_has_answered_though_the_rest_does_not_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit_s = 2.0
    monkeypatch.setattr("sluice.adapters.webhooks.sender.READ_S", limit_s * 1.1)

    async def post_to(said: bytes) -> tuple[int | None, str, bytes]:
        async with webhook_receiver(said) as receiver:
            receiver.stays = True
            came = await sender(limit_s).post(receiver.url, {}, b"{}")
        return came.status, came.outcome, came.body

    came = await asyncio.gather(
        post_to(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nbe"),
        post_to(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
        post_to(b"HTTP/1.1 410 Gone\r\n\r\nso"),
    )
    assert list(came) == [
        (200, "answered 200", b"be"),
        (200, "answered 200", b""),
        (410, "answered 410", b"so"),
    ]


async def test_no_redirect_is_followed() -> None:
    async with webhook_receiver() as forbidden:
        for status in (301, 302, 307, 308):
            async with webhook_receiver(answer(status, f"location: {forbidden.url}")) as receiver:
                came = await sender().post(receiver.url, {}, b"{}")
            assert (came.status, came.delivered) == (status, False)
        assert forbidden.connections == 0


async def test_a_wish_to_wait_is_told_and_no_nonsense() -> None:
    for text, wanted in (
        ("120", 120.0),
        ("99999999", 86_400.0),
        ("-1", 0.0),
        ("soon", 0.0),
        ("1" * 5_000, 0.0),
    ):
        async with webhook_receiver(answer(429, f"retry-after: {text}")) as receiver:
            assert (await sender().post(receiver.url, {}, b"{}")).retry_after_s == wanted


async def test_what_a_challenge_is_answered_with_is_told_and_no_more_of_it_than_is_kept() -> None:
    for headers, wanted in (
        ((), b""),
        (("Webhook-Challenge-Response: abc",), b"abc"),
        (("webhook-challenge-response: a", "webhook-challenge-response: b"), b"a"),
        ((f"webhook-challenge-response: {'a' * 5_000}",), b"a" * 256),
    ):
        async with webhook_receiver(answer(204, *headers)) as receiver:
            assert (await sender().post(receiver.url, {}, b"{}")).challenge_response == wanted


async def test_who_is_silent_trickles_breaks_off_or_is_not_there_is_no_answer() -> None:
    for said, outcome in (
        (b"", "no answer within 0.5 s"),
        (b"HTTP/1.1 200 OK\r\nx-slow:", "no answer: RemoteProtocolError"),
        (b"garbage\r\n\r\n", "no answer: RemoteProtocolError"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000, "no answer: AnswerTooLong"),
    ):
        async with webhook_receiver(said) as receiver:
            came = await sender(0.5).post(receiver.url, {}, b"{}")
        assert (came.status, came.outcome) == (None, outcome)
    gone = receiver.url
    assert (await sender().post(gone, {}, b"{}")).outcome.startswith("no connection: ")


async def test_interim_answers_without_end_are_not_read_to_their_end() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    for many, outcome in ((100, "answered 200"), (100_000, "no answer: AnswerTooLong")):
        async with webhook_receiver(interim * many + answer(200)) as receiver:
            came = await sender().post(receiver.url, {}, b"{}")
        assert came.outcome == outcome


async def test_tls_is_verified() -> None:
    async with webhook_receiver() as receiver:
        came = await sender().post(receiver.url.replace("http:", "https:"), {}, b"{}")
    assert came.status is None
    assert came.outcome.startswith("no connection: ")
    assert receiver.received == []


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with webhook_receiver() as proxy, webhook_receiver() as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert (await sender().post(receiver.url, {}, b"{}")).delivered
        assert proxy.connections == 0


async def test_a_forbidden_address_is_refused_at_registration_and_never_connected_to() -> None:
    async with webhook_receiver() as forbidden:
        port = forbidden.port
        for host in (
            "127.0.0.1", "127.1", "0", "0x7f000001", "0177.0.0.1", "2130706433", "[::1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]",
            "localhost", "LOCALHOST.", "good@127.0.0.1", "169.254.169.254", "[fd00:ec2::254]", "metadata.google.internal",
        ):  # fmt: skip
            for url in (f"https://{host}:{port}/", f"http://{host}:{port}/", f"https://{host}/"):
                with pytest.raises(Refused):
                    await STRANGER.check(url)
                came = await STRANGER.post(url, {}, b"{}")
                assert came.status is None
                assert came.outcome.startswith("not sent: ")
        assert forbidden.connections == 0


class Resolver:
    """Answers each question about a name with the next of these lists of addresses, and then with the last."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers, self.asked = list(answers), 0

    def __call__(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]


async def test_a_name_is_resolved_once_a_try_and_all_of_its_addresses_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flipping = Resolver(["127.0.0.1"], ["192.168.0.1"])
    async with webhook_receiver(OK) as receiver:
        url = receiver.url.replace("127.0.0.1", "flips.example")
        monkeypatch.setattr(socket, "getaddrinfo", flipping)
        assert (await sender().post(url, {}, b"{}")).delivered
        assert flipping.asked == 1
        assert receiver.received[0].headers["host"] == f"flips.example:{receiver.port}"
        assert (await sender().post(url, {}, b"{}")).outcome.startswith("not sent: ")
        monkeypatch.setattr(socket, "getaddrinfo", Resolver(["127.0.0.1", "192.168.0.1"]))
        assert (await sender().post(url, {}, b"{}")).outcome.startswith("not sent: ")
        assert receiver.connections == 1


SILENT = """
import asyncio, socket, threading
from sluice.adapters.webhooks.resolving import find_addresses
from sluice.core.webhook_url import read_url

asked = threading.Event()

def getaddrinfo(*_, **__):
    asked.set()
    threading.Event().wait()

async def main():
    asking = asyncio.create_task(find_addresses(read_url("https://silent.example/"), []))
    await asyncio.to_thread(asked.wait)
    asking.cancel()

socket.getaddrinfo = getaddrinfo
asyncio.run(main())
"""


async def test_a_name_server_that_is_silent_does_not_hold_up_the_end_of_a_process() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SILENT)
    try:
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
