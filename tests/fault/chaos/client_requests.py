"""How clients ask: each request under the key of its tenant, and whatever it is told goes into the book."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tests.fault.chaos.client_log import ClientLog, Wish
from tests.fault.chaos.http_client import Answer, Doors, Hung, NoAnswer, NotSent

JOBS = "/v1/jobs"
NOTHING_ACCEPTED = ("record-away", "overloaded")

Headers = Mapping[str, str]


class Asking:
    """Requests of several tenants; `keys` maps each to its API key."""

    def __init__(self, doors: Doors, keys: Mapping[str, str], book: ClientLog) -> None:
        self._doors, self._book = doors, book
        self._headers = {tenant: {"authorization": f"Bearer {key}"} for tenant, key in keys.items()}
        self.tenants = list(keys)

    async def submit(
        self, wish: Wish, nap_s: float = 0.0, options: Mapping[str, Any] | None = None, headers: Headers | None = None
    ) -> Answer | None:  # fmt: skip
        """Its acknowledgement, if there was one. Raises NotSent."""
        body: dict[str, Any] = {"kind": wish.kind, "input": {"number": wish.number, "nap_s": nap_s}}
        more = headers or {}
        route = "wait" if "prefer" in more else "submit"
        answer = await self._post(route, wish.tenant, body | ({"options": options} if options else {}), more)
        if answer is not None and answer.status in (200, 202):
            self._book.acknowledged += 1
            wish.told(answer.json["id"])
            return answer
        if answer is not None and answer.status == 503 and answer.json["type"] in NOTHING_ACCEPTED:
            wish.refused = True
        else:
            wish.unknown = True
        return None

    async def submit_pure(self, tenant: str, number: int) -> None:
        """Work that is the same for everybody of the tenant. Raises NotSent."""
        answer = await self._post("pure", tenant, {"kind": "chaos.pure", "input": {"number": number}}, {})
        if answer is not None and answer.status in (200, 202):
            self._book.acknowledged += 1
            self._book.pure[tenant, number].add(answer.json["id"])

    async def ask(self, route: str, tenant: str, method: str, path: str) -> Answer | None:
        """The answer to a request without a body; None where there was none."""
        try:
            return await self._ask(route, tenant, method, path)
        except NotSent:
            self._book.answers[route, 0] += 1
            return None

    async def _post(
        self, route: str, tenant: str, body: Mapping[str, Any], headers: Headers
    ) -> Answer | None:
        self._book.attempted += 1
        return await self._ask(route, tenant, "POST", JOBS, orjson.dumps(body), headers)

    async def _ask(
        self, route: str, tenant: str, method: str, path: str, body: bytes = b"", headers: Headers | None = None
    ) -> Answer | None:  # fmt: skip
        """None where the outcome is unknown. Raises NotSent."""
        try:
            answer = await self._doors.ask(method, path, body, {**self._headers[tenant], **(headers or {})})
        except Hung:
            self._book.wrongs.add("hung", f"{method} {path} {body[:200]!r}")
            return None
        except NoAnswer:
            self._book.answers[route, 0] += 1
            return None
        self._heard(route, answer)
        return answer

    def _heard(self, route: str, answer: Answer) -> None:
        """Count an answer; what no answer may be is a wrong."""
        self._book.answers[route, answer.status] += 1
        self._book.latencies.add(route, answer.took_s)
        told = f"{route}: {answer.status} {answer.body[:300]!r}"
        if answer.status == 503 and "retry-after" not in answer.headers:
            self._book.wrongs.add("503 without Retry-After", told)
        elif answer.status >= 500 and answer.status != 503:
            self._book.wrongs.add("server error", told)
        elif 400 <= answer.status < 500 and answer.status != 404:
            self._book.wrongs.add("refused as wrong", told)
