"""Answers that show bulk acts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from api.bulk.schemas import BulkActDocument
from api.http.asgi import Header
from api.http.response import JSON, VARY, Reply, content_length, json_reply
from api.jobs.job_response import matches
from sluice.core.bulk import BulkAct
from sluice.core.document import Document

PATH = "/v1/bulk"
_ASK_AGAIN: Header = (b"cache-control", b"private, no-cache")
_SOON: Header = (b"retry-after", b"2")


def show_act(status: int, act: BulkAct, prefix: str, validators: bytes = b"") -> Reply:
    """Answer with the act, or 304 if the client has this version."""
    headers = [(b"etag", b'"%d"' % act.version), _ASK_AGAIN, VARY]
    headers += [] if act.rests else [_SOON]
    if status == 202:
        headers.append((b"location", f"{PATH}/{act.id}".encode()))
    if validators and matches(validators, Document(act.id, "", act.version, "", 0, 0, b"")):
        return Reply(304, headers, b"")
    body = orjson.dumps(_show(act, prefix), option=orjson.OPT_UTC_Z)
    return Reply(status, [JSON, content_length(body), *headers], body)


def show_acts(acts: Sequence[BulkAct], token: str | None, prefix: str) -> Reply:
    """Answer 200 with a page."""
    shown = {"acts": [_show(act, prefix) for act in acts], "next_page_token": token}
    return json_reply(200, orjson.dumps(shown, option=orjson.OPT_UTC_Z))


def _show(act: BulkAct, prefix: str) -> dict[str, Any]:
    wanted = act.wanted._asdict()
    link = f"{prefix}{PATH}/{act.id}"
    shown = act._asdict() | {
        "filter": {"state": wanted.pop("states")} | {name: each for name, each in wanted.items() if each},
        "links": {"self": link, "go": f"{link}/go", "abort": f"{link}/abort"},
    }
    return {name: shown[name] for name in BulkActDocument.model_fields}
