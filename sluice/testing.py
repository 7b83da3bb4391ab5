"""Test your own handlers without a server: `run_handler` runs one as the consumer would.

from sluice.testing import run_handler
from my_package.shrink import shrink

def test_shrinks() -> None:
    assert run_handler(shrink, {"width": 10}).width == 10
"""

from __future__ import annotations

import asyncio
import json
import math
from codecs import BOM_UTF8
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel

from sluice.context import Context
from sluice.errors import BadInput
from sluice.handler import Handler
from sluice.handler_io import as_output, check_input, write_output
from sluice.job_logger import JobLogger
from sluice.kind_schemas import MAX_WHOLE
from sluice.output_check import find

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
    traceparent: str | None = None

    def context(self) -> Context:
        """Make the Context that the handler is given."""
        log = JobLogger({"job_id": self.job_id, "attempt": self.attempt})
        return Context(
            self.job_id, self.attempt, self.fence, log, self._report, lambda: self.stop, self.traceparent
        )

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

    A dict and bytes are read as the API reads them, strictly and under the same names; a model is handed over as it is. The
    output is written as in production, so what could not be sent fails here too. Raises BadInput, BadOutput, and whatever
    the handler raises (GiveUp, RetryLater). Works inside a running loop as well.
    """
    fake = fake or FakeContext(attempt=attempt)
    arguments: list[Any] = [_as_input(handler, given)]
    if handler.takes_context:
        arguments.append(fake.context())
    output = _in_a_loop(handler, arguments) if handler.runs_in == "loop" else handler(*arguments)
    model: O = as_output(handler, output)  # type: ignore[assignment]  # it is of the handler's model
    write_output(handler, model)
    return model


def _as_input(handler: Handler[I, O], given: I | Mapping[str, Any] | bytes) -> BaseModel:
    if isinstance(given, BaseModel):  # not through JSON: a secret or what is excluded would be lost
        if not isinstance(given, handler.input_model):
            raise BadInput(f"The input is {type(given).__name__} and not {handler.input_model.__name__}.")
        return given
    return check_input(handler, _as_json(given))


def _as_json(given: Mapping[str, Any] | bytes) -> bytes:
    if isinstance(given, bytes):
        given = given.removeprefix(BOM_UTF8)
    try:
        at = find(json.loads(given) if isinstance(given, bytes) else given, _is_unsafe)
        if at is None:
            return given if isinstance(given, bytes) else orjson.dumps(given)
    except (ValueError, orjson.JSONEncodeError) as error:
        raise BadInput(f"The input is not JSON: {error}; write it as clients send it.") from None
    raise BadInput(f"{at}: NaN, infinite numbers and whole numbers beyond ±(2^53-1) are not taken.")


def _is_unsafe(value: Any) -> bool:
    if isinstance(value, int):
        return not -MAX_WHOLE <= value <= MAX_WHOLE
    return isinstance(value, float) and not math.isfinite(value)


def _in_a_loop(handler: Handler[Any, Any], arguments: list[Any]) -> Any:
    async def call() -> Any:
        return await handler(*arguments)

    with ThreadPoolExecutor(1) as thread:  # a loop of its own, even if the test runs in one
        return thread.submit(asyncio.run, call()).result()
