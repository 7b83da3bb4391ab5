"""Submit = admit → fingerprint → recall → record → answer. The 202 leaves after COMMIT and never waits for RabbitMQ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from time import time
from typing import Any, NamedTuple

import uuid_utils
from pydantic import ValidationError

from api.http.response import SubmitResult
from api.http.schemas import SubmitOptions, flaws_of
from api.jobs.result_reuse import ResultReuse, Work
from sluice.core.document import Document, render
from sluice.core.errors import Flaw, IdempotencyKeyReused, Invalid, JobExpired, Overloaded, TooLarge
from sluice.core.fingerprint import canonical, fingerprint
from sluice.core.job import TAG_SEPARATOR, IdempotencyKeyUse, NewJob, as_accepted, made_at
from sluice.core.lanes import Lane
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.ports import JobStore
from sluice.core.registry import Registry
from sluice.core.runtime.batching import Batcher, Limits
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.core.strict_json import parse
from sluice.handler import AnyHandler

DEFAULTS = SubmitOptions()
RECORD_TRIES = 3

ORPHAN_S = 3_600.0
"""A key whose job is missing after this many seconds stands for one that was there once, before for one that never came."""


class Submit(NamedTuple):
    """What a client asks for, before anything but its JSON was checked."""

    kind: str
    input: Any
    options: SubmitOptions = DEFAULTS
    pointer: str = "/input"


class IdempotencyKey(NamedTuple):
    """An Idempotency-Key, and the hash of the request it came with."""

    key: str
    request_hash: bytes


def read_submit(raw: bytes) -> Submit:
    """The body of POST /v1/jobs. Raises Malformed, Invalid."""
    body = parse(raw)
    if type(body) is not dict:
        raise _flaw("", "object", "The body is an object with `kind` and `input`.")
    unknown = body.keys() - {"kind", "input", "options"}
    if unknown:
        raise _flaw(
            f"/{min(unknown)[:64]}", "unknown-field", "There is no such field; `options` holds the options."
        )
    for name in ("kind", "input"):
        if name not in body:
            raise _flaw(f"/{name}", "missing", f"`{name}` is required.")
    if type(body["kind"]) is not str:
        raise _flaw("/kind", "string", "`kind` is a string; GET /v1/kinds lists them.")
    return Submit(
        body["kind"], body["input"], _read_options(body["options"]) if "options" in body else DEFAULTS
    )


def read_bare(kind: str, raw: bytes) -> Submit:
    """The body of POST /v1/kinds/{kind}/jobs: the input alone. Raises Malformed, Invalid."""
    return Submit(kind, parse(raw), pointer="")


class Submission:
    """Takes jobs into the record, each exactly as the one method `submit` reads. `now` is the time by the record's clock."""

    def __init__(  # noqa: PLR0913  what the flow needs, each used by name
        self,
        registry: Registry,
        lanes: Mapping[str, Lane],
        store: JobStore,
        reuse: ResultReuse,
        publisher: OutboxPublisher,
        telemetry: Telemetry,
        waiting: int = 5_000,
        now: Callable[[], float] = time,
    ) -> None:
        self._registry, self._lanes = registry, lanes
        self._store, self._reuse, self._publisher = store, reuse, publisher
        self._telemetry, self._now = telemetry, now
        self._accepting: Batcher[NewJob, datetime | None] = Batcher(
            "accept", self._accept, Limits(waiting=waiting), size_of=_size
        )
        self._keys: Batcher[tuple[str, str], IdempotencyKeyUse | None] = Batcher("keys", self._find_keys)

    async def submit(
        self, tenant: str, work: Submit, traceparent: str | None = None, key: IdempotencyKey | None = None
    ) -> SubmitResult:
        """Raises KindUnknown, Invalid, TooLarge, KeyReused, JobExpired, Overloaded, ServerAway, OutcomeUnknown."""
        new = self._understood(tenant, work, traceparent)
        if key is not None:
            new = await self._under_key(new._replace(key=key.key, request_hash=key.request_hash))
        return await self._answered(new, work.options)

    async def submit_body(self, tenant: str, body: bytes, traceparent: str | None) -> SubmitResult:
        """As `submit`, for a body of POST /v1/jobs that came without a key. Raises Malformed too.

        The bytes that asked for a result before are not even parsed while process memory has that result.
        """
        here = self._reuse.find_here(tenant, body, self._now())
        if here is not None:
            return self._reused(*here)
        asked = read_submit(body)
        new = self._understood(tenant, asked, traceparent)
        answer = await self._answered(new, asked.options)
        if answer.reused and new.fingerprint and new.fresh_s:
            self._reuse.remember_body(tenant, body, Work(new.fingerprint, new.fresh_s))
        return answer

    async def drain(self) -> None:
        """Wait until every job taken is in the record and its ids were sent."""
        await self._accepting.drain()
        await self._publisher.drain()

    def _understood(self, tenant: str, work: Submit, traceparent: str | None) -> NewJob:
        """Admit and fingerprint."""
        handler = self._registry[work.kind]
        new = as_new(tenant, handler, self._lanes, work, traceparent)
        return self._fingerprinted(new, handler, work.options)

    async def _answered(self, new: NewJob, options: SubmitOptions) -> SubmitResult:
        """Recall or record."""
        answer = await self._replay(new) or await self._recall(new) or await self._record(new)
        if options.cache == "refresh" and new.fingerprint and not answer.replayed:
            self._reuse.supersede(new.fingerprint, self._now())
        return answer

    def _fingerprinted(self, new: NewJob, handler: AnyHandler, options: SubmitOptions) -> NewJob:
        """Pure work carries a fingerprint; it flies alone unless it was asked to run later or to run again."""
        if not handler.pure or options.cache == "off":
            return new
        own = fingerprint(new.tenant, new.kind, handler.version, new.input)
        if options.cache == "refresh" or new.delay_s or new.run_at:
            return new._replace(fingerprint=own)
        return new._replace(fingerprint=own, flight=True, fresh_s=float(handler.cache_s))

    async def _under_key(self, new: NewJob) -> NewJob:
        """Take over the id that a key stands for, where the request that used it died before its job was there."""
        use = await self._key_use(new)
        return new if use is None else new._replace(id=use.job_id)

    async def _replay(self, new: NewJob) -> SubmitResult | None:
        """The job that the key stands for. Raises KeyReused, JobExpired."""
        use = await self._key_use(new) if new.key else None
        if use is None:
            return None
        job = (await self._store.look_up([use.job_id])).get(use.job_id)
        if job is not None:
            return SubmitResult(render(job), replayed=True)
        if time() - made_at(use.job_id) > ORPHAN_S:
            raise JobExpired
        return None

    async def _key_use(self, new: NewJob) -> IdempotencyKeyUse | None:
        use = await self._keys.put((new.tenant, new.key or ""))
        if use is not None and use.request_hash != new.request_hash:
            raise IdempotencyKeyReused
        return use

    async def _recall(self, new: NewJob) -> SubmitResult | None:
        """The same work, where it may be shared: done, or under way."""
        if new.fingerprint is None or new.fresh_s is None:
            return None
        now = self._now()
        found = await self._reuse.find(new.tenant, new.fingerprint, new.fresh_s, now)
        if found is None or not await self._keep_key(new, found.document.id):
            return None
        if found.finished_at is None:
            self._telemetry.emit(Event.COALESCED)
            return SubmitResult(found.document, coalesced=True)
        return self._reused(found.document, now - found.finished_at, new.fresh_s)

    def _reused(self, document: Document, age: float, fresh_s: float) -> SubmitResult:
        self._telemetry.emit(Event.REUSED)
        age_s = max(0, int(age))
        return SubmitResult(document, reused=True, age_s=age_s, ttl_s=max(0, int(fresh_s) - age_s))

    async def _record(self, new: NewJob) -> SubmitResult:
        """Into the record, or together with the same work that came in between.

        A second statement finds that: the first cannot see a winner that commits meanwhile.
        """
        for _ in range(RECORD_TRIES):
            at = await self._accepting.put(new)
            if at is not None:
                return SubmitResult(render(as_accepted(new, at)))
            answer = await self._replay(new) or await self._recall(new)
            if answer is not None:
                return answer
        raise Overloaded  # the same work began and ended without success three times in between

    async def _keep_key(self, new: NewJob, job_id: str) -> bool:
        """Let the key, if there is one, stand for this job; false where another request was quicker."""
        if new.key is None or new.request_hash is None:
            return True
        return await self._store.bind_idempotency_key(
            new.tenant, new.key, IdempotencyKeyUse(new.request_hash, job_id)
        )

    async def _accept(self, jobs: list[NewJob]) -> list[datetime | None]:
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


def as_new(
    tenant: str, handler: AnyHandler, lanes: Mapping[str, Lane], work: Submit, traceparent: str | None = None
) -> NewJob:
    """A job that the kind takes: size, input and options fit. Raises Invalid, TooLarge."""
    options = work.options
    lane = _lane(lanes, options.lane or handler.lane)
    return NewJob(
        id=str(uuid_utils.uuid7()),
        tenant=tenant,
        kind=handler.kind,
        lane=lane.name,
        priority=options.priority,
        input=_checked_input(handler, work),
        max_attempts=options.max_attempts or handler.retry.max_attempts,
        timeout_s=options.timeout_s,
        ids_per_message=lane.ids_per_message,
        delay_s=options.delay_s,
        run_at=options.run_at,
        deadline_s=options.deadline_s,
        tags=TAG_SEPARATOR.join(options.tags) or None,
        traceparent=traceparent,
    )


def _lane(lanes: Mapping[str, Lane], name: str) -> Lane:
    if name not in lanes:
        raise _flaw("/options/lane", "unknown-lane", f"There is no such lane; there are {', '.join(lanes)}.")
    return lanes[name]


def _checked_input(handler: AnyHandler, work: Submit) -> bytes:
    """The canonical bytes of an input that the kind's model takes; these very bytes are stored, hashed and run."""
    raw = canonical(work.input)
    if len(raw) > handler.max_input:
        raise TooLarge(handler.max_input)
    try:
        handler.input_model.__pydantic_validator__.validate_json(raw, strict=True)
    except ValidationError as error:
        raise Invalid(flaws_of(error, work.pointer)) from None
    return raw


def _read_options(value: Any) -> SubmitOptions:
    try:
        return SubmitOptions.model_validate(value)
    except ValidationError as error:
        raise Invalid(flaws_of(error, "/options")) from None


def _flaw(pointer: str, code: str, detail: str) -> Invalid:
    return Invalid([Flaw(pointer, code, detail)])


def _size(new: NewJob) -> int:
    return len(new.input) + 256
