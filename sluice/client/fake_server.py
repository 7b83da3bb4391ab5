"""What `sluice.client.testing` answers with: jobs in memory, whose outcomes a test has written down, on a clock of its own."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import RLock
from typing import Any
from urllib.parse import unquote

from sluice.client.plan import Answer, Broken, Request
from sluice.client.values import uuid7

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Failure:
    """How a job fails, as its document says it."""

    type: str
    detail: str = ""
    title: str = "The job failed"


def fails(type: str = "handler-error", detail: str = "") -> Callable[[Any], Failure]:
    """Return what has a job fail; see the types in docs/http-api.md."""
    return lambda _: Failure(type, detail)


@dataclass(slots=True)
class Submitted:
    """A job as it was submitted, and when it ends by the clock of the fake, in seconds."""

    kind: str
    input: Any
    options: Mapping[str, Any]
    key: str | None
    id: str = field(default_factory=uuid7)
    created_s: float = 0.0
    ends_s: float = 0.0
    outcome: Any = None
    cancelled: bool = False


class FakeServer:
    """Answers requests of a client from memory."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.until_s = math.inf
        """Until when the clock may move while an answer is held."""
        self.submitted: list[Submitted] = []
        self._scripts: dict[str, tuple[Callable[[Any], Any], float]] = {}
        self._next: list[Answer | Broken] = []
        self._keys: dict[str, Submitted] = {}
        self._lock = RLock()

    def on(self, kind: str, outcome: Callable[[Any], Any], *, after_s: float = 0.0) -> None:
        """Say what comes of the jobs of a kind: a function of the input returns the output, or what `fails` returns."""
        self._scripts[kind] = outcome, after_s

    def answer_next(self, status: int, type: str = "", *, retry_after_s: int | None = None) -> None:
        """Answer one of the next requests with a problem instead; 0 stands for no answer at all. Several come one after another."""
        problem = {"type": type or "http-error", "status": status, "title": "", "detail": "", "errors": []}
        headers = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
        broken = Broken("the test says so", sent=True)
        self._next.append(Answer(status, headers, json.dumps(problem).encode()) if status else broken)

    def answer(self, request: Request) -> Answer | Broken:
        """Answer a request."""
        with self._lock:
            if self._next:
                return self._next.pop(0)
            path, _, _ = request.path.partition("?")
            steps = [unquote(each) for each in path.strip("/").split("/")][1:]
            body = json.loads(request.body) if request.body and steps[:1] == ["jobs"] else {}
            match request.method, steps:
                case "POST", ["jobs"]:
                    return self._submit(request, body)
                case "POST", ["jobs", "poll"]:
                    return self._poll(request, body)
                case "POST", ["batches"]:
                    return self._batch(request)
                case "GET", ["kinds"]:
                    return _json(200, {"kinds": [_kind(name) for name in self._scripts]})
                case method, ["jobs", id, *rest]:
                    found = next((each for each in self.submitted if each.id == id), None)
                    return self._job(request, method, found, rest) if found else _problem(404, "job-unknown")
            return _problem(404, "not-found")

    def _submit(self, request: Request, body: Mapping[str, Any]) -> Answer:
        key = request.headers.get("Idempotency-Key", "").strip('"') or None
        made = self._make(body, key)
        if made is None:
            return _problem(422, "kind-unknown")
        self._hold(request, made)
        return _json(200 if self._finished(made) else 202, self._document(made))

    def _make(self, item: Mapping[str, Any], key: str | None) -> Submitted | None:
        if key is not None and key in self._keys:
            return self._keys[key]
        if item["kind"] not in self._scripts:
            return None
        outcome, after_s = self._scripts[item["kind"]]
        after_s += item.get("options", {}).get("delay_s", 0)
        made = Submitted(item["kind"], item["input"], item.get("options", {}), key)
        made.created_s, made.ends_s = self.now_s, self.now_s + after_s
        made.outcome = outcome(made.input)
        self.submitted.append(made)
        if key is not None:
            self._keys[key] = made
        return made

    def _batch(self, request: Request) -> Answer:
        content = (request.body or b"").decode()
        is_lines = request.headers["Content-Type"] == "application/x-ndjson"
        rows = [json.loads(line) for line in content.split("\n")] if is_lines else json.loads(content)["jobs"]
        key = request.headers.get("Idempotency-Key")
        items = []
        for index, row in enumerate(rows):
            made = self._make(row, row.get("key") or (f"{key} {index}" if key else None))
            refused = {"type": "kind-unknown", "status": 422, "errors": [], "retryable": False}
            came = {"status": 202, "job": {"id": made.id}} if made else {"status": 422, "problem": refused}
            items.append({"index": index} | came)
        return _json(202, {"id": uuid7(), "items": items})

    def _poll(self, request: Request, body: Mapping[str, Any]) -> Answer:
        known = {each.id: each for each in self.submitted if each.id in body["jobs"]}
        unfinished = [each for each in known.values() if not self._finished(each)]
        if len(unfinished) == len(body["jobs"]):
            self._hold(request, min(unfinished, key=lambda each: each.ends_s))
        documents = [self._document(each) for each in known.values()]
        changed = [each for each in documents if each["version"] != body["jobs"][each["id"]]]
        return _json(
            200, {"jobs": changed, "unknown": [id for id in body["jobs"] if id not in known], "unfinished": 0}
        )

    def _job(self, request: Request, method: str, job: Submitted, rest: list[str]) -> Answer:
        if method == "GET" and rest == []:
            self._hold(request, job)
            return _json(200, self._document(job), etag='"3"' if self._finished(job) else 'W/"1"')
        if method == "GET" and rest == ["result"] and self._finished(job):
            return _json(200, job.outcome)
        if method == "GET" and rest == ["logs"]:
            return _json(200, {"lines": [], "next_page_token": None, "cut": False})
        if method == "POST" and rest == ["cancel"]:
            job.cancelled = job.cancelled or not self._finished(job)
            return _json(200, self._document(job))
        if method == "DELETE" and rest == []:
            if not self._finished(job):
                return _problem(409, "job-not-finished")
            self.submitted.remove(job)
            return Answer(204, {}, b"")
        return _problem(404, "not-found")

    def _hold(self, request: Request, job: Submitted) -> None:
        """Let the time pass for which the server was asked to wait for this job."""
        if not self._finished(job):
            self.now_s = max(self.now_s, min(self.now_s + request.wait_s, job.ends_s, self.until_s))

    def _finished(self, job: Submitted) -> bool:
        return job.cancelled or self.now_s >= job.ends_s

    def _document(self, job: Submitted) -> dict[str, Any]:
        finished, failed = self._finished(job), isinstance(job.outcome, Failure)
        state = (
            "cancelled" if job.cancelled else ("failed" if failed else "succeeded") if finished else "running"
        )
        error = (
            {"type": job.outcome.type, "title": job.outcome.title, "detail": job.outcome.detail}
            if failed
            else None
        )
        return {
            "id": job.id,
            "kind": job.kind,
            "state": state,
            "version": 3 if finished else 1,
            "created_at": _time(job.created_s),
            "finished_at": _time(min(job.ends_s, self.now_s)) if finished else None,
            "attempt": 1,
            "max_attempts": 1,
            "lane": job.options.get("lane", "default"),
            "priority": job.options.get("priority", "normal"),
            "tags": job.options.get("tags", []),
            "result": job.outcome if state == "succeeded" else None,
            "error": error if state == "failed" else None,
        }


def _time(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat()


def _kind(name: str) -> dict[str, Any]:
    return {"kind": name, "lane": "default", "version": 1, "input": {}, "output": {}}


def _json(status: int, value: Any, **headers: str) -> Answer:
    return Answer(status, headers, json.dumps(value).encode())


def _problem(status: int, type: str) -> Answer:
    return _json(
        status, {"type": type, "status": status, "title": "", "detail": "", "errors": [], "retryable": False}
    )
