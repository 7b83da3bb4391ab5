"""Clients that watch a job: what they see must never be missing, never go back, and be right in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import Any

from tests.fault.chaos.book import Book, Wish
from tests.fault.chaos.kinds import answer_to
from tests.fault.chaos.wire import Answer, Doors, Hung, NoAnswer, NotSent

PAUSES_S = (0.05, 0.1, 0.2, 0.4)
AT_MOST_S = 60.0
CANCEL_TRIES = 20


class Follower:
    """Looks jobs up until they have finished, and cancels some."""

    def __init__(self, doors: Doors, book: Book) -> None:
        self._doors, self._book = doors, book

    async def follow(self, document: Mapping[str, Any], number: int) -> None:
        """Look again and again, at any api process."""
        self._book.followed += 1
        path, until, looks = f"/v1/jobs/{document['id']}", monotonic() + AT_MOST_S, 0
        while document["finished_at"] is None and monotonic() < until:
            await asyncio.sleep(PAUSES_S[min(looks, len(PAUSES_S) - 1)])
            looks += 1
            answer = await self._ask("look-up", "GET", path)
            if answer is not None and answer.status == 404:
                self._book.wrongs.add("not found after its 202", path)
            if answer is not None and answer.status == 200:
                document = self._newer(document, answer.json)
        if document["state"] == "succeeded" and document["result"]["answer"] != answer_to(number):
            self._book.wrongs.add("wrong content seen", document)

    async def cancel(self, job_id: str, wish: Wish) -> None:
        """Ask for it until there is an answer: what was promised then is kept in the wish."""
        wish.regretted = True
        for _ in range(CANCEL_TRIES):
            answer = await self._ask("cancel", "POST", f"/v1/jobs/{job_id}/cancel")
            if answer is not None and answer.status in (200, 202):
                wish.cancelled = answer.json["cancel_requested_at"] is not None
                return
            if answer is not None and answer.status == 404:
                self._book.wrongs.add("not found after its 202", f"cancel {job_id}")
            await asyncio.sleep(PAUSES_S[-1])

    def heard(self, route: str, answer: Answer) -> None:
        """Count an answer; what no answer may be is a wrong."""
        self._book.answers[route, answer.status] += 1
        self._book.latencies.add(route, answer.took_s)
        if answer.status == 503 and "retry-after" not in answer.headers:
            self._book.wrongs.add("503 without Retry-After", f"{route}: {answer.body[:200]!r}")
        elif answer.status >= 500 and answer.status != 503:
            self._book.wrongs.add("server error", f"{route}: {answer.status} {answer.body[:200]!r}")
        elif 400 <= answer.status < 500 and answer.status != 404:
            self._book.wrongs.add("refused as wrong", f"{route}: {answer.status} {answer.body[:200]!r}")

    def _newer(self, seen: Mapping[str, Any], now: Mapping[str, Any]) -> Mapping[str, Any]:
        if now["version"] < seen["version"]:
            self._book.wrongs.add("went back", f"{seen} then {now}")
        return now

    async def _ask(self, route: str, method: str, path: str) -> Answer | None:
        try:
            answer = await self._doors.ask(method, path)
        except Hung:
            self._book.hung += 1
            self._book.wrongs.add("hung", f"{method} {path}")
            return None
        except (NoAnswer, NotSent):
            self._book.answers[route, 0] += 1
            return None
        self.heard(route, answer)
        return answer
