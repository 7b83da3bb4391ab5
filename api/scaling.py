"""Answer `/scaling` on the private port from what is known of the lanes anyway: no statement, no call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import orjson

from sluice.core.count_lanes import CountLanes
from sluice.core.lanes import Lane
from sluice.core.scaling import add_lanes

WAIT_TARGET_S = 30.0
"""Seconds that a job may wait, unless the request says otherwise."""
LONGEST_TARGET_S = 86_400.0
JSON = "application/json"


class Scaling:
    """Says how many consumers the lanes of a group want. `lanes` are those that are configured."""

    def __init__(self, counts: CountLanes, lanes: Mapping[str, Lane]) -> None:
        self._counts, self._lanes = counts, lanes

    async def show(self, scope: Any) -> tuple[int, str, bytes]:
        """Answer `?lanes=heavy,default&wait_target_s=30`; by default all lanes, and half a minute.

        400 for lanes that are not configured, 503 while nobody can say what waits.
        """
        given = {
            name: values[-1] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()
        }
        names = [name for name in given.get("lanes", "").split(",") if name] or list(self._lanes)
        target_s = _read_target(given.get("wait_target_s"))
        if flaw := self._find_flaw(given, names, target_s):
            return _answer(400, {"error": flaw, "lanes": list(self._lanes)})
        known = self._counts.newest()
        if unknown := [name for name in names if name not in known]:
            why = f"nobody has counted lately what waits in {', '.join(unknown)}"
            return _answer(503, {"error": why})
        lanes = [(known[name], self._lanes[name].slots) for name in names]
        return _answer(200, add_lanes(lanes, target_s)._asdict())

    def _find_flaw(self, given: Mapping[str, str], names: list[str], target_s: float) -> str:
        if unknown := [name for name in names if name not in self._lanes]:
            return f"there is no lane {', '.join(unknown)}"
        if others := given.keys() - {"lanes", "wait_target_s"}:
            return f"there is no parameter {', '.join(sorted(others))}"
        return "" if 0 < target_s <= LONGEST_TARGET_S else "wait_target_s is seconds, above 0, at most a day"


def _read_target(text: str | None) -> float:
    try:
        return WAIT_TARGET_S if text is None else float(text)
    except ValueError:
        return 0.0


def _answer(status: int, body: Mapping[str, object]) -> tuple[int, str, bytes]:
    return status, JSON, orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE)
