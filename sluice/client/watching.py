"""Many jobs that are waited for: one poller asks for all of them, whoever waits.

Each poll names up to 1,000 jobs, and the server holds its answer until the first of them changes. A poll that is under way cannot be
told of another job, so there may be several: one is held for long, and beside it others for so short a time that newcomers
never wait long to be asked for. Only one poller at a time is free, that is, gathers jobs for its next poll; so polls are sent
a second apart, however many jobs, threads and tasks there are.
"""

from __future__ import annotations

import copy
import math
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic

from sluice.client.documents import JobDocument, read_job
from sluice.client.errors import ClientError, Invalid
from sluice.client.job import J
from sluice.client.plan import Answer, Pause, Plan, Request
from sluice.client.sending import read, send
from sluice.client.values import encode

if TYPE_CHECKING:
    from sluice.client.core import Core

MOST_JOBS = 1_000
"""Jobs of one poll."""
GATHER_S = 0.05
"""How long the first poll waits for others to join."""
BETWEEN_S = 1.0
"""Seconds from one poll to the next."""
LONG_S, SHORT_S = 50.0, 2.0
"""How long the server holds a poll, and one beside it."""


class Watch(Generic[J]):
    """Jobs that one caller waits for. `ended` has those that have ended or are unknown since it looked last; `error` ends it."""

    def __init__(self, signal: Any) -> None:
        self.signal = signal
        self.ids: set[str] = set()
        self.ended: deque[J] = deque()
        self.unknown: set[J] = set()
        self.error: ClientError | None = None

    def tell(self, job: J) -> None:
        """Say that a job has ended."""
        self.ended.append(job)
        self.signal.set()

    def fail(self, error: ClientError) -> None:
        """Say that nothing more will be heard."""
        self.error = copy.copy(error)
        self.signal.set()


class _Entry(Generic[J]):
    __slots__ = ("id", "parties", "version")

    def __init__(self, id: str, version: int) -> None:
        self.id, self.version = id, version
        self.parties: list[tuple[J, Watch[J]]] = []


class Watching(Generic[J]):
    """The jobs that are waited for in one place."""

    def __init__(self, core: Core[J]) -> None:
        self._core = core
        self.direct: set[object] = set()
        """A token for each wait that asks for its one job by itself."""
        self.polls = 0
        """How many polls were sent."""
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry[J]] = {}
        self._idle: dict[str, _Entry[J]] = {}
        self._flights = 0
        self._is_free = False
        self._next_at = -math.inf

    @property
    def busy(self) -> bool:
        """Whether any job is watched."""
        return bool(self._entries)

    def watch(self, jobs: Iterable[J] = ()) -> Watch[J]:
        """Begin to watch these jobs."""
        watch: Watch[J] = Watch(self._core.signal())
        try:
            self.add(watch, jobs)
        except BaseException:
            self.forget(watch)
            raise
        return watch

    def add(self, watch: Watch[J], jobs: Iterable[J]) -> None:
        """Watch these jobs, too."""
        for job in jobs:
            if job.finished:
                watch.tell(job)
                continue
            watch.ids.add(job.id)
            with self._lock:
                entry = self._entries.get(job.id)
                if entry is None:
                    entry = self._entries[job.id] = self._idle[job.id] = _Entry(job.id, job.version)
                entry.parties.append((job, watch))
        self._start_if_needed()

    def forget(self, watch: Watch[J]) -> None:
        """Watch nothing for this caller any more."""
        with self._lock:
            for id in watch.ids:
                entry = self._entries.get(id)
                if entry is None:
                    continue
                entry.parties = [party for party in entry.parties if party[1] is not watch]
                if not entry.parties:
                    del self._entries[id]
                    self._idle.pop(id, None)

    def close(self, error: ClientError) -> None:
        """Tell everybody that nothing more will be heard."""
        with self._lock:
            parties = [party for entry in self._entries.values() for party in entry.parties]
            self._entries.clear()
            self._idle.clear()
        for _, watch in parties:
            watch.fail(error)

    def _start_if_needed(self) -> None:
        with self._lock:
            if self._is_free or not self._idle:
                return
            self._is_free = True
        try:
            self._core.start(self._poll())
        except BaseException:
            self._is_free = False  # the next who waits may find a thread
            raise

    def _poll(self) -> Plan[None]:
        """Gather and poll, for as long as there are jobs that no other poll asks for."""
        free = True
        batch: dict[str, _Entry[J]] = {}
        try:
            while True:
                yield Pause(max(GATHER_S, self._next_at - self._core.clock()))
                batch, wait_s = self._take()
                free = False
                if not batch:
                    return
                asked_at = self._core.clock()
                answer = yield from self._send(batch, wait_s)
                if answer is not None:
                    self._settle(batch, answer, asked_at + wait_s)
                batch = self._land(batch)
                if not self._claim_turn():
                    return
                free = True
        finally:
            if batch:
                self._land(batch)
            if free:
                self._is_free = False

    def _take(self) -> tuple[dict[str, _Entry[J]], float]:
        with self._lock:
            batch = dict(islice(self._idle.items(), MOST_JOBS))
            for id in batch:
                del self._idle[id]
            self._is_free = False
            if not batch:
                return {}, 0
            wait_s = SHORT_S if self._flights else LONG_S
            self._flights += 1
            self.polls += 1
            self._next_at = self._core.clock() + BETWEEN_S
        with suppress(RuntimeError):  # without a thread for another, this poller comes back for the rest
            self._start_if_needed()
        return batch, wait_s

    def _send(self, batch: dict[str, _Entry[J]], wait_s: float) -> Plan[Answer | None]:
        known = {entry.id: entry.version for entry in batch.values()}
        headers = {"Content-Type": "application/json", "Prefer": f"wait={wait_s:g}"}
        try:
            return (
                yield from send(
                    self._core, Request("POST", "/v1/jobs/poll", headers, encode({"jobs": known}), wait_s)
                )
            )
        except ClientError as error:
            if not self._end_refused(batch, error):
                self._drop(batch, error)
            return None

    def _end_refused(self, batch: dict[str, _Entry[J]], error: ClientError) -> bool:
        """End the waits for those ids that the server takes for none, and tell whether there are any: the others are asked for again."""
        flaws = error.flaws if isinstance(error, Invalid) else ()
        named = {flaw.pointer.removeprefix("/jobs/").replace("~1", "/").replace("~0", "~") for flaw in flaws}
        refused = batch.keys() & named
        for id in refused:
            self._end(id)
            self._next_at = self._core.clock()
        return bool(refused)

    def _drop(self, batch: dict[str, _Entry[J]], error: ClientError) -> None:
        with self._lock:
            parties = [
                party for id in batch if (entry := self._entries.pop(id, None)) for party in entry.parties
            ]
        for watch in {id(watch): watch for _, watch in parties}.values():
            watch.fail(error)

    def _settle(self, batch: dict[str, _Entry[J]], answer: Answer, until: float) -> None:
        try:
            documents, unknown, more = read(_read_poll, answer)
        except ClientError as error:
            return self._drop(batch, error)
        now = self._core.clock()
        if more and (documents or unknown):
            self._next_at = now
        elif not documents and not unknown and now < until - 1:
            self._next_at = max(self._next_at, now + self._core.advised_s(answer))
        for document in documents:
            self._hear(document)
        for id in unknown:
            self._end(id)
        return None

    def _hear(self, document: JobDocument) -> None:
        entry = self._entries.get(document.id)
        if entry is None:
            return
        if document.result is not None:
            self._core.sees_results = True
        entry.version = document.version
        with self._lock:
            parties = list(entry.parties)
        for job, _ in parties:
            job.see(document, whole=self._core.sees_results)
        if document.finished:
            self._end(document.id, known=True)

    def _end(self, id: str, known: bool = False) -> None:
        with self._lock:
            entry = self._entries.pop(id, None)
        for job, watch in entry.parties if entry else ():
            if not known:
                watch.unknown.add(job)
            watch.tell(job)

    def _land(self, batch: dict[str, _Entry[J]]) -> dict[str, _Entry[J]]:
        """Let other pollers ask for what is left of these jobs."""
        with self._lock:
            self._flights -= 1
            self._idle |= {id: entry for id, entry in batch.items() if self._entries.get(id) is entry}
        return {}

    def _claim_turn(self) -> bool:
        with self._lock:
            if self._is_free or not self._idle:
                return False
            self._is_free = True
            return True


def _read_poll(value: Any) -> tuple[list[JobDocument], list[str], bool]:
    return (
        [read_job(each) for each in value["jobs"]],
        [str(each) for each in value["unknown"]],
        bool(value.get("more")),
    )
