"""Keep this consumer's row in the table `consumers`, which shows people and keepers that it is running."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from sluice.core.runtime.tasks import repeat
from sluice.errors import SluiceError


async def keep_registered(
    upsert: Callable[[str, int, Sequence[str]], Awaitable[None]], lanes: Sequence[str], every_s: float
) -> None:
    """Write the row (host, process, lanes) and renew it, for ever."""

    async def register() -> None:
        with suppress(SluiceError):
            await upsert(socket.gethostname(), os.getpid(), lanes)

    await repeat(register, every_s)
