"""A finished Reply as a response that FastAPI can send, without another pass over headers and body."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response

from api.http.edge import Scope
from api.http.response import CLOSE, Header, Receive, Reply, Send, send_last, send_reply
from api.state import ApiState


class ReplyResponse(Response):
    """Sends a Reply as it is."""

    def __init__(self, reply: Reply, more: Iterable[Header] = ()) -> None:
        self.status_code = reply.status
        self.body = reply.body
        self.raw_headers = [*reply.headers, *more]
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; where it closes the connection, give the client time to read it."""
        reply = Reply(self.status_code, self.raw_headers, bytes(self.body))
        if CLOSE in self.raw_headers:
            await send_last(reply, receive, send)
        else:
            await send_reply(reply, send)


def state_of(request: Request) -> ApiState:
    """The desk of the application that answers this request."""
    state: ApiState = request.app.state.state
    return state
