"""All hostile kinds in one module, as `SLUICE_HANDLERS` wants it, and those that a short run tries."""

from __future__ import annotations

from tests.fault.hostile.case import CASES
from tests.fault.hostile.kinds import (  # noqa: F401  importing them fills the table
    deaths,
    event_loop,
    exits,
    floods,
    leaks,
    left_behind,
    outputs,
    programs,
    surroundings,
    waits,
)

SHORT = (
    "exits-in-gather.loop", "exits-later-in-task.loop", "interrupts-main.thread", "gives-up-in-group.process",
    "leaves.loop", "kills-itself.process", "closes-everything.thread", "pools-by-fork.thread",
    "forks-into-the-handler.loop", "leaves-a-session.process", "sleeps.loop", "sleeps.thread",
    "cancels-everybody.loop", "swallows-its-cancelling.loop", "changes-into-a-directory-that-goes.process",
    "forbids-everything.process", "sets-a-task-factory.loop", "closes-its-output.loop", "returns-too-much.process", "raises-what-exits.loop",
    "prints-without-end.thread", "leaves-an-interrupting-thread.process", "leaves-an-exiting-thread.thread", "makes-its-host-deaf.loop",
)  # fmt: skip
"""Names of cases that take a second or two, one or more of each sort."""

globals().update({case.name: case.kind for case in CASES.values()})
