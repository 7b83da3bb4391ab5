"""Plans for many jobs: wait for some or all of them, submit a batch, map a kind over inputs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Literal, TypedDict

from sluice.client.core import Core
from sluice.client.documents import Raw, read_object, read_problem
from sluice.client.errors import ApiError, BadAnswer, ClientError, Problem, WaitTimeout, api_error
from sluice.client.job import J
from sluice.client.jobs import outcome
from sluice.client.looking import attend, look
from sluice.client.plan import END, Emit, Pause, Plan, Pull, Request
from sluice.client.sending import Deadline, about, read, send
from sluice.client.values import Key, SubmitOptions, encode, new_key, typed
from sluice.client.watching import Watch

For = Literal["all", "first", "first_failed"]
MOST_LINES = 10_000
MOST_BYTES = 24 * 1024 * 1024
"""Bytes of one batch; the server takes 32 MiB."""


class _ItemKind(TypedDict):
    kind: str


class Item(_ItemKind, total=False):
    """A job of a batch, as in a submit. `key` is an Idempotency-Key of its own."""

    input: Any
    options: SubmitOptions
    key: str


@dataclass(frozen=True, slots=True)
class BatchItem(Generic[J]):
    """What came of one item: its `job`, or the `problem` for which it was refused."""

    index: int
    status: int
    job: J | None
    problem: Problem | None


@dataclass(frozen=True, slots=True)
class Batch(Generic[J]):
    """Jobs that were submitted together, in the order of the items."""

    id: str
    items: tuple[BatchItem[J], ...]
    raw: Raw = field(repr=False)

    @property
    def jobs(self) -> list[J]:
        """The jobs of the items that were accepted."""
        return [item.job for item in self.items if item.job is not None]

    @property
    def refused(self) -> list[BatchItem[J]]:
        """The items that were not."""
        return [item for item in self.items if item.job is None]


def as_completed(core: Core[J], jobs: Iterable[J], deadline: Deadline) -> Plan[None]:
    """Emit jobs as they end. One that is unknown is among them: its result says so."""
    left = dict.fromkeys(jobs)
    watching = core.watching
    watch = watching.watch(left)
    try:
        while left:
            while watch.ended:
                job = watch.ended.popleft()
                del left[job]
                yield Emit(job)
            if left:
                yield from attend(watch, deadline, list(left))
    finally:
        watching.forget(watch)


def wait(core: Core[J], jobs: Iterable[J], deadline: Deadline, for_: For) -> Plan[tuple[list[J], list[J]]]:
    """Wait until all have ended, or the first, or the first in another way than by success; return who has, and who has not."""
    if for_ not in ("all", "first", "first_failed"):
        raise ValueError(f"for_ is 'all', 'first' or 'first_failed', not {for_!r}")
    every = list(dict.fromkeys(jobs))
    done: set[J] = set()
    watching = core.watching
    watch = watching.watch(every)
    try:
        while len(done) < len(every) and not _enough(done, for_):
            while watch.ended:
                done.add(watch.ended.popleft())
            if len(done) < len(every) and not _enough(done, for_):
                try:
                    yield from attend(watch, deadline, every)
                except WaitTimeout:
                    break
    finally:
        watching.forget(watch)
    return [job for job in every if job in done], [job for job in every if job not in done]


def _enough(done: Iterable[J], for_: For) -> bool:
    if for_ == "first_failed":
        return any(job.state != "succeeded" for job in done)
    return for_ == "first" and any(True for _ in done)


def submit_batch(core: Core[J], items: Iterable[Item], atomic: bool, key: str | Key | None) -> Plan[Batch[J]]:
    """Submit jobs together. Items that were refused in passing are sent again, if the batch has a key."""
    rows = list(items)
    key = new_key(key)
    headers = {"Idempotency-Key": f'"{key}"'} if key is not None else {}
    if atomic:
        headers["Content-Type"], body = "application/json", encode({"jobs": rows, "atomic": True})
    else:
        headers["Content-Type"], body = "application/x-ndjson", b"\n".join(map(encode, rows))
    request = Request("POST", "/v1/batches", headers, body, repeatable=key is not None)
    tried = 0
    while True:
        tried += 1
        batch = read(partial(_read_batch, core, len(rows)), (yield from send(core, request)))
        passing = [item for item in batch.refused if item.problem and item.problem.retryable]
        if not passing or key is None or tried >= core.retries.tries:
            return batch
        yield Pause(core.retries.longest_pause_s(tried) * (0.5 + core.random()))


def _read_batch(core: Core[J], count: int, raw: Any) -> Batch[J]:
    value = read_object(raw, id=str, items=list)
    items = [_read_item(core, read_object(each, index=int, status=int)) for each in value["items"]]
    if (stopped := value.get("stopped")) is not None:  # what follows was not read
        problem = read_problem(stopped, read_object(stopped, status=int)["status"])
        items += [BatchItem(index, problem.status, None, problem) for index in range(len(items), count)]
    if [each.index for each in items] != list(range(count)):
        raise BadAnswer("The answer tells of other items than were sent, or in another order.")
    return Batch(value["id"], tuple(items), value)


def _read_item(core: Core[J], raw: dict[str, Any]) -> BatchItem[J]:
    job, problem = raw.get("job"), raw.get("problem")
    handle = core.handle(read_object(job, id=str)["id"], None) if job is not None else None
    return BatchItem(
        raw["index"],
        raw["status"],
        handle,
        read_problem(problem, raw["status"]) if problem is not None else None,
    )


@dataclass(frozen=True, slots=True)
class MapOver:
    """How a kind is mapped over inputs: jobs of one batch, and of all that were submitted and not yet given out."""

    kind: str
    batch: int
    in_flight: int
    options: SubmitOptions
    as_: Any
    return_exceptions: bool

    def __post_init__(self) -> None:
        if not 1 <= self.batch <= MOST_LINES or self.in_flight < self.batch:
            raise ValueError(f"batch is 1 to {MOST_LINES}, and in_flight at least as many")


def map_inputs(core: Core[J], mapping: MapOver) -> Plan[None]:
    """Emit the results of the inputs, in their order; take inputs only as fast as results are taken."""
    window: deque[J | ClientError] = deque()
    watching = core.watching
    watch = watching.watch()
    more = True
    try:
        while more or window:
            if more and len(window) + mapping.batch <= mapping.in_flight:
                more = yield from _submit_next(core, mapping, window, partial(watching.add, watch))
                continue
            head = window[0]
            watch.ended.clear()  # handles know by themselves; inputs that are equal may share a job
            if isinstance(head, ClientError) or head.finished or head in watch.unknown:
                window.popleft()
                yield Emit((yield from _value(core, mapping, head, watch)))
            else:
                yield from attend(watch, core.deadline(None), [head])
    finally:
        watching.forget(watch)


def _submit_next(
    core: Core[J],
    mapping: MapOver,
    window: deque[J | ClientError],
    watch_too: Callable[[Iterable[J]], None],
) -> Plan[bool]:
    """Take the next inputs, and submit them as a batch; return whether there may be more."""
    rows: list[Item] = []
    size, value = 0, None
    while len(rows) < mapping.batch and size < MOST_BYTES:
        value = yield Pull()
        if value is END:
            break
        rows.append({"kind": mapping.kind, "input": value, "options": mapping.options})
        size += len(encode(value))
    if rows:
        try:
            batch = yield from submit_batch(core, rows, False, Key.MADE)
        except ClientError as error:
            if not mapping.return_exceptions:
                raise
            window.extend([error] * len(rows))
        else:
            window.extend(item.job if item.job is not None else _refused(item) for item in batch.items)
            watch_too(batch.jobs)
    return value is not END


def _refused(item: BatchItem[Any]) -> ApiError:
    return api_error(item.problem or Problem("http-error", item.status, "The item was refused"))


def _value(core: Core[J], mapping: MapOver, head: J | ClientError, watch: Watch[J]) -> Plan[Any]:
    if isinstance(head, ClientError):
        if mapping.return_exceptions:
            return head
        raise head
    try:
        with about(head):
            if head in watch.unknown:
                yield from look(core, head, core.deadline(None))
            return typed((yield from outcome(core, head)), mapping.as_, head)
    except ClientError as error:
        if mapping.return_exceptions:
            return error
        raise
