"""A kind that tells which trace it is a part of, for handlers' own spans."""

from __future__ import annotations

import logging

from pydantic import BaseModel

from sluice import Context, handler


class Nothing(BaseModel):
    """It needs no input."""


class Seen(BaseModel):
    """The trace context that the handler was given."""

    traceparent: str | None


@handler("own.traced")
async def tell_trace(_: Nothing, context: Context) -> Seen:
    """Tell it, and log a line of our own and one through the job's logger."""
    logging.getLogger("own").warning("seen by a handler")
    context.log.warning("seen by its context")
    return Seen(traceparent=context.traceparent)
