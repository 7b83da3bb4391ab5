"""Hosts that cannot be started are tried again, and after several times somebody hears of it."""

from __future__ import annotations

import asyncio
from typing import cast

from consumer.hosts.host import Host
from consumer.hosts.starting import TRIES, start_host
from sluice.errors import StartRefused


class Unstartable:
    """A host that fails so many times."""

    def __init__(self, failures: list[Exception]) -> None:
        self._failures = failures
        self.starts = 0

    def make(self) -> Host:
        return cast(Host, self)

    async def start(self, _: object) -> None:
        self.starts += 1
        if self._failures:
            raise self._failures.pop(0)


def accept(_: object) -> None:
    """Find nothing wrong."""


async def test_a_host_that_starts_at_last_is_returned() -> None:
    refused: list[StartRefused] = []
    host = Unstartable(
        [StartRefused("it is broken"), OSError(11, "Resource temporarily unavailable"), KeyError()]
    )
    assert await start_host(host.make, accept, refused.append, pause_s=0) is host.make()
    assert (host.starts, refused) == (4, [])


async def test_after_several_failures_in_a_row_it_is_said_once_and_tried_again() -> None:
    refused: list[StartRefused] = []
    host = Unstartable([OSError(11, "Resource temporarily unavailable")] * (TRIES + 2))
    await start_host(host.make, accept, refused.append, pause_s=0)
    assert [str(each) for each in refused] == ["[Errno 11] Resource temporarily unavailable"]
    assert host.starts == TRIES + 3


async def test_each_failure_makes_the_pause_longer() -> None:
    host = Unstartable([StartRefused("it is broken")] * 4)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await start_host(host.make, accept, lambda _: None, pause_s=0.01)
    assert loop.time() - began > 0.01 + 0.02 + 0.04 + 0.08
