"""What schemathesis is told about the product. It is loaded in the environment of schemathesis, which has nothing of ours.

The variable FUZZ says as JSON: `known`, names of what is there by the part of a path; `webhook`, a URL of this machine;
`own_key`, which must not be revoked; `mark`, which nobody but its owner may see; `identity`; `told`, a file for the statuses of each operation.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any
from zlib import crc32

import schemathesis

GIVEN: dict[str, Any] = json.loads(os.environ["FUZZ"])
KNOWN: dict[str, list[str]] = GIVEN["known"]
EDGE = (400, 404, 405, 414, 431)
"""How a request is refused before anybody looks at its key: its form is wrong, or there is no such path or method."""
statuses: defaultdict[str, Counter[int]] = defaultdict(Counter)


def map_case(_: Any, case: Any) -> Any:
    """Name in most cases what is there, where a path is meant to be right: by chance nothing is ever found."""
    meta = case.meta
    if meta is not None and meta.phase.name.value == "stateful":
        return case  # there a path names what an answer before has named
    gone = case.method == "DELETE" and GIVEN["identity"] == "valid"  # what all others look for should stay
    for part, value in () if gone else (case.path_parameters or {}).items():
        place = crc32(repr(value).encode())
        if part in KNOWN and place % 4 and _is_meant_right(meta, "path"):
            case.path_parameters[part] = KNOWN[part][place % len(KNOWN[part])]
    if isinstance(case.body, dict) and "url" in case.body and _is_meant_right(meta, "body"):
        case.body["url"] = GIVEN["webhook"]  # no stranger's server is to be told of anything
    return case


def before_call(_: Any, case: Any, __: dict[str, Any]) -> None:
    """Let the run not end itself: its own key stays, and the lane in which its jobs run."""
    parts = case.path_parameters or {}
    if parts.get("key_id") == GIVEN["own_key"]:
        parts["key_id"] = GIVEN["own_key"][::-1]
    if parts.get("lane") == "default":
        parts["lane"] = "heavy"


def after_call(_: Any, case: Any, response: Any) -> None:
    """Count it."""
    statuses[case.operation.label][response.status_code] += 1
    Path(GIVEN["told"]).write_text(json.dumps(statuses))  # nothing is called at the end


def nothing_without_a_key(_: Any, response: Any, case: Any) -> None:
    """Check that a request without a valid key is told nothing."""
    if case.method.upper() != "OPTIONS":
        assert response.status_code in (401, *EDGE), f"answered {response.status_code} without a key"
        assert response.status_code != 404 or response.json()["type"] == "not-found", "told what there is"
    _check_mark(response)


def nothing_of_another(_: Any, response: Any, case: Any) -> None:
    """Check that what is another's is not there."""
    names = {each for many in KNOWN.values() for each in many} - {"theirs"}
    about_routes = (
        case.method.upper() == "OPTIONS"
    )  # answered by the form of the path alone, without a look at what it names
    if not about_routes and any(value in names for value in (case.path_parameters or {}).values()):
        assert response.status_code >= 400, f"answered {response.status_code} for what is another's"
    _check_mark(response)


def wrong_items_are_refused(_: Any, response: Any, case: Any) -> None:
    """Check that a batch which is taken although its body is wrong refuses the items that are."""
    if case.operation.label == "POST /v1/batches" and response.status_code == 202:
        meant_right = _is_meant_right(case.meta, "body")
        assert meant_right or response.json()["counts"]["refused"], "took a batch with items that are wrong"


def _check_mark(response: Any) -> None:
    assert GIVEN["mark"].encode() not in response.content, "shows what is another's"


def _is_meant_right(meta: Any, where: str) -> bool:
    modes: dict[str, str] = (
        {place.value: each.mode.value for place, each in meta.components.items()} if meta else {}
    )
    return modes.get(where, "positive") == "positive"


for each in (map_case, before_call, after_call):
    schemathesis.hook(each)
schemathesis.check(wrong_items_are_refused)
if GIVEN["identity"] == "none":
    schemathesis.check(nothing_without_a_key)
if GIVEN["identity"] == "other":
    schemathesis.check(nothing_of_another)
