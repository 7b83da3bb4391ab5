"""Cutting a flood."""

from __future__ import annotations

import pytest

from sluice.host import flood
from sluice.host.current_job import JobRef
from sluice.host.flood import BURST_BYTES, BURST_LINES, LINES_A_SECOND, SAY_EVERY_S, FloodGate
from sluice.host.log_line import LogLine

JOB, OTHER = JobRef("7", "text.shout", 2), JobRef("8", "text.shout", 1)


class Gate(FloodGate):
    """A gate with a clock to set and a list of what was sent."""

    def __init__(self) -> None:
        self.sent: list[LogLine] = []
        self.now = 0.0
        super().__init__(self.sent.append, lambda: self.now)

    def pass_lines(self, count: int, job: JobRef | None = JOB, text: str = "m") -> int:
        """Try so many lines and return how many passed."""
        return sum(self(LogLine(20, "case", text, {}), job) for _ in range(count))


@pytest.fixture
def gate() -> Gate:
    return Gate()


def said(line: LogLine) -> tuple[object, ...]:
    return (line.message, *(line.fields.get(name) for name in ("job_id", "lines", "bytes")))


def test_a_burst_passes_and_the_rest_is_counted(gate: Gate) -> None:
    assert gate.pass_lines(BURST_LINES + 5) == BURST_LINES
    gate.finish_job(JOB)
    assert said(gate.sent[-1]) == ("lines cut", "7", 5, 5)
    assert len(gate.sent) == BURST_LINES + 1


def test_a_job_may_log_for_ever_at_a_slow_pace(gate: Gate) -> None:
    gate.pass_lines(BURST_LINES)
    gate.now += 1
    assert gate.pass_lines(2 * LINES_A_SECOND) == LINES_A_SECOND


def test_bytes_count_as_well(gate: Gate) -> None:
    large = "ß" * (BURST_BYTES // 8)
    assert gate.pass_lines(9, text=large) == 4
    gate.finish_job(JOB)
    assert said(gate.sent[-1]) == ("lines cut", "7", 5, 5 * BURST_BYTES // 4)


def test_fields_and_traces_are_bytes_too(gate: Gate) -> None:
    half = "x" * (BURST_BYTES // 2)
    assert gate(LogLine(20, "case", "", {"field": half, "number": 7}, half), JOB)
    assert not gate(LogLine(20, "case", "m", {}), JOB)


def test_jobs_have_budgets_of_their_own(gate: Gate) -> None:
    gate.pass_lines(2 * BURST_LINES)
    assert gate.pass_lines(7, OTHER) == 7
    assert gate.pass_lines(7, None) == 7
    gate.finish_job(OTHER)
    assert gate.sent[-1].message == "m"


def test_a_flood_that_goes_on_is_told_now_and_then(gate: Gate) -> None:
    gate.pass_lines(BURST_LINES + 5)
    gate.now += SAY_EVERY_S
    gate.pass_lines(1)
    assert [said(line)[0] for line in gate.sent[-2:]] == ["lines cut", "m"]
    gate.finish_job(JOB)
    assert gate.sent[-1].message == "m"


def test_lines_that_were_not_made_are_counted(gate: Gate) -> None:
    gate.skip(3, 30, JOB)
    gate.finish_job(JOB)
    assert said(gate.sent[-1]) == ("lines cut", "7", 3, 30)


def test_jobs_that_are_never_finished_do_not_fill_the_memory(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flood, "MOST_BUDGETS", 1)
    gate.pass_lines(BURST_LINES + 1, JOB)
    gate.pass_lines(1, OTHER)
    assert [said(line)[:2] for line in gate.sent[-2:]] == [("lines cut", "7"), ("m", None)]
