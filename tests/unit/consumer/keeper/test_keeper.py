"""The keeper looks at the record once per tick, and does what is its turn, whatever goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from consumer.keeper.keeper import LONGEST_REST_S, REPORTED, TOGETHER, Keeper
from sluice.core.errors import ServerAway, TryAgain
from sluice.core.ports import Look
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fakes import Events
from tests.support.waiting import until


class Record:
    """Answers looks with these, one after the other, and then with nothing to do."""

    def __init__(self, *looks: Look | Exception) -> None:
        self.looks, self.asked = list(looks), list[list[str]]()

    async def look(self, rates: Mapping[str, float], _: float) -> Look:
        self.asked.append(list(rates))
        answer = self.looks.pop(0) if self.looks else Look((), 1)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Duty:
    """A duty that waits until it is let go, and then ends in one of these ways."""

    def __init__(self, *errors: Exception, held: bool = False) -> None:
        self.errors, self.done, self.go_on = list(errors), 0, asyncio.Event()
        if not held:
            self.go_on.set()

    async def once(self) -> int:
        await self.go_on.wait()
        self.done += 1
        if self.errors:
            raise self.errors.pop(0)
        return 0


class Scene:
    """A keeper of these duties, over a record in memory."""

    def __init__(self, *looks: Look | Exception, **duties: Duty) -> None:
        self.record, self.duties, self.events, self.looks = Record(*looks), duties, Events(), 0
        rates, calls = dict.fromkeys(duties, 1.0), {name: duty.once for name, duty in duties.items()}
        self.keeper = Keeper(
            self.record, calls, rates, 3_600, 0.001, Telemetry(self.events), self.count  # type: ignore[arg-type]  # it only looks
        )  # fmt: skip

    async def count(self) -> None:
        self.looks += 1


async def test_what_is_its_turn_is_done_and_nothing_else() -> None:
    scene = Scene(Look(("count",), 1), count=Duty(), rescue=Duty())
    await scene.keeper.look()
    await until(lambda: scene.duties["count"].done)
    assert (scene.duties["rescue"].done, scene.looks) == (0, 1)


async def test_a_duty_that_takes_long_holds_up_no_other_and_is_not_begun_again() -> None:
    scene = Scene(Look(("count",), 1), Look(("rescue",), 1), count=Duty(held=True), rescue=Duty())
    await scene.keeper.look()
    await scene.keeper.look()
    await until(lambda: scene.duties["rescue"].done)
    assert scene.record.asked == [["count", "rescue"], ["rescue"]]
    scene.duties["count"].go_on.set()
    await until(lambda: scene.duties["count"].done)
    await scene.keeper.look()
    assert scene.record.asked[-1] == ["count", "rescue"]


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        ([ValueError("oh"), KeyError("no")], ["ValueError('oh')", "KeyError('no')"]),
        ([ServerAway("postgresql"), TryAgain()], []),
        ([TryAgain()] * (REPORTED + 1), [repr(TryAgain())]),
    ],
)
async def test_it_goes_on_whatever_goes_wrong(errors: list[Exception], said: list[str]) -> None:
    duty = Duty(*errors)
    times = len(errors) + 1
    scene = Scene(*errors, *[Look(("count",), 1)] * times, count=duty)
    keeping = asyncio.create_task(scene.keeper.keep())
    await until(lambda: duty.done == times)
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    told = [
        (Event.DUTY_FAILED, 1, {"duty": name, "why": each}) for name in ("look", "count") for each in said
    ]
    assert scene.events == told


async def test_in_a_large_fleet_each_keeper_looks_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []
    really_sleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        naps.append(seconds)
        await really_sleep(0)

    scene = Scene(Look((), 1), Look((), 10 * TOGETHER), Look((), 10**6), count=Duty())
    monkeypatch.setattr(asyncio, "sleep", sleep)
    keeping = asyncio.create_task(scene.keeper.keep())
    while len(naps) < 3:
        await really_sleep(0)
    keeping.cancel()
    rests = [0.001, 0.01, LONGEST_REST_S]
    assert naps[:3] == [pytest.approx(each, rel=0.21) for each in rests]


async def test_a_duty_that_was_ended_before_it_began_is_done_at_another_turn() -> None:
    scene = Scene(Look(("count",), 1), Look(("count",), 1), count=Duty())
    await scene.keeper.look()
    await scene.keeper._tasks.cancel()
    await scene.keeper.look()
    assert scene.record.asked == [["count"], ["count"]]
    await until(lambda: scene.duties["count"].done)


async def test_its_duties_end_with_it() -> None:
    duty = Duty(held=True)
    scene = Scene(Look(("count",), 1), count=duty)
    keeping = asyncio.create_task(scene.keeper.keep())
    await until(lambda: scene.looks)
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    assert repr(scene.keeper) == "<Keeper at rest>"
