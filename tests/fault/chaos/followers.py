"""Clients that watch a job: it must never be missing, never go back, and be right in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic, time
from typing import Any

from tests.fault.chaos.client_log import ClientLog, RequestedJob
from tests.fault.chaos.client_requests import ClientRequests
from tests.fault.chaos.kinds import answer_to

PAUSES_S = (0.05, 0.1, 0.2, 0.4)
AT_MOST_S = 60.0
CANCEL_TRIES = 20


class Follower:
    """Looks jobs up until they have finished, and cancels some."""

    def __init__(self, requests: ClientRequests, log: ClientLog) -> None:
        self._requests, self._log = requests, log

    async def follow(self, document: Mapping[str, Any], job: RequestedJob) -> None:
        """Look the job up again and again, at any api process."""
        self._log.followed += 1
        path, until, looks = f"/v1/jobs/{document['id']}", monotonic() + AT_MOST_S, 0
        while document["finished_at"] is None and monotonic() < until:
            await asyncio.sleep(PAUSES_S[min(looks, len(PAUSES_S) - 1)])
            looks, asked_at = looks + 1, time()
            answer = await self._requests.ask("look-up", job.tenant, "GET", path)
            if answer is not None and answer.status == 404:
                self._log.violations.add("not found after its 202", path)
            if answer is not None and answer.status == 200:
                document = self._newer(document, answer.json, asked_at)
        if document["state"] == "succeeded" and document["result"]["answer"] != answer_to(job.number):
            self._log.violations.add("wrong content seen", document)

    async def follow_as_stranger(self, document: Mapping[str, Any], job: RequestedJob) -> None:
        """Look for the job under the key of every other tenant."""
        for tenant in self._requests.tenants:
            if tenant != job.tenant:
                answer = await self._requests.ask("stranger", tenant, "GET", f"/v1/jobs/{document['id']}")
                if answer is not None and answer.status == 200:
                    self._log.violations.add("seen by a stranger", f"{tenant}: {answer.json}")

    async def cancel(self, job_id: str, job: RequestedJob) -> None:
        """Ask for the cancel until there is an answer, and note in the job what was promised."""
        job.cancel_requested = True
        for _ in range(CANCEL_TRIES):
            answer = await self._requests.ask("cancel", job.tenant, "POST", f"/v1/jobs/{job_id}/cancel")
            if answer is not None and answer.status in (200, 202):
                job.cancelled = answer.json["cancel_requested_at"] is not None
                return
            if answer is not None and answer.status == 404:
                self._log.violations.add("not found after its 202", f"cancel {job_id}")
            await asyncio.sleep(PAUSES_S[-1])

    def _newer(self, seen: Mapping[str, Any], now: Mapping[str, Any], asked_at: float) -> Mapping[str, Any]:
        if now["finished_at"] is None:
            self._log.unfinished_at[now["id"]] = asked_at
        if now["version"] < seen["version"]:
            self._log.violations.add("went back", f"{seen} then {now}")
        return now
