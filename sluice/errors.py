"""Exceptions that end an attempt on purpose, and those raised if a kind is defined wrongly.

SluiceError
└── StartRefused        a setting or a handler is wrong; the process does not start

GiveUp                  raise it: fail the job now
RetryLater              raise it: call again after some seconds, without counting the attempt

AttemptEnded            an ending that is not the handler's own
├── BadInput            the stored input is not what the kind takes (any more)
└── BadOutput           the handler returned something that is not its Output or cannot be sent as JSON
"""

from __future__ import annotations

import math

LONGEST_WAIT_S = 30 * 86_400.0


class SluiceError(Exception):
    """Something went wrong in Sluice."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").split("\n", 1)[0])


class StartRefused(SluiceError):
    """A setting or a handler is wrong, so the process does not start."""


class GiveUp(Exception):
    """Raise to fail the job now, without further attempts. The text is shown to the client."""


class RetryLater(Exception):
    """Raise to be called again after `after_s` seconds (at most 30 days); the attempt is not counted.

    Raises ValueError if `after_s` is NaN.
    """

    def __init__(self, after_s: float, why: str = "") -> None:
        super().__init__(after_s, why)
        if math.isnan(after_s):
            raise ValueError("RetryLater needs a number of seconds")
        self.after_s = min(max(0.0, after_s), LONGEST_WAIT_S)
        self.why = why


class AttemptEnded(Exception):
    """An ending that is not the handler's own."""


class BadInput(AttemptEnded):
    """The stored input is not what the kind takes (any more)."""


class BadOutput(AttemptEnded):
    """The handler returned something that is not its Output or cannot be sent as JSON."""
