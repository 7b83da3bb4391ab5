"""What the settings of the servers put in doubt: some of it ends the process, the rest is said and shown.

A server can be asked only once it answers, which may be long after the start; so whoever stops the process leaves word
here how that is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.errors import StartRefused


class ConfigProblems:
    """Shared by all that is open in one process. `lines` are the doubts it lives with, for people to read."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._noted: dict[str, tuple[str, ...]] = {}
        self._refusal: StartRefused | None = None
        self._stop: Callable[[], object] | None = None

    @property
    def lines(self) -> list[str]:
        """Every doubt that is noted."""
        return [line for lines in self._noted.values() for line in lines]

    def note(self, server: str, lines: Sequence[str]) -> None:
        """From now on these are the doubts about a server; each is said when it is new."""
        before = self._noted.get(server, ())
        self._noted[server] = tuple(lines)
        for line in lines:
            if line not in before:
                self._telemetry.emit(Event.DOUBTED, server=server, why=line)

    def refuse(self, line: str) -> None:
        """The process must not go on: it is told to stop, and ends with this line. The first one counts."""
        if self._refusal is None:
            self._refusal = StartRefused(line)
            if self._stop is not None:
                self._stop()

    def on_refusal(self, stop: Callable[[], object]) -> None:
        """Call this when the process must not go on: at once, if that is known already."""
        self._stop = stop
        if self._refusal is not None:
            stop()

    def check(self) -> None:
        """Raises StartRefused where the process had to stop."""
        if self._refusal is not None:
            raise self._refusal
