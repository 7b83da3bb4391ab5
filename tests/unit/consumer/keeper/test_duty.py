"""What all duties of the keeper share: they are done again and again, whatever goes wrong."""

from __future__ import annotations

import asyncio

import pytest

from consumer.keeper.duty import keep
from sluice.core.errors import ServerAway, TryAgain
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fakes import Events


class Flaky:
    """A duty that ends in these ways, one after the other, and then for ever well."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.went_well = asyncio.Event()

    async def once(self) -> int:
        if self._errors:
            raise self._errors.pop(0)
        self.went_well.set()
        return 0


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        ([ValueError("oh"), KeyError("no")], ["ValueError('oh')", "KeyError('no')"]),
        ([ServerAway("postgresql"), TryAgain()], []),
    ],
)
async def test_a_duty_goes_on_whatever_goes_wrong(errors: list[Exception], said: list[str]) -> None:
    events, duty = Events(), Flaky(*errors)
    keeping = asyncio.create_task(keep(duty, 0.001, Telemetry(events)))
    await duty.went_well.wait()
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    assert events == [(Event.DUTY_FAILED, 1, {"duty": "Flaky", "why": each}) for each in said]
