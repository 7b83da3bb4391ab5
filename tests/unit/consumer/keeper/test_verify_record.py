"""What a keeper tells of the invariants it looked at."""

from __future__ import annotations

import asyncio

from consumer.keeper.verify_record import NEWEST, VerifyRecord
from sluice.core.ports import Finding
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fakes import Events


class Looks:
    """sluice.core.ports.Verifier with these answers, one after the other."""

    def __init__(self, *answers: list[Finding]) -> None:
        self._answers = list(answers)
        self.asked: list[int] = []

    async def verify(self, newest: int) -> list[Finding]:
        self.asked.append(newest)
        return self._answers.pop(0)


GOOD, BAD = Finding("a", 0), Finding("b", 3, ("x", "y"))


async def test_a_process_checks_in_its_first_turn_once_what_waited_for_it_can_be_done() -> None:
    looks = Looks([BAD], [BAD])
    duty = VerifyRecord(looks, Telemetry(), 0.1, lambda: 7.0)
    turn = asyncio.create_task(duty.once())
    await asyncio.sleep(0.01)
    assert (looks.asked, duty.violations, duty.verified_at) == ([], {}, 0)
    assert await turn == 3
    assert (looks.asked, duty.violations, duty.verified_at) == ([NEWEST], {"b": 3}, 7.0)
    async with asyncio.timeout(0.05):
        assert await duty.once() == 3


async def test_every_check_has_its_figure_and_offenders_are_named_in_the_log() -> None:
    events = Events()
    duty = VerifyRecord(Looks([GOOD, BAD], [GOOD, Finding("b", 0)]), Telemetry(events), 0, lambda: 7.0)
    await duty.once()
    assert duty.violations == {"a": 0, "b": 3}
    assert events == [(Event.VIOLATED, 3, {"check": "b", "samples": "x, y"})]
    await duty.once()
    assert duty.violations == {"a": 0, "b": 0}
    assert len(events) == 1
