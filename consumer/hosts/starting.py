"""Start a host, however often that takes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from consumer.hosts.host import Host
from sluice.core.catalogue import KindInfo
from sluice.errors import StartRefused

LOG = logging.getLogger("sluice.hosts")
TRIES = 5
"""Failures in a row after which the consumer gives its jobs back and ends: others may be able to run them."""

PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0


async def start_host(
    make: Callable[[], Host],
    check: Callable[[list[KindInfo]], None],
    on_refused: Callable[[StartRefused], None],
    pause_s: float = PAUSE_S,
) -> Host:
    """Start a host whose kinds pass the check; `on_refused` is called when that has failed several times, and it goes on trying."""
    tries = 0
    while True:
        host = make()
        try:
            await host.start(check)
        except Exception as error:  # noqa: BLE001  whatever it is, jobs wait for a host
            tries += 1
            LOG.error("a host did not start (%d times in a row): %s", tries, error)
            if tries == TRIES:
                on_refused(StartRefused(str(error)))
            await asyncio.sleep(min(pause_s * 2 ** (tries - 1), LONGEST_PAUSE_S))
        else:
            return host
