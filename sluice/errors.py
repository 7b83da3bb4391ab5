"""Exceptions that end an attempt on purpose, and those raised if a kind is defined wrongly.

SluiceError
└── StartRefused        a setting or a handler is wrong; the process does not start

GiveUp                  raise it: fail the job now
RetryLater              raise it: call again after some seconds, without counting the attempt

AttemptEnded            an ending that is not the handler's own
├── BadInput            the input is not what the kind takes (any more); a handler may raise it as well
└── BadOutput           the handler returned something that is not its Output or cannot be sent as JSON
"""

from __future__ import annotations

import math

LEAST_WAIT_S, LONGEST_WAIT_S = 1.0, 30 * 86_400.0
"""Seconds that RetryLater waits. The keeper looks for due jobs once a second, so less could not be kept."""


class SluiceError(Exception):
    """Something went wrong in Sluice."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").split("\n", 1)[0])


class StartRefused(SluiceError):
    """A setting or a handler is wrong, so the process does not start."""


class GiveUp(Exception):
    """Raise to fail the job now, without further attempts. The text is shown to the client."""


class RetryLater(Exception):
    """Raise to be called again after `after_s` seconds (1 s to 30 days); the attempt is not counted.

    Raises TypeError or ValueError if `after_s` is not a number.
    """

    def __init__(self, after_s: float, why: str = "") -> None:
        super().__init__(after_s, why)
        self.after_s = _bound_wait(after_s)
        self.why = why


class AttemptEnded(Exception):
    """An ending that is not the handler's own."""


class BadInput(AttemptEnded):
    """The stored input is not what the kind takes (any more).

    Raise it where only the work shows that, as with a picture that is cut off. The job fails now; the text is shown to the client.
    """


class BadOutput(AttemptEnded):
    """The handler returned something that is not its Output or cannot be sent as JSON."""


def _bound_wait(after_s: float) -> float:
    try:
        wait_s = float(min(max(after_s, LEAST_WAIT_S), LONGEST_WAIT_S))
    except TypeError:
        raise TypeError(f"RetryLater needs a number of seconds, not {type(after_s).__name__}") from None
    if math.isnan(wait_s):
        raise ValueError("RetryLater needs a number of seconds, not NaN")
    return wait_s
