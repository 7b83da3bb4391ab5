"""Submit several jobs at once, all or none: find what is there already → insert the rest in one statement.

What is found counts as accepted, as with single submits. Of equal work and equal keys among the jobs themselves the first is inserted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

from api.jobs.prepared_job import PreparedJob
from api.jobs.submit import INSERT_TRIES, Submission
from api.jobs.submit_result import SubmitResult
from sluice.core.errors import IdempotencyKeyReused, Invalid, JobExpired, Overloaded, TryAgain
from sluice.core.job import NewJob
from sluice.errors import SluiceError

FOUND_AT_ONCE = 50


class New(NamedTuple):
    """A job that is not there: it is to be inserted, or shares the one of the position `like`, which is."""

    job: NewJob
    like: int | None = None


Found = SubmitResult | New | SluiceError
"""A job that is there, none, or why it is refused."""


async def find_all(submission: Submission, prepared: Sequence[PreparedJob]) -> list[Found]:
    """Find for each job what does its work already. Raises ServerAway, TryAgain, Overloaded."""
    found: dict[int, Found] = {}
    left = iter(enumerate(prepared))
    await asyncio.gather(*(_find_some(submission, left, found) for _ in range(FOUND_AT_ONCE)))
    return _share([found[position] for position in range(len(prepared))])


async def insert_all(
    submission: Submission, prepared: Sequence[PreparedJob], found: Sequence[Found]
) -> list[Found]:
    """Insert all that is new, in one statement. If others insert some of it meanwhile, look again what there is.

    If that is refused by now, it comes back, and nothing was inserted. Raises ServerAway, OutcomeUnknown, BadRow, Overloaded.
    """
    for _ in range(INSERT_TRIES):
        if any(isinstance(each, SluiceError) for each in found):
            return [*found]
        new = [each for each in found if isinstance(each, New) and each.like is None]
        try:
            results = iter(await submission.insert_whole([each.job for each in new]) if new else [])
        except TryAgain:
            found = await find_all(submission, prepared)
            continue
        return await _finish(submission, prepared, found, results)
    raise Overloaded


async def _find_some(
    submission: Submission, jobs: Iterator[tuple[int, PreparedJob]], found: dict[int, Found]
) -> None:
    for position, prepared in jobs:
        try:
            job, result = await submission.find(prepared.job)
            found[position] = New(job) if result is None else result
        except (IdempotencyKeyReused, JobExpired, Invalid) as error:
            found[position] = error


def _share(found: Sequence[Found]) -> list[Found]:
    """Let the first of each key and of each flight be inserted, and the others share it."""
    firsts: dict[Hashable, int] = {}
    requests: dict[str, bytes | None] = {}
    shared: list[Found] = []
    for position, each in enumerate(found):
        if not isinstance(each, New):
            shared.append(each)
            continue
        job = each.job
        if job.key and requests.setdefault(job.key, job.request_hash) != job.request_hash:
            shared.append(IdempotencyKeyReused())
            continue
        marks: list[Hashable] = [mark for mark in (job.key, job.flight and job.fingerprint) if mark]
        like = next((firsts[mark] for mark in marks if mark in firsts), None)
        for mark in marks:
            firsts.setdefault(mark, position if like is None else like)
        shared.append(New(job, like))
    return shared


async def _finish(
    submission: Submission,
    prepared: Sequence[PreparedJob],
    found: Sequence[Found],
    inserted: Iterator[SubmitResult],
) -> list[Found]:
    """Return the result of each job. Those that share another are submitted singly now: they find it, and get their keys bound."""
    results: list[Found] = []
    for each, mine in zip(found, prepared, strict=True):
        if isinstance(each, New) and each.like is not None:
            results.append(await _take_like(submission, mine, results[each.like]))
            continue
        result = next(inserted) if isinstance(each, New) else each
        if isinstance(result, SubmitResult):
            submission.remember(mine, result)
        results.append(result)
    return results


async def _take_like(submission: Submission, prepared: PreparedJob, first: Found) -> Found:
    try:
        return await submission.take(prepared, bulk=True)
    except SluiceError:  # what it shares was accepted, which must be said
        return first._replace(coalesced=True) if isinstance(first, SubmitResult) else first
