"""Fill in what moves without a change of the job: its place in the queue, when it ends, what it waits for.

All comes from the statistics that the process follows anyway: it costs no call, and changes no version.
"""

from __future__ import annotations

from collections.abc import Callable

import orjson

from sluice.core.count_lanes import CountLanes
from sluice.core.document import Document
from sluice.core.estimates import Eta, estimate_ahead, estimate_end, estimate_rest
from sluice.core.explanation import Reason
from sluice.core.job import JobState
from sluice.core.lanes import OVERFLOW
from sluice.core.queue_stats import LaneStatistics

UNKNOWN = b'"queue_position":null,"eta":null,"waiting_on":null'
"""As documents are rendered. No tag or progress can hold these bytes: in JSON, quotes within a string are escaped."""


class Forecast:
    """Knows what `counts` knows; `clock` is the record's time, in seconds since the epoch."""

    def __init__(self, counts: CountLanes, clock: Callable[[], float]) -> None:
        self._counts, self._clock = counts, clock

    def fill_in(self, document: Document) -> Document:
        """Return the document of an unfinished job with what is estimated by now; any other as it is."""
        lane = None if document.finished else self._counts.newest().get(document.lane)
        if lane is None:
            return document
        body = document.body.replace(UNKNOWN, self._estimate(document, lane), 1)
        more = len(body) - len(document.body)
        start, end = document.result_start + more, document.result_end + more
        return document._replace(body=body, result_start=start, result_end=end)

    def _estimate(self, document: Document, lane: LaneStatistics) -> bytes:
        passed_s, kind = self._clock() - document.since, document.kind
        if document.state == JobState.RUNNING:
            return _write(None, estimate_rest(lane, kind, passed_s), None)
        if document.state == JobState.SCHEDULED:
            return _write(None, estimate_end(lane, kind, 0, -passed_s), Reason.SCHEDULED)
        ahead = estimate_ahead(lane, document.since)
        return _write(ahead + 1, estimate_end(lane, kind, ahead), _hindrance(lane, document.priority))


def _hindrance(lane: LaneStatistics, priority: str) -> Reason:
    if lane.paused:
        return Reason.LANE_PAUSED
    if not lane.slots:
        return Reason.NO_CONSUMER
    return Reason.OVER_SHARE if priority == OVERFLOW else Reason.QUEUED_BEHIND


def _write(position: int | None, eta: Eta | None, waiting_on: Reason | None) -> bytes:
    values = {"queue_position": position, "eta": eta and eta._asdict(), "waiting_on": waiting_on}
    return orjson.dumps(values)[1:-1]
