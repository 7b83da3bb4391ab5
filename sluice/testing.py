"""Test your own handlers without a server: `run_handler` runs one as the consumer would.

from sluice.testing import run_handler
from my_package.shrink import shrink

def test_shrinks() -> None:
    assert run_handler(shrink, {"width": 10}).width == 10
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel

from sluice.context import Context
from sluice.handler import Handler
from sluice.handler_io import read_input, write_output
from sluice.job_logger import JobLogger

I = TypeVar("I", bound=BaseModel)  # noqa: E741  the input model
O = TypeVar("O", bound=BaseModel)  # noqa: E741  the output model


@dataclass
class FakeContext:
    """Stands in for the consumer: `progress` collects (percent, note), `stop` asks the handler to end."""

    job_id: str = "01900000-0000-7000-8000-000000000000"
    attempt: int = 1
    fence: int = 1
    progress: list[tuple[float, str]] = field(default_factory=list)
    stop: bool = False

    def context(self) -> Context:
        """Make the Context that the handler is given."""
        log = JobLogger({"job_id": self.job_id, "attempt": self.attempt})
        return Context(self.job_id, self.attempt, self.fence, log, self._report, lambda: self.stop)

    def _report(self, percent: float, note: str) -> None:
        self.progress.append((percent, note))


def run_handler(
    handler: Handler[I, O],
    given: I | Mapping[str, Any] | bytes,
    *,
    attempt: int = 1,
    fake: FakeContext | None = None,
) -> O:
    """Run a handler and return its output. The input is a model, a dict, or JSON as bytes.

    Input and output pass through JSON as they do in production, so what could not be sent fails here too. Raises
    BadInput, BadOutput, and whatever the handler raises (GiveUp, RetryLater). Works inside a running loop as well.
    """
    fake = fake or FakeContext(attempt=attempt)
    arguments: list[Any] = [read_input(handler, _as_json(given))]
    if handler.takes_context:
        arguments.append(fake.context())
    output = _in_a_loop(handler, arguments) if handler.runs_in == "loop" else handler(*arguments)
    return handler.output_model.model_validate_json(write_output(handler, output))


def _as_json(given: BaseModel | Mapping[str, Any] | bytes) -> bytes:
    if isinstance(given, BaseModel):
        return given.model_dump_json().encode()
    return given if isinstance(given, bytes) else orjson.dumps(given)


def _in_a_loop(handler: Handler[Any, Any], arguments: list[Any]) -> Any:
    async def call() -> Any:
        return await handler(*arguments)

    with ThreadPoolExecutor(1) as thread:  # a loop of its own, even if the test runs in one
        return thread.submit(asyncio.run, call()).result()
