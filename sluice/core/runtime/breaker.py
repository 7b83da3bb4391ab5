"""A circuit breaker per server: after a few failures in a row, calls fail at once instead of timing out."""

from __future__ import annotations

from collections.abc import Callable

from sluice.core.errors import ServerAway, ServerUnfit, WritesRefused
from sluice.core.runtime.telemetry import Event, Telemetry

REFUSAL_S = 5.0
"""Seconds for which a refusal counts: there is no other way to ask than to try again."""


class Breaker:
    """Opens after `failures` in a row; then lets one call through every `probe_s` seconds until one works."""

    def __init__(
        self,
        server: str,
        telemetry: Telemetry,
        clock: Callable[[], float],
        failures: int = 3,
        probe_s: float = 0.5,
    ) -> None:
        self._server, self._telemetry, self._clock = server, telemetry, clock
        self._limit, self._probe_s = failures, probe_s
        self._failures = 0
        self._next_probe = 0.0
        self._unfit: ServerUnfit | None = None
        self._refusals: dict[str, tuple[float, ServerUnfit]] = {}

    def __repr__(self) -> str:
        return f"<Breaker {self._server}: {'open' if self.open else 'closed'}>"

    @property
    def open(self) -> bool:
        """True while calls fail at once."""
        return self._failures >= self._limit

    @property
    def refusals(self) -> list[ServerUnfit]:
        """What the server has refused a moment ago, each reason once."""
        since = self._clock() - REFUSAL_S
        return [refusal for at, refusal in self._refusals.values() if at > since]

    def check(self) -> None:
        """Raise ServerAway if the server is away and the next probe is not due yet; ServerUnfit where that is why."""
        if self._failures >= self._limit:
            now = self._clock()
            if now < self._next_probe:
                raise (self._unfit or ServerAway(self._server, "is away")).with_traceback(None)
            self._next_probe = now + self._probe_s

    def worked(self) -> None:
        """Note that a call was answered."""
        if self._failures:
            if self.open:
                self._telemetry.emit(Event.SERVER_BACK, server=self._server)
            self._failures = 0

    def failed(self, error: ServerAway) -> None:
        """Note that a call was not answered, and why."""
        self._failures += 1
        self._unfit = error if isinstance(error, ServerUnfit) else None
        if self._failures == self._limit:
            self._next_probe = self._clock() + self._probe_s
            self._telemetry.emit(Event.SERVER_AWAY, server=self._server, why=str(error))

    def refused(self, refusal: ServerUnfit, call: str, said: str) -> None:
        """Note that a call was refused, and what the server said. It answers, so other calls may work.

        Of refusals alike, one after the other, only the first is reported.
        """
        why = str(refusal)
        if why not in map(str, self.refusals):
            event = Event.WRITES_REFUSED if isinstance(refusal, WritesRefused) else Event.SERVER_REFUSED
            self._telemetry.emit(event, server=self._server, why=why, call=call, said=said)
        self._refusals[why] = self._clock(), refusal
        self.worked()
