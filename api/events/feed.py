"""Tell streams what happens: one task of the process reads each job that changed once, whoever listens to it.

Wake-ups say which jobs have changed; jobs that nobody listens to cost nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

from api.events.event import Event, show_change, show_line, show_reset
from api.events.job_logs import JobLogs, Line, Place, is_cut, lines_behind
from api.events.stream import JobStream, Stream, TenantStream
from sluice.core.errors import TRANSIENT
from sluice.core.job import Job, JobState
from sluice.core.job_log import LogBlock
from sluice.core.ports import JobStore, LiveLines, Wake
from sluice.core.runtime.bounded_dict import BoundedDict
from sluice.core.runtime.tasks import TaskSet

OnLines = Callable[[Sequence[LiveLines]], None]

BEAT_S = 15.0
"""Seconds of silence, which proxies end sooner or later."""
LISTEN_S = 30.0
"""Seconds for which lines are listened to, though the last stream may have ended meanwhile."""
REST_S = 0.05
"""Seconds between two reads: what changes meanwhile is read together."""
AGAIN_S = 0.5
"""Seconds until the next try while the record is away."""
READ_AT_ONCE = 500
MOST_CHANGED = 20_000
"""Changed jobs that wait to be read. Streams of tenants miss what is beyond, and are told so."""
LINES_MISSED = "Lines were missed: read the log of the job."


class Watched:
    """A job with streams, and what they were told last: its version, its lines up to `place`.

    All that was logged in attempts up to `filled` was told. `behind`: lines were missed, and are to be read.
    """

    __slots__ = ("behind", "filled", "place", "streams", "version")

    def __init__(self) -> None:
        self.streams: set[JobStream] = set()
        self.version = self.filled = 0
        self.place: Place | None = None
        self.behind = True

    def tell(self, event: Event) -> None:
        """Send an event to every stream of this job."""
        for stream in self.streams:
            stream.push(event)

    def tell_lines(self, job_id: str, place: Place, blocks: Sequence[LogBlock]) -> None:
        """Send what was logged behind a place."""
        if is_cut(place, blocks):
            self.tell(show_reset(LINES_MISSED))
        for line in lines_behind(place, blocks):
            self.place = line.place
            self.tell(show_line(job_id, line))

    def follows(self, lines: LiveLines) -> bool:
        """Tell whether nothing is missing between what was told and these lines."""
        if self.behind or self.place is None:
            return False
        fence, first, _ = lines.new
        if fence == self.place.fence:
            return first <= self.place.number + 1
        return first == 1 and self.place.fence <= self.filled == fence - 1


class Feed:
    """All streams of this process, at most so many. `ask_again_s` is how soon to read though nothing was told.

    A stream that is silent for `beat_s` gives a sign of life, and has its key checked.
    """

    def __init__(
        self,
        store: JobStore,
        logs: JobLogs,
        limit: int,
        ask_again_s: Callable[[], float],
        beat_s: float = BEAT_S,
    ) -> None:
        self._store, self._logs, self._limit, self._ask_again_s = store, logs, limit, ask_again_s
        self.beat_s = beat_s
        self._jobs: dict[str, Watched] = {}
        self._tenants: dict[str, set[TenantStream]] = {}
        self._streams: set[Stream] = set()
        self._changed: dict[str, bool] = {}
        """Jobs to read, and whether they are known to have changed: else only their own streams are told."""
        self._told: BoundedDict[str, int] = BoundedDict(MOST_CHANGED)
        """The newest version of each job that streams of tenants were told of."""
        self._asked = asyncio.Event()
        self.wanted = asyncio.Event()
        """Set while there are streams."""
        self.stopping = False

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def is_full(self) -> bool:
        """Whether a stream has to end as soon as it has begun."""
        return self.stopping or len(self._streams) >= self._limit

    @contextmanager
    def watch(self, stream: JobStream | TenantStream) -> Iterator[None]:
        """Send events to a stream while the block runs."""
        if isinstance(stream, JobStream):
            self._jobs.setdefault(stream.job_id, Watched()).streams.add(stream)
        else:
            self._tenants.setdefault(stream.tenant, set()).add(stream)
        self._streams.add(stream)
        self.wanted.set()
        try:
            yield
        finally:
            self._streams.discard(stream)
            self._leave(stream)
            if not self._streams:
                self.wanted.clear()
                self._changed.clear()
                self._told.clear()

    def _leave(self, stream: JobStream | TenantStream) -> None:
        if isinstance(stream, JobStream):
            watched = self._jobs[stream.job_id]
            watched.streams.discard(stream)
            if not watched.streams:
                del self._jobs[stream.job_id]
        else:
            self._tenants[stream.tenant].discard(stream)
            if not self._tenants[stream.tenant]:
                del self._tenants[stream.tenant]

    def begin(self, stream: JobStream, newest: Place) -> None:
        """Go on from where this stream was told how things stand, if it is the first of its job.

        It may say that it was told of lines that there are not; for others nothing counts that is behind the `newest` that was seen.
        """
        watched = self._jobs[stream.job_id]
        if watched.place is None:
            watched.place, watched.version = min(stream.place, newest), stream.version
            self._ask([stream.job_id])  # what was told in between was told to nobody

    def wake(self, wakes: Mapping[str, Wake]) -> None:
        """Read these jobs again; an empty mapping says that some wake-ups may have been missed."""
        if not self._streams:
            return
        if not wakes:
            self._ask_all()
            self._reset_tenants()
        elif self._tenants:
            self._ask(wakes, woken=True)
        else:
            self._ask(wakes.keys() & self._jobs.keys(), woken=True)

    def hear(self, lines: Sequence[LiveLines]) -> None:
        """Tell lines that were logged; an empty list says that some may have been missed."""
        if not lines:
            for watched in self._jobs.values():
                watched.behind = True
            self._ask_all()
        for each in lines:
            self._hear(each)

    def release(self) -> None:
        """End every stream: the process is stopping."""
        self.stopping = True
        for stream in self._streams:
            stream.end()

    async def follow(self) -> None:
        """Read what has changed and tell it, for ever."""
        while True:
            await self.wanted.wait()
            try:
                async with asyncio.timeout(self._ask_again_s()):
                    await self._asked.wait()
            except TimeoutError:
                self._ask_all()
            self._asked.clear()
            await asyncio.sleep(REST_S if await self._read() else AGAIN_S)

    async def follow_lines(self, listen: Callable[[OnLines], Coroutine[Any, Any, None]]) -> None:
        """Listen to what is logged while there are streams, for ever."""
        while True:
            await self.wanted.wait()
            listening: TaskSet[None] = TaskSet()
            listening.keep(partial(listen, self.hear), "lines-of-jobs")
            try:
                while self._streams:  # noqa: ASYNC110  for a while after the last: another may come
                    await asyncio.sleep(LISTEN_S)
            finally:
                await listening.cancel()

    async def _read(self) -> bool:
        """Read some of what has changed; false if the record is away."""
        asked = dict(islice(self._changed.items(), READ_AT_ONCE))
        for job_id in asked:
            del self._changed[job_id]
        try:
            jobs = await self._store.look_at(list(asked)) if asked else {}
            for job_id, woken in asked.items():
                await self._tell(job_id, jobs.get(job_id), woken)
        except TRANSIENT:
            for job_id, woken in asked.items():
                self._ask([job_id], woken)
            return False
        if self._changed:
            self._asked.set()
        return True

    async def _tell(self, job_id: str, job: Job | None, woken: bool) -> None:
        watched = self._jobs.get(job_id)
        if job is None:
            for stream in watched.streams if watched else ():
                stream.end()  # it is gone, and whoever comes again hears so
            return
        change = show_change(job)
        if (
            watched is not None and watched.place is not None
        ):  # else its first stream is still told how things stand
            await self._fill(job, watched)
            if change.last or job.version != watched.version:
                watched.version = job.version
                watched.tell(change)
        if woken and job.tenant in self._tenants and self._told.get(job_id) != job.version:
            self._told[job_id] = job.version
            for each in self._tenants[job.tenant]:
                each.push(change)

    async def _fill(self, job: Job, watched: Watched) -> None:
        """Tell lines that were missed, and those that only the record has, as their attempt has ended.

        Lines that Redis does not tell now are told when the job is read again.
        """
        ended = job.fence if job.state != JobState.RUNNING else job.fence - 1
        while watched.place is not None and (watched.behind or ended > watched.filled):
            place, watched.behind = watched.place, False
            try:
                kept = await self._logs.read(
                    job.id, place, job.finished_at is not None, ended=ended > watched.filled
                )
            except BaseException:
                watched.behind = True
                raise
            if watched.place == place:  # else more was told meanwhile
                watched.filled = ended
                watched.tell_lines(job.id, place, kept.blocks)
            if not kept.whole:
                watched.behind = True
                return

    def _hear(self, lines: LiveLines) -> None:
        watched = self._jobs.get(lines.job_id)
        if watched is not None and not watched.follows(lines):
            watched.behind = True
            self._ask([lines.job_id])
            watched = None
        tenants = self._tenants.get(lines.tenant, ())
        if watched is None and not tenants:
            return
        for number, text in lines.new.numbered():
            line = Line(Place(lines.new.fence, number), text)
            event = show_line(lines.job_id, line)
            for each in tenants:
                each.push(event)
            if watched is not None and watched.place is not None and line.place > watched.place:
                watched.place = line.place
                watched.tell(event)

    def _ask(self, ids: Iterable[str], woken: bool = False) -> None:
        for job_id in ids:
            self._changed[job_id] = woken or self._changed.get(job_id, False)
        if len(self._changed) > MOST_CHANGED:
            self._changed = {each: woken for each, woken in self._changed.items() if each in self._jobs}
            self._reset_tenants()
        self._asked.set()

    def _ask_all(self) -> None:
        self._ask(self._jobs)

    def _reset_tenants(self) -> None:
        for streams in self._tenants.values():
            for stream in streams:
                stream.catch_up()
