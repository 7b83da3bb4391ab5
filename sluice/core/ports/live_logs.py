"""What handlers log, as long as they run. Losing all of it makes lines come later: the record has them once the attempt has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from sluice.core.job_log import LogBlock


class LiveLines(NamedTuple):
    """Lines of an attempt that are new, and all that are kept of it (None: it has ended, and they are in the record, or will be)."""

    job_id: str
    tenant: str
    new: LogBlock
    whole: LogBlock | None = None
    keep_s: float = 0.0


class LiveLogs(Protocol):
    """The lines of jobs that run."""

    async def post(self, lines: Sequence[LiveLines]) -> None:
        """Keep the whole of each for so many seconds, and tell everybody what is new. Raises ServerAway."""

    async def read(self, job_id: str) -> LogBlock | None:
        """Read the lines of the newest attempt of a job that runs. Raises ServerAway."""

    async def drop(self, claims: Sequence[tuple[str, int]]) -> None:
        """Keep the lines of these attempts no more (ids and fences), but those of later ones. Raises ServerAway."""

    async def listen(self, on_lines: Callable[[Sequence[LiveLines]], None]) -> None:
        """Call `on_lines` with what is new until cancelled, through every reconnection; an empty list says that some may have been missed."""
