"""What a keeper tells of the invariants it looked at."""

from __future__ import annotations

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


async def test_the_first_tick_passes_because_what_waited_for_a_consumer_is_not_done_yet() -> None:
    looks = Looks([BAD])
    duty = VerifyRecord(looks, Telemetry(), lambda: 7.0)
    assert await duty.once() == 0
    assert (looks.asked, duty.violations, duty.verified_at) == ([], {}, 0)
    assert await duty.once() == 3
    assert (looks.asked, duty.violations, duty.verified_at) == ([NEWEST], {"b": 3}, 7.0)


async def test_every_check_has_its_figure_and_offenders_are_named_in_the_log() -> None:
    events = Events()
    duty = VerifyRecord(Looks([GOOD, BAD], [GOOD, Finding("b", 0)]), Telemetry(events), lambda: 7.0)
    await duty.once()
    await duty.once()
    assert duty.violations == {"a": 0, "b": 3}
    assert events == [(Event.VIOLATED, 3, {"check": "b", "samples": "x, y"})]
    await duty.once()
    assert duty.violations == {"a": 0, "b": 0}
    assert len(events) == 1
