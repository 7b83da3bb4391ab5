"""Read what the handler of a job has logged, in order: the record has it of attempts that have ended, Redis of the one that runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from api.jobs.lookup import Lookup
from sluice.core.errors import ServerAway
from sluice.core.job_log import MOST_CLAIMS, LogBlock
from sluice.core.ports import ControlStore, LiveLogs


class Place(NamedTuple):
    """A line: the claim whose attempt it is of, and its number there. Lines are read behind a place."""

    fence: int = 0
    number: int = 0


BEFORE_ALL = Place()


class Line(NamedTuple):
    """One line as JSON, and where it stands."""

    place: Place
    text: bytes


class Kept(NamedTuple):
    """Blocks of lines in order. Not `whole`: Redis did not answer, so those of a running attempt may be missing."""

    blocks: list[LogBlock]
    whole: bool


class LogPage(NamedTuple):
    """Lines in order. `cut` says that some between these, or before them, are not kept; `more` that there are more behind them."""

    lines: list[Line]
    cut: bool
    more: bool


class JobLogs:
    """Finds lines; a job has a MiB of them at most."""

    def __init__(self, store: ControlStore, live_logs: LiveLogs, lookup: Lookup) -> None:
        self._store, self._live_logs, self._lookup = store, live_logs, lookup

    async def page(self, tenant: str, job_id: str, after: Place, size: int) -> LogPage:
        """Read so many lines behind a place. Raises JobUnknown, JobExpired, ServerAway."""
        document = await self._lookup.find(tenant, job_id)
        blocks = (await self.read(job_id, after, document.finished)).blocks
        return _page_of(lines_behind(after, blocks), is_cut(after, blocks), size)

    async def read(
        self, job_id: str, after: Place, finished: bool = False, most: int = MOST_CLAIMS, ended: bool = True
    ) -> Kept:
        """Read the first blocks that may have lines behind a place, in order. Raises ServerAway if the record is away.

        `ended`: attempts whose lines the record has may have ended. Else it is not asked where Redis does not answer.
        """
        # first: what ends meanwhile is in the record then
        live, whole = (None, True) if finished else await self._read_live(job_id)
        if not (whole or ended):
            return Kept([], whole)
        blocks = await self._store.read_logs(job_id, after.fence, most)
        newest = blocks[-1].fence if blocks else 0
        if live is None or len(blocks) == most or live.fence <= max(newest, after.fence - 1):
            return Kept(blocks, whole)
        return Kept([*blocks, live], whole)

    async def _read_live(self, job_id: str) -> tuple[LogBlock | None, bool]:
        """Return the lines of a running attempt, and whether Redis has answered."""
        try:
            return await self._live_logs.read(job_id), True
        except ServerAway:
            return None, False


def _page_of(lines: Iterator[Line], cut: bool, size: int) -> LogPage:
    shown: list[Line] = []
    for line in lines:
        if len(shown) == size:
            return LogPage(shown, cut, True)
        shown.append(line)
    return LogPage(shown, cut, False)


def lines_behind(after: Place, blocks: Iterable[LogBlock]) -> Iterator[Line]:
    """Yield the lines behind a place."""
    for block in blocks:
        for number, text in block.numbered():
            place = Place(block.fence, number)
            if place > after:
                yield Line(place, text)


def is_cut(after: Place, blocks: Sequence[LogBlock]) -> bool:
    """Tell whether a line behind this place is missing."""
    return any(block.first > (after.number if block.fence == after.fence else 0) + 1 for block in blocks)
