"""Describe streams of events."""

from __future__ import annotations

from api.http.openapi import Json

STREAM: Json = {
    "parameters": [
        {
            "name": "Last-Event-ID",
            "in": "header",
            "description": "The id of the last event that you have",
            "schema": {"type": "string"},
        }
    ]
}
_EVENT: Json = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "What to send as `Last-Event-ID` to go on behind it"},
        "event": {"enum": ["state", "progress", "log", "end", "reset"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["id", "event", "data"],
}
NOTHING_MORE: Json = {"description": "You have its last event: do not come again"}


def stream_of(what: str) -> Json:
    """Describe an answer that is a stream, by each of its events as OpenAPI 3.2 does: `schema` would be that of the whole."""
    return {"description": what, "content": {"text/event-stream": {"itemSchema": _EVENT}}}
