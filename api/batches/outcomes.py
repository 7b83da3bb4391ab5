"""Note what came of each item of a batch, as the bytes of its answer: results and flaws are not kept, as there may be very many."""

from __future__ import annotations

from collections import Counter

import orjson

from api.http.problems import FLAWS, problem
from api.jobs.submit_result import SubmitResult
from sluice.core.batch import GONE_VERSIONS, Batch, BatchCounts
from sluice.core.errors import JobExpired

MOST_FLAWS = 1024 * 1024
"""Bytes of problems in one answer from which on they name no single flaws any more."""


class ItemOutcomes:
    """What came of each item. Job links begin with `prefix`."""

    def __init__(self, prefix: str, request_id: str) -> None:
        self.jobs: list[str | None] = []
        self._shown: list[bytes] = []
        self._states: Counter[str] = Counter()
        self._versions = self._problems = 0
        self._prefix, self._request_id = prefix, request_id

    def expect(self, items: int) -> int:
        """Expect so many more items; return the position of the first."""
        first = len(self.jobs)
        self.jobs += [None] * items
        self._shown += [b""] * items
        return first

    def accept(self, index: int, result: SubmitResult) -> None:
        """Note that an item was accepted, or that its work is shared."""
        document = result.document
        self.jobs[index] = document.id
        self._states[document.state] += 1
        self._versions += document.version
        job = {
            "id": document.id,
            "state": document.state,
            "links": {"self": f"{self._prefix}/v1/jobs/{document.id}"},
        }
        status = 200 if document.finished else 202
        self._shown[index] = orjson.dumps({"index": index, "status": status, "job": job})

    def refuse(self, index: int, error: BaseException) -> None:
        """Note that it was not."""
        reply = problem(error, self._request_id, FLAWS if self._problems < MOST_FLAWS else 0)
        self._problems += len(reply.body)
        if isinstance(error, JobExpired):  # it was accepted before
            self.jobs[index] = error.job_id
            self._states["expired"] += 1
            self._versions += GONE_VERSIONS
        else:
            self._states["refused"] += 1
        self._shown[index] = b'{"index":%d,"status":%d,"problem":%b}' % (index, reply.status, reply.body)

    def show(self) -> bytes:
        """Return what came of each item so far, in their order."""
        return b",".join(filter(None, self._shown))

    def count(self, batch_id: str) -> Batch:
        """Count what the answer says: no read of the record can fail, or see another moment."""
        return Batch(batch_id, 1 + self._versions, BatchCounts(**self._states))
