"""Plans for what there is: jobs, kinds, lanes, and whatever else a route answers with."""

from __future__ import annotations

import json as json_
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict
from urllib.parse import urlencode

from sluice.client.core import Core
from sluice.client.documents import JobDocument, Kind, Lane, read_job, read_kind, read_lane
from sluice.client.job import J
from sluice.client.plan import Emit, Plan, Request
from sluice.client.sending import read, send
from sluice.client.values import encode

REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})


class Filters(TypedDict, total=False):
    """Which jobs a list shows; see docs/http-api.md. Times have a zone; `error` is a fingerprint."""

    state: str | list[str]
    kind: str
    tag: str
    created_after: datetime | str
    created_before: datetime | str
    error: str
    page_size: int


def jobs(core: Core[J], filters: Filters) -> Plan[None]:
    """Emit the jobs that match, newest first."""
    query: dict[str, Any] = {"page_size": 200, **filters}
    while True:
        answer = yield from send(core, Request("GET", "/v1/jobs" + _query(query)))
        documents, token = read(_read_page, answer)
        for document in documents:
            yield Emit(core.handle(document.id, document))
        if token is None:
            return
        query["page_token"] = token


def _read_page(value: Any) -> tuple[list[JobDocument], str | None]:
    token = value["next_page_token"]
    return [read_job(each) for each in value["jobs"]], str(token) if token is not None else None


def kinds(core: Core[Any]) -> Plan[list[Kind]]:
    """Return every kind."""
    answer = yield from send(core, Request("GET", "/v1/kinds"))
    return read(lambda value: [read_kind(each) for each in value["kinds"]], answer)


def lanes(core: Core[Any]) -> Plan[list[Lane]]:
    """Return every lane."""
    answer = yield from send(core, Request("GET", "/v1/lanes"))
    return read(lambda value: [read_lane(each) for each in value["lanes"]], answer)


def request(
    core: Core[Any], method: str, path: str, json: Any, params: Mapping[str, Any] | None
) -> Plan[Any]:
    """Send a request to any route, and return the JSON of the answer; None if it has no body."""
    if not path.startswith("/") or not path.isprintable():
        raise ValueError(f"a path begins with a slash and has no control characters, unlike {path[:64]!r}")
    if not (method.isascii() and method.isalpha()):
        raise ValueError(f"a method is a word such as GET, not {method[:64]!r}")
    body = None if json is None else encode(json)
    headers = {} if body is None else {"Content-Type": "application/json"}
    method = method.upper()
    answer = yield from send(
        core, Request(method, path + _query(params or {}), headers, body, repeatable=method in REPEATABLE)
    )
    return read(lambda value: value, answer) if answer.body else None


def _query(params: Mapping[str, Any]) -> str:
    flat = {name: _texts(value) for name, value in params.items() if value is not None}
    return "?" + urlencode(flat, doseq=True) if flat else ""


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
    return [_text(each) for each in values]


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return json_.dumps(value) if isinstance(value, bool) else str(value)
