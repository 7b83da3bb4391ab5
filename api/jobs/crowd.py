"""Refuse submits unread while more come at once than can be read in time, and commits are late already."""

from __future__ import annotations

import asyncio

from api.http.asgi import AsgiApp, Receive, Scope, Send
from api.http.edge import REQUEST_ID, ROUTE
from api.http.problems import problem
from api.http.response import send_reply
from api.jobs.fast_path import SUBMIT, SUBMIT_PATH
from api.jobs.submit import Submission
from sluice.core.errors import Overloaded

SUBMIT_KIND, KIND_PREFIX = "/v1/kinds/{kind}/jobs", b"/v1/kinds/"

AT_ONCE = 32
"""Submits of one turn of the loop that are read in any case: what else is ready waits for them, some 6 ms."""


class Crowd:
    """Wraps what answers submits, and counts those that begin in one turn of the loop.

    Many are ready at once if the process is behind: turns take longer then, and every answer waits for its turn. To read a
    submit costs several times as much as to refuse it, so of those that would be refused most are not read.
    """

    def __init__(self, app: AsgiApp, submission: Submission) -> None:
        self._app, self._submission = app, submission
        self._begun = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a submit that comes with too many others, and pass everything else on."""
        if scope["type"] == "http" and scope["method"] == "POST":
            path = scope["raw_path"]
            if path == SUBMIT_PATH or path.startswith(KIND_PREFIX):
                try:
                    self._join()
                except Overloaded as error:
                    scope[ROUTE] = SUBMIT if path == SUBMIT_PATH else SUBMIT_KIND
                    await send_reply(problem(error, scope[REQUEST_ID]), send)
                    return
        await self._app(scope, receive, send)

    def _join(self) -> None:
        """Count one more. Raises Overloaded if too many began before it in this turn, and a commit would begin too late."""
        if not self._begun:
            asyncio.get_running_loop().call_soon(self._begin_turn)
        self._begun += 1
        if self._begun > AT_ONCE:
            self._submission.check_room()

    def _begin_turn(self) -> None:
        self._begun = 0
