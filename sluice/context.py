"""The context that a handler may take: its attempt, progress, and whether it should stop."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Context:
    """The attempt in which a handler runs.

    `job_id` is the text of a UUIDv7; `attempt` counts from 1; `fence` rises with every claim, so it orders the runs of
    one job in systems outside. `log` is bound to the job. `traceparent` is the W3C trace context of the attempt, for spans of
    your own and for requests that you send; None if the job has none.
    """

    job_id: str
    attempt: int
    fence: int
    log: logging.LoggerAdapter[logging.Logger]
    report: Callable[[float, str], None] = field(repr=False)
    stop_asked: Callable[[], bool] = field(repr=False)
    traceparent: str | None = None

    def progress(self, percent: float, note: str = "") -> None:
        """Tell the client how far the work is (0 to 100). Cheap: sent at most twice a second."""
        self.report(min(100.0, max(0.0, float(percent))), note[:200])

    def should_stop(self) -> bool:
        """True once the job was cancelled, its time ran out or the consumer is stopping: end as soon as is convenient."""
        return self.stop_asked()
