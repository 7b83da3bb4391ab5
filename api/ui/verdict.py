"""Say in one sentence whether all is well, worst first, with the reasons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from api.installation.server_watch import ServerState
from api.lanes.lane_control import LaneState
from api.ui.rendering import show_seconds
from sluice.core.slo import Measured

LATE_S = 60.0
"""Seconds that the oldest job of a lane may have waited without a word about it."""


class Verdict(NamedTuple):
    """`level` is `good`, `warn` or `bad`; `reasons` are what is not as it should be."""

    level: str
    text: str
    reasons: list[str]


def judge(servers: Sequence[ServerState], lanes: Sequence[LaneState], slo: Measured) -> Verdict:
    """Judge servers, lanes and the promise together."""
    bad = [
        *_servers(servers),
        *(["Submits are refused: more comes than can be taken."] if slo.shedding else []),
    ]
    warn = list(_lanes(lanes))
    reasons = bad + warn
    if not reasons:
        return Verdict("good", "Everything flows.", [])
    return Verdict("bad" if bad else "warn", reasons[0], reasons[1:])


_MEANWHILE = {
    "rabbitmq": "consumers take jobs from PostgreSQL",
    "redis": "answers come from PostgreSQL",
    "postgresql": "nothing new can be accepted",
}


def _servers(servers: Sequence[ServerState]) -> Iterator[str]:
    for each in servers:
        if each.state == "away":
            since = f" since {each.since:%H:%M:%S} UTC" if each.since else ""
            meanwhile = f"; {_MEANWHILE[each.name]}" if each.name in _MEANWHILE else ""
            yield f"{each.name} is away{since}{meanwhile}."


def _lanes(lanes: Sequence[LaneState]) -> Iterator[str]:
    for lane in lanes:
        found = lane.statistics
        if lane.paused:
            yield f"Lane {lane.name} is paused: {lane.paused.reason}"
        elif found and found.queued and not found.consumers:
            yield f"No consumer serves lane {lane.name}, where {found.queued} wait."
        elif found and found.oldest_queued_s > LATE_S:
            yield f"Lane {lane.name} is {show_seconds(found.oldest_queued_s)} behind."
