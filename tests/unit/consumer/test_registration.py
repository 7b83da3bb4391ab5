"""A consumer's row is written and renewed, whatever the record does meanwhile."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence

import pytest

from consumer.registration import keep_registered
from sluice.core.errors import ServerAway
from tests.support.waiting import until


async def test_a_consumer_registers_again_and_again_also_after_the_record_was_away() -> None:
    asked: list[tuple[str, int, Sequence[str]]] = []

    async def upsert(host: str, pid: int, lanes: Sequence[str]) -> None:
        asked.append((host, pid, lanes))
        if len(asked) == 1:
            raise ServerAway("postgresql")

    registering = asyncio.create_task(keep_registered(upsert, ["default"], 0.001))
    await until(lambda: len(asked) >= 3)
    registering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await registering
    assert set(map(str, asked)) == {str((socket.gethostname(), os.getpid(), ["default"]))}
