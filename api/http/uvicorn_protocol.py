"""uvicorn's HTTP/1.1 protocol, with each answer sent in one system call instead of two, and with bounds for heads.

uvicorn keeps headers of any length, and so does its parser, before anybody has looked at a key; and it waits for ever for a
request that was not even begun, or not ended. Of pipelined requests it goes on reading more while it answers some, and makes
answers while the client reads none. Of a request that offers another protocol (Upgrade) its parser skips the body.
"""

from __future__ import annotations

import asyncio
from functools import partial
from operator import countOf, itemgetter
from typing import Any, cast

from httptools import HttpParserError, HttpParserUpgrade, parse_url
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from api.http.asgi import AsgiApp, Header, Receive, Scope, Send
from api.http.careful_cycle import be_careful
from api.http.connection_caps import ConnectionCaps
from api.http.edge import REFUSED, SECURITY, EdgeMiddleware
from api.http.errors import HeadersTooLarge, MalformedRequest, RequestTimeout, TooManyConnections
from api.http.joined_writes import JoinedWrites
from api.http.problems import problem
from api.http.quick_cycle import QuickCycle
from api.http.response import LINGER_S, Reply, send_reply
from api.http.unread_answers import COUNTED_FROM, UnreadAnswers
from sluice.errors import SluiceError

MOST_HEAD = 32 * 1024
"""Bytes of a request's target and headers together, and of what follows a body in parts."""

AT_ONCE = 8 * 1024
"""Bytes that are parsed at once: pipelined requests take a hundred times as much memory."""


class NoTrailers(list[Header]):
    """Where a request's trailers go: nobody reads them, so they are not kept."""

    def append(self, _: Header, /) -> None:
        """Drop it."""


_NO_TRAILERS = NoTrailers()


class Bodyless:
    """Stands for the request whose body the parser is skipping."""

    response_complete = True


_BODYLESS = cast(RequestResponseCycle, Bodyless())
_SLASH = ord("/")
_NAME = itemgetter(0)


class Protocol(HttpToolsProtocol):
    """What the api's server speaks. Its settings are attributes of its class, as uvicorn makes the instances."""

    head_timeout_s = 15.0
    """Seconds from the opening of a connection, or from the first byte of a later head, to the end of the head."""

    linger_s = LINGER_S

    edge: EdgeMiddleware | None = None
    """Counts what is refused here."""

    unread: UnreadAnswers | None = None
    """Counts the answers that clients have not read yet."""
    caps: ConnectionCaps | None = None
    """Bounds how many connections are open."""

    _refused = False
    _head_timer: asyncio.TimerHandle | None = None
    """Runs while the connection has no request, but for the time between two, which uvicorn watches."""
    _unparsed = 0
    """Bytes that came since a head was complete or a part of a body arrived: the parser may hold them all, unseen."""
    _before_offer: RequestResponseCycle | None = None
    _held = b""
    """What has come and is not parsed yet."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Join the writes of a new connection, unless it is one too many."""
        super().connection_made(cast(asyncio.Transport, JoinedWrites(transport, self.loop)))
        transport.set_write_buffer_limits(COUNTED_FROM)
        if self.caps is None or self.caps.admit(self, self.client[0] if self.client else ""):
            self._await_head()
        else:
            self._turn_away(self.caps.may_answer())

    def connection_lost(self, exc: Exception | None) -> None:
        """Watch it no longer."""
        self._stop_head_timer()
        for each in (self.unread, self.caps):
            if each is not None:
                each.remove(self)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Count what the client has not read."""
        super().pause_writing()
        if self.unread is not None:
            self.unread.add(self, self.transport)

    def resume_writing(self) -> None:
        """Count it no more."""
        if self.unread is not None:
            self.unread.remove(self)
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Parse it, but refuse a head as soon as it is too large, and drop the rest of one that was refused.

        While a request waits for the answers to earlier ones, nothing more is made of what comes.
        """
        if not self._held and not self.pipeline and len(data) <= AT_ONCE:
            self._feed(data)
            return
        data = self._held + data
        self._held = b""
        for begin in range(0, len(data), AT_ONCE):
            if self.pipeline:
                self._held = data[begin:]
                return
            self._feed(data[begin : begin + AT_ONCE])

    def on_headers_complete(self) -> None:
        """Start the request. Raises SluiceError, which ends the parsing before anybody sees the request."""
        self._stop_head_timer()
        if self._unparsed > MOST_HEAD and self._head_size() > MOST_HEAD:
            raise HeadersTooLarge
        hosts = countOf(map(_NAME, self.headers), b"host")
        if hosts != 1 and (hosts or self.parser.get_http_version() != "1.0"):
            raise MalformedRequest("It needs one Host header.")
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise MalformedRequest("CONNECT is for proxies.")
            self._before_offer, self.cycle = self.cycle, _BODYLESS
            return
        self._unparsed = 0
        if self.url[0] != _SLASH:
            self.url = _origin_form(self.url, self.parser.get_method())
        super().on_headers_complete()
        if self.expect_100_continue or self.scope["http_version"] != "1.1":
            be_careful(self.cycle, self.parser.should_keep_alive())
        else:
            self.cycle.__class__ = QuickCycle
        self.headers = _NO_TRAILERS

    def on_body(self, body: bytes) -> None:
        """Add a part to the body."""
        self._unparsed = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        """Answer the next request. Read on once all that are here are answered, or have begun to be."""
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()
        elif self._held:
            self.data_received(b"")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Start the answer, but not before the client has read the one before: only one of them may be held."""
        super()._start_asgi_task(
            cycle, cast(Any, partial(self._once_read, app)) if self.flow.write_paused else app
        )

    async def _once_read(self, app: AsgiApp, scope: Scope, receive: Receive, send: Send) -> None:
        await self.flow.drain()
        await app(scope, receive, send)

    def _feed(self, data: bytes) -> None:
        if self._refused or self.transport.is_closing():
            return
        self._unparsed += len(data)
        self._unset_keepalive_if_required()
        try:
            rest = None
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as offer:
                rest = data[offer.args[0] :]
            if rest is not None:  # not above, or errors would take the offer for their cause
                data = self._decline_offers(rest)
        except HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, SluiceError) else MalformedRequest(str(error)))
            return
        if self._unparsed > MOST_HEAD:
            self._refuse(HeadersTooLarge())
        elif self.cycle is None or self.cycle.response_complete:
            if self._unparsed == len(data):  # a head begins
                self._stop_head_timer()
            self._await_head()

    def _decline_offers(self, rest: bytes) -> bytes:
        """Parse a head with an offer to upgrade again without it, and then what follows; return what was parsed last.

        The parser takes what follows such a head for the other protocol, but no offer is accepted (RFC 9110 §7.8). Raises
        HttpParserError.
        """
        while True:
            self.cycle, self._before_offer = cast(RequestResponseCycle, self._before_offer), None
            data = self._head_without_offer() + rest
            self._unparsed = len(data)
            try:
                self.parser.feed_data(data)
                return data
            except HttpParserUpgrade as offer:
                rest = data[offer.args[0] :]

    def _head_without_offer(self) -> bytes:
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        lines = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        return b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, b"".join(lines))

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _await_head(self) -> None:
        """Give the client its time for a head; what comes of it meanwhile does not prolong that."""
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_timeout_s, self._give_up_head)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up_head(self) -> None:
        """Answer 408 if a request was begun; a connection that was opened in advance is just closed."""
        if self._unparsed and not self._refused:
            self._refuse(RequestTimeout())
        else:
            self.transport.close()

    def _turn_away(self, answers: bool) -> None:
        """Refuse the connection unread; what it sends is dropped."""
        self._refused = True
        if not answers:
            self.transport.abort()
            return
        self.transport.write(_bytes_of(_refusal(TooManyConnections())))
        self.loop.call_later(self.linger_s, self.transport.close)

    def _refuse(self, error: SluiceError) -> None:
        """Answer and close, but not before the client had time to read it; keep nothing of what it sent.

        Whole requests before it are answered first. The last of them then closes the connection, without this answer.
        """
        self._refused, self.headers = True, []
        self.parser = None  # type: ignore[assignment]  # as uvicorn has it
        cycle, reply = self.cycle, _refusal(error)
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body:
                cycle.keep_alive = False
                return
            if self.pipeline:
                self.pipeline[0] = (cycle, cast(Any, partial(self._answer_refusal, reply)))
                return
            if cycle.response_started:
                self.transport.close()
                return
            cycle.disconnected = True
            cycle.scope["state"][REFUSED] = reply.status
            cycle.message_event.set()
        elif self.edge:
            self.edge.record_refusal(reply.status)
        self.transport.write(_bytes_of(reply))
        self.loop.call_later(self.linger_s, self.transport.close)

    async def _answer_refusal(self, reply: Reply, scope: Scope, receive: Receive, send: Send) -> None:
        if self.edge:
            self.edge.record_refusal(reply.status)
        await send_reply(reply, send)


def _origin_form(target: bytes, method: bytes) -> bytes:
    """Return the path and query of a target in another form (RFC 9112 §3.2). Raises MalformedRequest."""
    if target == b"*" and method == b"OPTIONS":
        return b"/"
    try:
        parsed = parse_url(target)
    except HttpParserError:
        raise MalformedRequest("The target of the request is no path.") from None
    if not parsed.host:
        raise MalformedRequest("The target of the request is no path.")
    return (parsed.path or b"/") + (b"?" + parsed.query if parsed.query else b"")


def _refusal(error: SluiceError) -> Reply:
    reply = problem(error, "")
    return reply._replace(headers=[*reply.headers, *SECURITY])


def _bytes_of(reply: Reply) -> bytes:
    headers = b"".join(b"%b: %b\r\n" % header for header in reply.headers)
    return b"%b%b\r\n%b" % (STATUS_LINE[reply.status], headers, reply.body)
