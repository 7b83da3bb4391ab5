"""How clients ask: each request under the key of its tenant, each answer noted in the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tests.fault.chaos.client_log import ClientLog, RequestedJob
from tests.fault.chaos.http_client import Answer, Hung, LoadBalancer, NoAnswer, NotSent

JOBS = "/v1/jobs"
NOTHING_ACCEPTED = ("record-away", "overloaded")

Headers = Mapping[str, str]


class ClientRequests:
    """Sends requests of several tenants; `keys` maps each to its API key."""

    def __init__(self, balancer: LoadBalancer, keys: Mapping[str, str], log: ClientLog) -> None:
        self._balancer, self._log = balancer, log
        self._headers = {tenant: {"authorization": f"Bearer {key}"} for tenant, key in keys.items()}
        self.tenants = list(keys)

    async def submit(
        self, job: RequestedJob, nap_s: float = 0.0, options: Mapping[str, Any] | None = None, headers: Headers | None = None
    ) -> Answer | None:  # fmt: skip
        """Submit the job; return the acknowledgement, if there was one. Raises NotSent."""
        body: dict[str, Any] = {"kind": job.kind, "input": {"number": job.number, "nap_s": nap_s}}
        more = headers or {}
        route = "wait" if "prefer" in more else "submit"
        answer = await self._post(route, job.tenant, body | ({"options": options} if options else {}), more)
        if answer is not None and answer.status in (200, 202):
            self._log.acknowledged += 1
            job.acknowledge(answer.json["id"])
            return answer
        if answer is not None and answer.status == 503 and answer.json["type"] in NOTHING_ACCEPTED:
            job.refused = True
        else:
            job.unknown = True
        return None

    async def submit_pure(self, tenant: str, number: int) -> None:
        """Submit work that is the same for everybody of the tenant. Raises NotSent."""
        answer = await self._post("pure", tenant, {"kind": "chaos.pure", "input": {"number": number}}, {})
        if answer is not None and answer.status in (200, 202):
            self._log.acknowledged += 1
            self._log.pure[tenant, number].add(answer.json["id"])

    async def ask(self, route: str, tenant: str, method: str, path: str) -> Answer | None:
        """Send a request without a body; return the answer, None if there was none."""
        try:
            return await self._ask(route, tenant, method, path)
        except NotSent:
            self._log.answers[route, 0] += 1
            return None

    async def _post(
        self, route: str, tenant: str, body: Mapping[str, Any], headers: Headers
    ) -> Answer | None:
        self._log.attempted += 1
        return await self._ask(route, tenant, "POST", JOBS, orjson.dumps(body), headers)

    async def _ask(
        self, route: str, tenant: str, method: str, path: str, body: bytes = b"", headers: Headers | None = None
    ) -> Answer | None:  # fmt: skip
        """Send a request; return None if the outcome is unknown. Raises NotSent."""
        try:
            answer = await self._balancer.ask(
                method, path, body, {**self._headers[tenant], **(headers or {})}
            )
        except Hung:
            self._log.violations.add("hung", f"{method} {path} {body[:200]!r}")
            return None
        except NoAnswer:
            self._log.answers[route, 0] += 1
            return None
        self._count_answer(route, answer)
        return answer

    def _count_answer(self, route: str, answer: Answer) -> None:
        """Count an answer; one that must never be given is a violation."""
        self._log.answers[route, answer.status] += 1
        self._log.latencies.add(route, answer.took_s)
        told = f"{route}: {answer.status} {answer.body[:300]!r}"
        if answer.status == 503 and "retry-after" not in answer.headers:
            self._log.violations.add("503 without Retry-After", told)
        elif answer.status >= 500 and answer.status != 503:
            self._log.violations.add("server error", told)
        elif 400 <= answer.status < 500 and answer.status != 404:
            self._log.violations.add("refused as wrong", told)
