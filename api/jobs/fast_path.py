"""The fast path: answer plain submits and look-ups from the raw scope, before FastAPI.

Submit one job, look up one job. It decides from the scope alone, before it receives anything, and passes whatever is
unusual on to FastAPI; of look-ups it answers only those that succeed, and it uses the same functions as the routes.
"""

from __future__ import annotations

from api.http.asgi import AsgiApp, Header, Receive, Scope, Send
from api.http.auth import ROUTE_SCOPES
from api.http.body import BodyLimits, read_body
from api.http.edge import REQUEST_ID, ROUTE, TRACEPARENT
from api.http.held_bytes import HeldBytes
from api.http.prefix import PREFIX, prefix_of
from api.http.problems import problem
from api.http.rate_limits import PAID, RateLimits, charge
from api.http.response import CLOSE, Reply, send_last, send_reply
from api.http.retry_after import RetryAfter
from api.jobs.forecast import Forecast
from api.jobs.job_response import found, matches, not_modified
from api.jobs.lookup import Lookup
from api.jobs.submit import Submission
from api.jobs.submit_body import submit_body
from api.jobs.submit_response import answer_submit
from api.keys.keyring import Identity, Keyring
from sluice.core.access import PAYLOADS
from sluice.core.document import show_under
from sluice.core.slo import CACHED
from sluice.errors import SluiceError

SUBMIT, LOOK_UP = "/v1/jobs", "/v1/jobs/{job_id}"
CACHED_LOOK_UP = LOOK_UP + CACHED
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
    }
)


class FastPath:
    """Wraps the FastAPI application."""

    def __init__(  # noqa: PLR0913  the parts it answers with
        self,
        app: AsgiApp,
        keyring: Keyring,
        submission: Submission,
        lookup: Lookup,
        forecast: Forecast,
        retry_after: RetryAfter,
        limits: BodyLimits,
        held: HeldBytes,
        rates: RateLimits,
    ) -> None:
        self._app, self._keyring = app, keyring
        self._submission, self._lookup, self._memory = submission, lookup, lookup.memory
        self._forecast, self._retry_after, self._held = forecast, retry_after, held
        self._submits, self._polls = rates
        self._most_body, self._body_timeout_s = min(MOST_BODY, limits.largest), limits.timeout_s
        self._submit_scopes = frozenset({ROUTE_SCOPES["POST", SUBMIT]})
        self._read_scopes = frozenset({ROUTE_SCOPES["GET", LOOK_UP], PAYLOADS})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a plain request here, and pass others on."""
        if scope["type"] == "http" and not scope["query_string"]:
            path = scope["raw_path"]
            if path == SUBMIT_PATH:
                if scope["method"] == "POST" and (plain := self._may_submit(scope)):
                    await self._submit(*plain, scope, receive, send)
                    return
            elif len(path) == JOB_PATH_LENGTH and path.startswith(JOB_PREFIX) and scope["method"] == "GET":
                reply = await self._look_up(scope)
                if reply is not None:
                    await send_reply(reply, send)
                    return
        await self._app(scope, receive, send)

    async def _look_up(self, scope: Scope) -> Reply | None:
        """Answer with the job's document, or return None if the request is not plain or does not succeed."""
        plain = _read_plain(scope["headers"])
        if plain is None or b"content-length" in plain:
            return None
        caller = self._find_caller(plain, self._read_scopes)
        if caller is None or not self._polls.try_spend(caller.key_id):
            return None
        job_id = scope["raw_path"][len(JOB_PREFIX) :].decode("latin-1")
        validators = plain.get(b"if-none-match")
        entry = self._memory.get(job_id)
        if entry is None or entry.document.tenant != caller.tenant or PREFIX in scope:
            return await self._look_further(scope, caller.tenant, job_id, validators)
        scope[ROUTE] = CACHED_LOOK_UP
        if validators is not None and matches(validators, entry.document):
            return entry.not_modified
        return entry.found

    async def _look_further(
        self, scope: Scope, tenant: str, job_id: str, validators: bytes | None
    ) -> Reply | None:
        try:
            document = await self._lookup.find(tenant, job_id)
        except SluiceError:
            scope[PAID] = True
            return None
        scope[ROUTE] = CACHED_LOOK_UP if document.finished else LOOK_UP
        if validators is not None and matches(validators, document):
            return not_modified(document, self._retry_after)
        return found(show_under(prefix_of(scope), self._forecast.fill_in(document)), self._retry_after)

    def _may_submit(self, scope: Scope) -> tuple[Identity, int] | None:
        """Return whose key it is and the size of the body if this is a plain submit with a verified key."""
        plain = _read_plain(scope["headers"])
        if plain is None or plain.get(b"content-type") != b"application/json" or b"if-none-match" in plain:
            return None
        length = plain.get(b"content-length", b"")
        if not length.isdigit() or not 0 < int(length) <= self._most_body:
            return None
        caller = self._find_caller(plain, self._submit_scopes)
        return (caller, int(length)) if caller else None

    async def _submit(self, caller: Identity, size: int, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer in any case: the body is read here, so FastAPI could no longer read it."""
        scope[ROUTE] = SUBMIT
        tenant = caller.tenant
        try:
            await charge(scope, self._submits, caller.key_id, shown=True)
            self._held.add(tenant, size)
            try:
                body = read_body(receive, size, self._body_timeout_s)
                trace, scopes = scope[TRACEPARENT], caller.scopes
                submitted = await submit_body(self._submission, tenant, await body, trace, scopes)
            finally:
                self._held.remove(tenant, size)
            reply = answer_submit(submitted, self._retry_after, prefix_of(scope))
        except SluiceError as error:
            reply = problem(error, scope[REQUEST_ID])
        if CLOSE in reply.headers:
            await send_last(reply, receive, send)
        else:
            await send_reply(reply, send)

    def _find_caller(self, plain: dict[bytes, bytes], scopes: frozenset[str]) -> Identity | None:
        caller = self._keyring.find_verified(plain.get(b"authorization", b""))
        return caller if caller is not None and scopes <= caller.scopes else None


def _read_plain(headers: list[Header]) -> dict[bytes, bytes] | None:
    """Return the headers that matter here, or None if one is unusual or comes twice."""
    plain: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in ONCE:
            if name in plain:
                return None
            plain[name] = value
        elif name in UNUSUAL:
            return None
    return plain
