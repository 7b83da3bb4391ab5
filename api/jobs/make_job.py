"""What a client asks for, and the job that is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from api.jobs.input_check import check_input
from api.jobs.schemas import SubmitOptions
from sluice.core.errors import Flaw, Invalid, TooLarge
from sluice.core.fingerprint import canonical
from sluice.core.job import TAG_SEPARATOR, NewJob
from sluice.core.lanes import Lane
from sluice.core.retention import kept_s
from sluice.core.runtime.ids import new_job_id
from sluice.handler import AnyHandler
from sluice.searchable import tags_of

DEFAULTS = SubmitOptions()
ANY_LANE = "admin"
"""The scope of who may put a job into any lane."""


class SubmitRequest(NamedTuple):
    """What a client asks for, with nothing checked yet but its JSON. `pointer` says where in the body the input is.

    `scopes` are those of its key.
    """

    kind: str
    input: Any
    options: SubmitOptions = DEFAULTS
    pointer: str = "/input"
    scopes: frozenset[str] = frozenset()


def make_job(
    tenant: str,
    handler: AnyHandler,
    lanes: Mapping[str, Lane],
    keep_s: float,
    request: SubmitRequest,
    traceparent: str | None = None,
) -> NewJob:
    """Make a job, checking that the kind takes its size, input and options. Raises Invalid, TooLarge."""
    options = request.options
    lane = _find_lane(handler, lanes, request)
    return NewJob(
        id=new_job_id(),
        tenant=tenant,
        kind=handler.kind,
        lane=lane.name,
        priority=options.priority,
        input=_check_input(handler, request),
        max_attempts=options.max_attempts or handler.retry.max_attempts,
        timeout_s=options.timeout_s,
        keep_s=kept_s(handler, keep_s),
        ids_per_message=lane.ids_per_message,
        delay_s=options.delay_s,
        run_at=options.run_at,
        deadline_s=options.deadline_s,
        tags=TAG_SEPARATOR.join([*options.tags, *tags_of(handler, request.input)]) or None,
        traceparent=traceparent,
        handler_version=handler.version,
        webhook=options.webhook,
    )


def allows_lane(handler: AnyHandler, name: str) -> bool:
    """Say whether a job of this kind may be put into this lane with any key."""
    return handler.lanes is None or name in handler.lanes


def _find_lane(handler: AnyHandler, lanes: Mapping[str, Lane], request: SubmitRequest) -> Lane:
    """Find the lane that is asked for, or else the kind's own. Raises Invalid if there is none, or it takes another key."""
    asked = request.options.lane
    if asked and not allows_lane(handler, asked) and ANY_LANE not in request.scopes:
        detail = (
            f"Jobs of {handler.kind} may be put into {', '.join(handler.lanes or ())}: name one of these, or none. "
            "Other lanes need a key with the scope `admin`."
        )
        raise Invalid([Flaw("/options/lane", "lane-not-allowed", detail)])
    name = asked or handler.lane
    if name not in lanes:
        detail = f"There is no such lane; there are {', '.join(lanes)}."
        raise Invalid([Flaw("/options/lane", "unknown-lane", detail)])
    return lanes[name]


def _check_input(handler: AnyHandler, request: SubmitRequest) -> bytes:
    """Return the canonical bytes of an input that the kind's model takes; these very bytes are stored, hashed and run."""
    raw = canonical(request.input)
    if len(raw) > handler.max_input:
        raise TooLarge(handler.max_input)
    check_input(handler, raw, request.pointer)
    return raw
