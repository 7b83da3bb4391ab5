"""Describe streams of events."""

from __future__ import annotations

from api.http.openapi import Json

STREAM: Json = {
    "parameters": [
        {
            "name": "Last-Event-ID",
            "in": "header",
            "description": "The id of the last event that you have",
            "schema": {"type": "string", "maxLength": 64},
        }
    ]
}
NOTHING_MORE: Json = {"description": "You have its last event: do not come again"}


def stream_of(what: str) -> Json:
    """Describe an answer that is a stream."""
    return {"description": what, "content": {"text/event-stream": {"schema": {"type": "string"}}}}
