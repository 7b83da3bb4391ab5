"""Clients that watch a job: what they see must never be missing, never go back, and be right in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic, time
from typing import Any

from tests.fault.chaos.client_log import ClientLog, Wish
from tests.fault.chaos.client_requests import Asking
from tests.fault.chaos.kinds import answer_to

PAUSES_S = (0.05, 0.1, 0.2, 0.4)
AT_MOST_S = 60.0
CANCEL_TRIES = 20


class Follower:
    """Looks jobs up until they have finished, and cancels some."""

    def __init__(self, asking: Asking, book: ClientLog) -> None:
        self._asking, self._book = asking, book

    async def follow(self, document: Mapping[str, Any], wish: Wish) -> None:
        """Look again and again, at any api process."""
        self._book.followed += 1
        path, until, looks = f"/v1/jobs/{document['id']}", monotonic() + AT_MOST_S, 0
        while document["finished_at"] is None and monotonic() < until:
            await asyncio.sleep(PAUSES_S[min(looks, len(PAUSES_S) - 1)])
            looks, asked_at = looks + 1, time()
            answer = await self._asking.ask("look-up", wish.tenant, "GET", path)
            if answer is not None and answer.status == 404:
                self._book.wrongs.add("not found after its 202", path)
            if answer is not None and answer.status == 200:
                document = self._newer(document, answer.json, asked_at)
        if document["state"] == "succeeded" and document["result"]["answer"] != answer_to(wish.number):
            self._book.wrongs.add("wrong content seen", document)

    async def follow_as_stranger(self, document: Mapping[str, Any], wish: Wish) -> None:
        """Look for it under the key of every other tenant."""
        for tenant in self._asking.tenants:
            if tenant != wish.tenant:
                answer = await self._asking.ask("stranger", tenant, "GET", f"/v1/jobs/{document['id']}")
                if answer is not None and answer.status == 200:
                    self._book.wrongs.add("seen by a stranger", f"{tenant}: {answer.json}")

    async def cancel(self, job_id: str, wish: Wish) -> None:
        """Ask for it until there is an answer: what was promised then is kept in the wish."""
        wish.regretted = True
        for _ in range(CANCEL_TRIES):
            answer = await self._asking.ask("cancel", wish.tenant, "POST", f"/v1/jobs/{job_id}/cancel")
            if answer is not None and answer.status in (200, 202):
                wish.cancelled = answer.json["cancel_requested_at"] is not None
                return
            if answer is not None and answer.status == 404:
                self._book.wrongs.add("not found after its 202", f"cancel {job_id}")
            await asyncio.sleep(PAUSES_S[-1])

    def _newer(self, seen: Mapping[str, Any], now: Mapping[str, Any], asked_at: float) -> Mapping[str, Any]:
        if now["finished_at"] is None:
            self._book.unfinished_at[now["id"]] = asked_at
        if now["version"] < seen["version"]:
            self._book.wrongs.add("went back", f"{seen} then {now}")
        return now
