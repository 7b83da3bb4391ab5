"""Act on risky settings of servers: some end the process, the others are logged and shown.

A server can be checked only once it answers, which may be long after the start; so the code that can stop the process
registers here how to do so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.errors import StartRefused


class ConfigProblems:
    """The problems known to one process. `lines` are those it works with nevertheless, for people to read."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._known: dict[str, tuple[str, ...]] = {}
        self._refusal: StartRefused | None = None
        self._stop: Callable[[], object] | None = None

    @property
    def lines(self) -> list[str]:
        """Every known problem."""
        return [line for lines in self._known.values() for line in lines]

    def report(self, server: str, lines: Sequence[str]) -> None:
        """Replace the problems of a server with these; each new one is logged."""
        before = self._known.get(server, ())
        self._known[server] = tuple(lines)
        for line in lines:
            if line not in before:
                self._telemetry.emit(Event.DOUBTED, server=server, why=line)

    def refuse(self, line: str) -> None:
        """Stop the process, which then ends with this line. The first one counts."""
        if self._refusal is None:
            self._refusal = StartRefused(line)
            if self._stop is not None:
                self._stop()

    def on_refusal(self, stop: Callable[[], object]) -> None:
        """Call `stop` when the process must not go on: at once if that is known already."""
        self._stop = stop
        if self._refusal is not None:
            stop()

    def check(self) -> None:
        """Raise StartRefused if the process had to stop."""
        if self._refusal is not None:
            raise self._refusal
