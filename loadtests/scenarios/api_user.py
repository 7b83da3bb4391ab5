"""What every user of the load shares: a key, requests that tell a refusal from an error, and jobs to submit."""

from __future__ import annotations

import random
import time
from collections.abc import Collection
from typing import Any, ClassVar, NamedTuple

from locust import FastHttpUser
from locust.contrib.fasthttp import ResponseContextManager
from locust.env import Environment

from loadtests import config
from loadtests.verdict import JOB, POLL, REFUSED

SHED = (429, 503)
FINISHED = {"succeeded", "failed", "cancelled"}


class Answer(NamedTuple):
    """What came back. `document` is empty if there was no body."""

    status: int
    etag: str
    advised_s: float
    document: dict[str, Any]


class ApiUser(FastHttpUser):
    """Speaks to the one target. Subclasses name in `rows` what must be answered."""

    abstract = True
    rows: ClassVar[tuple[str, ...]] = ()
    network_timeout = connection_timeout = config.JOB_DEADLINE_S

    def __init__(self, environment: Environment) -> None:
        found = config.target()
        self.host = found.url
        super().__init__(environment)
        self._authorization = f"Bearer {found.key}"

    def ask(self, method: str, path: str, name: str, expected: Collection[int], **more: Any) -> Answer | None:
        """Return the answer if it is one of those expected. None if it was refused (after the advised pause) or wrong."""
        headers = {"Authorization": self._authorization} | more.pop("headers", {})
        with self.client.request(
            method, path, name=name, headers=headers, catch_response=True, **more
        ) as response:
            if response.status_code in expected:
                response.success()
                return _read(response)
            _judge(response, name)
        time.sleep(_advised_s(response))
        return None

    def submit(self, name: str, expected: Collection[int], **headers: str) -> tuple[Answer | None, int]:
        """Submit a sum that nobody asked for before; return the answer and the total it must come to."""
        values = [random.getrandbits(39), random.getrandbits(39)]
        body = {"kind": "demo.sum", "input": {"values": values}}
        return self.ask("POST", "/v1/jobs", name, expected, json=body, headers=headers), sum(values)

    def follow(self, answer: Answer) -> dict[str, Any]:
        """Poll as advised until the job is finished or its time is up; return its last document."""
        document, until = answer.document, time.perf_counter() + config.JOB_DEADLINE_S
        while document["state"] not in FINISHED and time.perf_counter() < until:
            time.sleep(answer.advised_s)
            known = {"If-None-Match": answer.etag} if answer.etag else {}
            answer = self.ask("GET", document["links"]["self"], POLL, (200, 304), headers=known) or answer
            document = answer.document or document
        return document

    def report(self, name: str, began: float, document: dict[str, Any], total: int) -> None:
        """Count a job, as an error unless it succeeded with the total of its own input."""
        good = document["state"] == "succeeded" and document["result"] == {"total": total}
        self.environment.events.request.fire(
            request_type=JOB, name=name, response_time=(time.perf_counter() - began) * 1000, response_length=0,
            exception=None if good else ValueError(f"ended as {document['state']}: {document['error']}"), context={},
        )  # fmt: skip


def _read(response: ResponseContextManager) -> Answer:
    document = response.json() if response.text else {}
    return Answer(response.status_code, _header(response, "etag"), _advised_s(response), document)


def _advised_s(response: ResponseContextManager) -> float:
    """Return how long the answer asks to stay away; a second if it does not say."""
    return min(float(_header(response, "retry-after") or 1), config.LONGEST_ADVICE_S)


def _header(response: ResponseContextManager, name: str) -> str:
    return str(response.headers.get(name) or "") if response.headers else ""


def _judge(response: ResponseContextManager, name: str) -> None:
    """Give refusals that say when to come back a row of their own; all else is an error."""
    if response.status_code in SHED and _header(response, "retry-after"):
        response.request_meta["name"] = f"{name}{REFUSED}"
        response.success()  # type: ignore[no-untyped-call]  # locust has no types here
    else:
        response.failure(f"{response.status_code}: {(response.text or '')[:200]}")  # type: ignore[no-untyped-call]  # locust has no types here
