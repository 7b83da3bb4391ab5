"""The express lane: answers the plain form of the two most frequent requests from the raw scope, before FastAPI.

Submit one job, look up one job. It decides from the scope alone, before it receives anything, and lets through to
FastAPI whatever is unusual; it only says yes to look-ups, and uses the very functions that the routes use.
"""

from __future__ import annotations

from api.http import response as answers
from api.http.auth import SCOPES
from api.http.body import read_body
from api.http.edge import REQUEST_ID, ROUTE, TRACEPARENT, AsgiApp, Scope
from api.http.problems import problem
from api.http.response import CLOSE, Header, Receive, Reply, Send, send_last, send_reply
from api.keys.keyring import Identity
from api.state import ApiState
from sluice.errors import SluiceError

SUBMIT, LOOK_UP = "/v1/jobs", "/v1/jobs/{job_id}"
SUBMIT_PATH, JOB_PREFIX = b"/v1/jobs", b"/v1/jobs/"
JOB_PATH_LENGTH = len(JOB_PREFIX) + 36
MOST_BODY = 64 * 1024

ONCE = frozenset({b"authorization", b"if-none-match", b"content-type", b"content-length"})
UNUSUAL = frozenset(
    {
        b"prefer",
        b"range",
        b"expect",
        b"content-encoding",
        b"transfer-encoding",
        b"idempotency-key",
        b"upgrade",
    }
)


class FastPath:
    """Wraps the FastAPI application."""

    def __init__(self, app: AsgiApp, state: ApiState) -> None:
        self._app, self._desk = app, state
        self._memory = state.lookup.memory
        self._most_body = min(MOST_BODY, state.body_limit)
        self._submit_scope, self._read_scope = SCOPES["POST", SUBMIT], SCOPES["GET", LOOK_UP]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer it here if it is plain, else let it through."""
        if scope["type"] == "http" and not scope["query_string"]:
            path = scope["raw_path"]
            if path == SUBMIT_PATH:
                if scope["method"] == "POST" and (tenant := self._may_submit(scope)):
                    await self._submit(tenant, scope, receive, send)
                    return
            elif len(path) == JOB_PATH_LENGTH and path.startswith(JOB_PREFIX) and scope["method"] == "GET":
                reply = await self._look_up(scope)
                if reply is not None:
                    scope[ROUTE] = LOOK_UP
                    await send_reply(reply, send)
                    return
        await self._app(scope, receive, send)

    async def _look_up(self, scope: Scope) -> Reply | None:
        """The job's document, or None where this is not a plain question with a good answer."""
        plain = _plain(scope["headers"])
        if plain is None or b"content-length" in plain:
            return None
        caller = self._caller(plain, self._read_scope)
        if caller is None:
            return None
        job_id = scope["raw_path"][len(JOB_PREFIX) :].decode("latin-1")
        validators = plain.get(b"if-none-match")
        held = self._memory.get(job_id)
        if held is None or held.document.tenant != caller.tenant:
            return await self._look_further(caller.tenant, job_id, validators)
        if validators is not None and answers.matches(validators, held.document):
            return held.not_modified
        return held.found

    async def _look_further(self, tenant: str, job_id: str, validators: bytes | None) -> Reply | None:
        try:
            document = await self._desk.lookup.find(tenant, job_id)
        except SluiceError:
            return None
        if validators is not None and answers.matches(validators, document):
            return answers.not_modified(document, self._desk.advisor)
        return answers.found(document, self._desk.advisor)

    def _may_submit(self, scope: Scope) -> str | None:
        """The tenant, where this is a plain submit with a known key."""
        plain = _plain(scope["headers"])
        if plain is None or plain.get(b"content-type") != b"application/json" or b"if-none-match" in plain:
            return None
        length = plain.get(b"content-length", b"")
        if not length.isdigit() or not 0 < int(length) <= self._most_body:
            return None
        caller = self._caller(plain, self._submit_scope)
        return caller.tenant if caller else None

    async def _submit(self, tenant: str, scope: Scope, receive: Receive, send: Send) -> None:
        """From here on every answer is ours: the body has been read."""
        scope[ROUTE] = SUBMIT
        state = self._desk
        try:
            raw = await read_body(receive, self._most_body, state.settings.body_timeout_s)
            answer = await state.submission.submit_body(tenant, raw, scope[TRACEPARENT])
            reply = answers.accepted(answer, state.advisor)
        except SluiceError as error:
            reply = problem(error, scope[REQUEST_ID])
        if CLOSE in reply.headers:
            await send_last(reply, receive, send)
        else:
            await send_reply(reply, send)

    def _caller(self, plain: dict[bytes, bytes], scope: str) -> Identity | None:
        caller = self._desk.keyring.find_verified(plain.get(b"authorization", b""))
        return caller if caller is not None and scope in caller.scopes else None


def _plain(headers: list[Header]) -> dict[bytes, bytes] | None:
    """The headers that matter here, or None where one is unusual or comes twice."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in ONCE:
            if name in found:
                return None
            found[name] = value
        elif name in UNUSUAL:
            return None
    return found
