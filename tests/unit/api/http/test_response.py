"""Sending answers."""

from __future__ import annotations

import asyncio

import pytest

from api.http import response
from api.http.asgi import AsgiMessage
from api.http.response import Reply, send_last


async def test_the_last_answer_of_a_connection_waits_for_what_is_still_sent() -> None:
    sent: list[AsgiMessage] = []
    rest = iter([{"type": "http.request", "more_body": True}] * 3 + [{"type": "http.disconnect"}])

    async def receive() -> AsgiMessage:
        return next(rest)

    async def send(message: AsgiMessage) -> None:
        sent.append(message)

    await send_last(Reply(413, [], b"no"), receive, send)
    assert [message.get("body") for message in sent] == [None, b"no", b""]
    assert next(rest, None) is None


async def test_the_last_answer_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response, "LINGER_S", 0.01)
    sent: list[AsgiMessage] = []

    async def receive() -> AsgiMessage:
        never: AsgiMessage = await asyncio.get_running_loop().create_future()
        return never

    async def send(message: AsgiMessage) -> None:
        sent.append(message)

    await send_last(Reply(413, [], b"no"), receive, send)
    assert len(sent) == 3
