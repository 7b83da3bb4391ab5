"""Submit: build the job → find it by its key → find the same work → insert it.

The 202 leaves after COMMIT and never waits for RabbitMQ.
"""

from __future__ import annotations

from asyncio import Future, Semaphore
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from time import time

from api.jobs.idempotency_key import IdempotencyKey
from api.jobs.input_check import runs_python
from api.jobs.make_job import SubmitRequest, allows_lane, make_job
from api.jobs.named_webhook import NamedWebhooks
from api.jobs.prepared_job import PreparedJob
from api.jobs.result_reuse import ResultReuse, Work
from api.jobs.schemas import SubmitOptions
from api.jobs.submit_result import SubmitResult
from sluice.core.document import Document, render
from sluice.core.errors import IdempotencyKeyReused, JobExpired, Overloaded
from sluice.core.fingerprint import fingerprint
from sluice.core.job import IdempotencyKeyUse, NewJob, as_accepted, made_at
from sluice.core.lanes import Lane
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.ports import JobStore
from sluice.core.registry import Registry
from sluice.core.runtime.batching import OVERHEAD, Batcher, Limits, SplitBatcher
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.core.runtime.tracing import trace_batches
from sluice.handler import AnyHandler

INSERT_TRIES = 3
BULK = 0.5
"""The part of what a submit may wait for its commit that an item of a batch may."""

NO_HURRY = Limits()

ORPHAN_S = 3_600.0
"""A missing job was there once if its key is older than this many seconds; if not, it never arrived."""


Place = Callable[[NewJob, bool], NewJob]
"""Chooses the queue of a new job; the second argument says whether it came with many."""


def as_asked(job: NewJob, bulk: bool) -> NewJob:
    """Leave a new job in the queue that its client chose."""
    return job


class Submission:
    """Takes jobs into the record. `now` returns the time by the record's clock, `keep_s` is the setting, `place` chooses the queue."""

    def __init__(  # noqa: PLR0913  what the flow needs, each used by name
        self,
        registry: Registry[AnyHandler],
        lanes: Mapping[str, Lane],
        keep_s: float,
        store: JobStore,
        reuse: ResultReuse,
        publisher: OutboxPublisher,
        telemetry: Telemetry,
        waiting: Limits = NO_HURRY,
        now: Callable[[], float] = time,
        place: Place = as_asked,
        webhooks: NamedWebhooks | None = None,
    ) -> None:
        self._registry, self._lanes, self._keep_s = registry, lanes, keep_s
        self._store, self._reuse, self._publisher = store, reuse, publisher
        self._telemetry, self._now, self._place = telemetry, now, place
        self._webhooks = webhooks or NamedWebhooks()
        self._inserts: SplitBatcher[NewJob, datetime | None] = SplitBatcher(
            "accept",
            trace_batches(telemetry.tracing, "accept", self._insert_batch, lambda job: job.traceparent),
            waiting,
            _size,
            telemetry.count_batch,
        )
        self._accept_whole = trace_batches(
            telemetry.tracing, "accept", self._insert_together, lambda job: job.traceparent
        )
        self.one_large = Semaphore(1)
        self._keys: Batcher[tuple[str, str], IdempotencyKeyUse | None] = Batcher(
            "keys", self._find_keys, count=telemetry.count_batch
        )

    async def submit(
        self,
        tenant: str,
        request: SubmitRequest,
        traceparent: str | None = None,
        key: IdempotencyKey | None = None,
    ) -> SubmitResult:
        """Find or insert the job that does this work. Raises what `prepare` and `take` raise."""
        return await self.take(self.prepare(tenant, request, traceparent, key))

    def prepare(
        self,
        tenant: str,
        request: SubmitRequest,
        traceparent: str | None = None,
        key: IdempotencyKey | None = None,
        digest: bytes | None = None,
    ) -> PreparedJob:
        """Build the job of a request, which is not needed any more then. Raises KindUnknown, Invalid, TooLarge."""
        job = self._build_job(tenant, request, traceparent, key)
        return PreparedJob(job, request.options.cache == "refresh", digest)

    async def take(self, prepared: PreparedJob, bulk: bool = False) -> SubmitResult:
        """Find or insert the job that does this work. In `bulk` it is one of many, which are refused before single ones.

        Raises IdempotencyKeyReused, JobExpired, Invalid, BacklogFull, WholeBacklogFull, Overloaded, ServerAway,
        OutcomeUnknown.
        """
        job, result = await self.find(prepared.job)
        if result is None:
            result = await self._insert(job, bulk)
        self.remember(prepared, result)
        return result

    async def find(self, job: NewJob) -> tuple[NewJob, SubmitResult | None]:
        """Find the job that does this work already. The new one comes back as it is to be inserted if there is none.

        Raises IdempotencyKeyReused, JobExpired, Invalid, ServerAway.
        """
        use = await self._find_key(job) if job.key else None
        if use is not None:  # the request that used the key may have died before it inserted its job
            job = job._replace(id=use.job_id)
        result = await self._find_by_key(use) if use is not None else None
        if result is None and job.webhook is not None:
            await self._webhooks.check(job.tenant, job.webhook)
        return job, result or await self._find_same_work(job)

    def check_room(self, bulk: bool = False) -> None:
        """Raise Overloaded if a commit would begin too late; in `bulk` that is sooner."""
        try:
            self._inserts.check(BULK if bulk else 1.0)
        except Overloaded:
            self._telemetry.emit(Event.SHED)
            raise

    def commit_wait_s(self) -> float:
        """Estimate the seconds until the commit of a new job would begin."""
        return self._inserts.expected_wait_s()

    async def insert_whole(self, jobs: Sequence[NewJob]) -> list[SubmitResult]:
        """Insert all of these jobs or none. Raises TryAgain if some were inserted by others meanwhile.

        Also raises Overloaded, BacklogFull, WholeBacklogFull, ServerAway, OutcomeUnknown, BadRow.
        """
        self.check_room(bulk=True)
        placed = [self._place(job, True) for job in jobs]
        at = await self._accept_whole(placed)
        return [SubmitResult(render(as_accepted(job, at))) for job in placed]

    def find_by_body(self, tenant: str, digest: bytes) -> SubmitResult | None:
        """Answer a body that was answered with a result before, while process memory has that result."""
        found = self._reuse.find_by_body(tenant, digest, self._now())
        return self._answer_with_result(*found) if found is not None else None

    def runs_python(self, kind: str) -> bool:
        """Say whether checking an input of this kind runs users' code, which only the main thread can cut off."""
        return runs_python(self._registry[kind].input_model)  # type: ignore[arg-type]  # a class can be hashed

    async def drain(self) -> None:
        """Wait until every job taken is in the record and its ids were sent."""
        await self._inserts.drain()
        await self._publisher.drain()

    def _build_job(
        self, tenant: str, request: SubmitRequest, traceparent: str | None, key: IdempotencyKey | None
    ) -> NewJob:
        handler = self._registry[request.kind]
        job = make_job(tenant, handler, self._lanes, self._keep_s, request, traceparent)
        if key is not None:
            job = job._replace(key=key.key, request_hash=key.request_hash)
        if not handler.pure or request.options.cache == "off":
            return job
        return self._add_fingerprint(job, handler, request.options)

    def _add_fingerprint(self, job: NewJob, handler: AnyHandler, options: SubmitOptions) -> NewJob:
        """Give pure work its fingerprint. It is shared unless it is to run later, or again; with limits or a webhook of its own only its result is."""
        digest = fingerprint(job.tenant, job.kind, handler.version, job.input)
        if options.cache == "refresh" or job.delay_s or job.run_at:
            return job._replace(fingerprint=digest)
        limited = options.deadline_s or options.timeout_s or options.max_attempts or options.webhook
        return job._replace(fingerprint=digest, flight=not limited, fresh_s=float(handler.cache_s))

    async def _find_key(self, job: NewJob) -> IdempotencyKeyUse | None:
        """Look up what the job's key was used for. Raises IdempotencyKeyReused if that was another request."""
        use = await self._keys.put((job.tenant, job.key or ""))
        if use is not None and use.request_hash != job.request_hash:
            raise IdempotencyKeyReused
        return use

    async def _find_by_key(self, use: IdempotencyKeyUse) -> SubmitResult | None:
        """Find the job that a key stands for. Raises JobExpired if it is no longer there."""
        job = (await self._store.look_up([use.job_id])).get(use.job_id)
        if job is not None:
            return SubmitResult(render(job), replayed=True)
        if self._now() - made_at(use.job_id) > ORPHAN_S:
            raise JobExpired(use.job_id)
        return None

    async def _find_same_work(self, job: NewJob) -> SubmitResult | None:
        """Find the same work, done or under way, if it may be shared."""
        if job.fingerprint is None or job.fresh_s is None:
            return None
        now = self._now()
        found = await self._reuse.find(job.tenant, job.fingerprint, job.fresh_s, now)
        if found is None or (found.finished_at is None and not job.flight):
            return None
        if not await self._bind_key(job, found.document.id):
            return None
        if found.finished_at is None:
            self._telemetry.emit(Event.COALESCED)
            return SubmitResult(found.document, coalesced=True)
        return self._answer_with_result(found.document, now - found.finished_at, job.fresh_s)

    async def _bind_key(self, job: NewJob, job_id: str) -> bool:
        """Bind the key, if there is one, to this job; false if another request was quicker."""
        if job.key is None or job.request_hash is None:
            return True
        return await self._store.bind_idempotency_key(
            job.tenant, job.key, IdempotencyKeyUse(job.request_hash, job_id)
        )

    async def _insert(self, job: NewJob, bulk: bool) -> SubmitResult:
        """Insert the job, or find the one that came first.

        A second statement finds that: the first cannot see a winner that commits meanwhile.
        """
        job = self._place(job, bulk)
        for _ in range(INSERT_TRIES):
            at = await self._join(job, bulk)
            if at is not None:
                return SubmitResult(render(as_accepted(job, at)))
            use = await self._find_key(job) if job.key else None
            result = (use and await self._find_by_key(use)) or await self._find_same_work(job)
            if result is not None:
                return result
        raise Overloaded  # the same work began and ended without success three times in between

    def _join(self, job: NewJob, bulk: bool) -> Future[datetime | None]:
        try:
            return self._inserts.put(job, BULK if bulk else 1.0)
        except Overloaded:
            self._telemetry.emit(Event.SHED)
            raise

    def _answer_with_result(self, document: Document, age: float, fresh_s: float) -> SubmitResult:
        self._telemetry.emit(Event.REUSED)
        age_s = max(0, int(age))
        return SubmitResult(document, reused=True, age_s=age_s, ttl_s=max(0, int(fresh_s) - age_s))

    def remember(self, prepared: PreparedJob, result: SubmitResult) -> None:
        """Keep what makes later submits quick, and drop what this one replaces."""
        job = prepared.job
        if not job.fingerprint or result.replayed:
            return
        if prepared.refresh:
            self._reuse.supersede(job.fingerprint, self._now())
        elif prepared.digest and result.reused and job.fresh_s and self._is_for_all(job):
            self._reuse.remember_body(job.tenant, prepared.digest, Work(job.fingerprint, job.fresh_s))

    def _is_for_all(self, job: NewJob) -> bool:
        """Say whether every key may ask for this: what only some may is read each time, or the others would get it unread."""
        return allows_lane(self._registry[job.kind], job.lane)

    async def _insert_together(self, jobs: list[NewJob]) -> datetime:
        self._telemetry.count_batch("accept", len(jobs))
        accepted = await self._store.accept(jobs, whole=True)
        self._publisher.send(accepted.messages)
        self._telemetry.emit(Event.ACCEPTED, len(accepted.ids))
        return accepted.at

    async def _insert_batch(self, jobs: list[NewJob]) -> list[datetime | None]:
        accepted = await self._store.accept(jobs)
        self._publisher.send(accepted.messages)
        self._telemetry.emit(Event.ACCEPTED, len(accepted.ids))
        left = set(accepted.ids)
        answers: list[datetime | None] = []
        for job in jobs:
            answers.append(accepted.at if job.id in left else None)
            left.discard(job.id)  # two that took over the same key have the same id
        return answers

    async def _find_keys(self, keys: Sequence[tuple[str, str]]) -> list[IdempotencyKeyUse | None]:
        found = await self._store.find_idempotency_keys(list(set(keys)))
        return [found.get(each) for each in keys]


def _size(job: NewJob) -> int:
    return len(job.input) + OVERHEAD
