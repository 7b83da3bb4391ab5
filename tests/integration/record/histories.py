"""Histories that nobody thought of: any step of any process, at any time, against what the promises say must come of it.

Processes are frozen as well: one that takes no step for a while is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sluice.core.errors import IdempotencyKeyReused, LeaseOver, OutcomeUnknown, ServerAway
from sluice.core.job import TERMINAL, Job
from sluice.core.lifecycle import (
    LOST_LIMIT,
    SOLO_CRASH_LIMIT,
    Failure,
    Transition,
    crashed,
    failed,
    released,
    retried,
    succeeded,
)
from tests.integration.record.simulated_system import KINDS, Api, Hands, SimulatedSystem
from tests.support.faulty_store import lost, refused

T = TypeVar("T")
ROUNDS = 30

FAILURE = Failure("handler-error", "LookupError", retryable=True)
ENDINGS: dict[str, Callable[[Job], Transition]] = {
    "succeeded": lambda job: succeeded(job, b"%d" % job.fence),
    "failed": lambda job: failed(job, FAILURE),
    "scheduled": lambda job: retried(job, FAILURE, 0),
    "queued": released,
    "crashed": lambda job: crashed(job, FAILURE),
}

LOSSES = {"lost": 0, "doubled": 2, "wiped": 0}
"""What happens to a message, and how many are left of it."""

who = st.integers(0, 1)
DUTIES = ("due messages", "due messages", "due jobs", "rescue", "lost")
which = st.integers(0, 63)
fault = st.sampled_from(["", "", "refused", "lost"])
ending = st.sampled_from(sorted(ENDINGS))


@dataclass
class Model:
    """What a job must be, written down from the promises with no SQL in mind."""

    number: int
    state: str = "queued"
    fence: int = 0
    crashes: int = 0
    solo_crashes: int = 0
    cancelling: bool = False
    expired: bool = False
    holder: Hands | None = None
    fences: set[int] = field(default_factory=set)

    def claim(self, hands: Hands) -> None:
        self.state, self.holder, self.expired = "running", hands, False
        self.fence += 1

    def end(self, how: str) -> str:
        if how == "crashed":
            self.solo_crashes += 1
            self.crashes += 1
            how = "failed" if self.solo_crashes >= SOLO_CRASH_LIMIT else "queued"
        self.state = "cancelled" if self.cancelling else how
        self.holder = None
        return self.state

    def rescue(self) -> None:
        self.crashes += 1
        self.end("failed" if self.crashes - self.solo_crashes >= LOST_LIMIT else "queued")

    def cancel(self) -> str:
        """The state that the client is told."""
        if self.state not in TERMINAL:
            self.cancelling = True
            self.state = self.state if self.state == "running" else "cancelled"
        return self.state


class Histories(RuleBasedStateMachine):
    """Each rule is a step; `world` and `loop` are there before the first history begins."""

    world: ClassVar[SimulatedSystem]
    loop: ClassVar[asyncio.Runner]

    def do(self, step: Coroutine[Any, Any, T]) -> T:
        """Take a step of the world."""
        return self.loop.run(step)

    @initialize(jobs=st.integers(1, 4))
    def begin(self, jobs: int) -> None:
        self.jobs: dict[str, Model] = {}
        self.keys: dict[str, tuple[str, int]] = {}
        self.claims: list[Job] = []
        self.ended: dict[str, str] = {}
        self.seen: dict[str, tuple[int, int]] = {}
        self.shown: dict[str, int] = {}
        self.numbers = count()
        self.do(self.world.begin())
        for _ in range(jobs):
            self.submit(0, None, "")

    # clients

    @rule(api=who, key=st.none() | st.sampled_from("abcd"), fault=fault)
    def submit(self, api: int, key: str | None, fault: str) -> None:
        """A new job, or the same again where the key was used."""
        if key in self.keys:
            job_id, number = self.keys[key]
            assert self.do(self.world.apis[api].submit(number, key)) == job_id
            return
        number = next(self.numbers)
        self._meet(self.world.apis[api], "accept", fault)
        try:
            told = self.do(self.world.apis[api].submit(number, key))
        except (OutcomeUnknown, ServerAway):
            assert fault
            told = None
        self._note_new(number, key, told, came=fault != "refused")

    @rule(key=st.sampled_from("abcdefgh"))
    def submit_twice_at_once(self, key: str) -> None:
        """Over two apis."""
        if key not in self.keys:
            number = next(self.numbers)
            first, second = self.do(self._both(lambda api: api.submit(number, key)))
            assert first == second
            self._note_new(number, key, first, came=True)

    @precondition(lambda self: self.keys)
    @rule(api=who, which=which)
    def submit_something_else_under_the_key(self, api: int, which: int) -> None:
        key = sorted(self.keys)[which % len(self.keys)]
        try:
            told = self.do(self.world.apis[api].submit(next(self.numbers), key))
        except IdempotencyKeyReused:
            return
        raise AssertionError(f"key {key} stands for {told}, too")

    @rule(api=who, which=which)
    def cancel(self, api: int, which: int) -> None:
        job_id = self._job(which)
        told = self.do(self.world.apis[api].cancel(job_id))
        assert told == self.jobs[job_id].cancel()

    @rule(api=who, which=which, flush=st.booleans())
    def read(self, api: int, which: int, flush: bool) -> None:
        """A client never sees its job go back, whatever becomes of the cache."""
        if flush:
            self.world.cache.documents.clear()
        job_id = self._job(which)
        document = self.do(self.world.apis[api].lookup.find("acme", job_id))
        assert document.state == self.jobs[job_id].state
        assert document.version >= self.shown.get(job_id, 0)
        self.shown[job_id] = document.version

    # RabbitMQ

    @rule(which=which, happens=st.sampled_from(["steady", "steady", "steady", "away", "late", *LOSSES]))
    def rabbitmq(self, which: int, happens: str) -> None:
        """It is in another mode from now on, or something happens to a message, or to all of them."""
        waiting = self.world.broker.waiting
        if happens not in LOSSES:
            self.world.broker.mode = happens
        elif happens == "wiped":
            waiting.clear()
        elif waiting:
            message = waiting.pop(which % len(waiting))
            waiting += [message] * LOSSES[happens]

    @precondition(lambda self: self.world.broker.waiting)
    @rule(who=who, which=which)
    def deliver(self, who: int, which: int) -> None:
        """In no order; what is not acknowledged comes back when its consumer dies."""
        waiting = self.world.broker.waiting
        self.world.hands[who].messages.append(waiting.pop(which % len(waiting)))

    # consumers

    @precondition(lambda self: self.world.broker.waiting or any(each.messages for each in self.world.hands))
    @rule(who=who, which=which, fault=fault)
    def claim(self, who: int, which: int, fault: str) -> None:
        """What is in hand, or else what is delivered now; then it is acknowledged."""
        hands = self.world.hands[who]
        if self.world.broker.waiting and not hands.messages:
            self.deliver(who, which)
        if hands.over and hands.messages:
            self._claim_in_vain(hands)
            self.beat(who)
        if hands.messages:
            self._meet(hands, "claim", fault)
            self._note_claims(hands, self.do(self._claim(hands, hands.ids)), hands.ids)
            hands.messages.clear()

    @rule(who=who, which=which)
    def claim_twice_at_once(self, who: int, which: int) -> None:
        """By two newcomers; whoever wins takes the place of one that dies."""
        self.die(who)
        job_id = self._job(which)
        rivals = [self.world.hands[who], self.do(self.world.new_hands())]
        queued = self.jobs[job_id].state == "queued"
        found = self.do(self._each_claims(rivals, job_id))
        winners = [(hands, jobs) for hands, jobs in zip(rivals, found, strict=True) if jobs]
        assert len(winners) == queued
        for hands, jobs in winners:
            self.world.hands[who] = hands
            self._note_claims(hands, jobs, [job_id])

    @rule(who=who)
    def beat(self, who: int) -> None:
        """A lease that is over is never renewed: all that was claimed under it is given up, and another is taken."""
        hands = self.world.hands[who]
        told = self.do(self.world.beat(hands))
        assert (told is None) == hands.over
        good = {job_id: job for job_id, job in hands.claims.items() if self._holds(job)}
        hands.claims = {} if told is None else good
        hands.over = False
        if told is not None:
            assert told.holding == set(good)
            assert told.cancelled & set(good) == {each for each in good if self.jobs[each].cancelling}

    @precondition(lambda self: any(each.claims for each in self.world.hands))
    @rule(who=who, which=which, how=ending, fault=fault)
    def end(self, who: int, which: int, how: str, fault: str) -> None:
        """An attempt ends, whether or not its lease was lost meanwhile."""
        hands = self.world.hands[who]
        if hands.claims:
            job_id = sorted(hands.claims)[which % len(hands.claims)]
            job = hands.claims[job_id]
            self._meet(hands, "settle", fault)
            self._settle(hands, job, how, fault)
            if fault != "refused":  # else it is in hand until it can be written
                del hands.claims[job_id]

    @rule(who=who, which=which, how=ending, fault=fault)
    def work(self, who: int, which: int, how: str, fault: str) -> None:
        """A message all the way, as on most days."""
        self.rabbitmq(0, "steady")
        self.keep("due messages", True)
        hands = self.world.hands[who]
        if self.world.broker.waiting or hands.messages:
            self.claim(who, which, fault)
        for job in list(hands.claims.values()):
            self._settle(hands, hands.claims.pop(job.id), how, "")

    @precondition(lambda self: self.claims)
    @rule(who=who, which=which, how=ending)
    def end_an_old_attempt(self, who: int, which: int, how: str) -> None:
        """Somebody writes the ending of any claim there ever was."""
        self._settle(self.world.hands[who], self.claims[which % len(self.claims)], how, "")

    @rule(who=who)
    def die(self, who: int) -> None:
        hands = self.world.hands[who]
        self.world.broker.waiting += hands.messages
        self.world.hands[who] = self.do(self.world.new_hands())

    @rule(
        which=which,
        how=st.sampled_from(["state = 'queued', finished_at = null, queued_at = now()", "fence = fence - 1"]),
    )
    def rewrite_history(self, which: int, how: str) -> None:
        """Somebody with a hand in the database; a job that has begun never forgets it, and its end is final."""
        job_id = self._job(which)
        model = self.jobs[job_id]
        if model.state in TERMINAL or (model.fence and how.startswith("fence")):
            assert not self.do(self.world.meddle(job_id, how))

    # the keeper, and time

    @precondition(lambda self: any(model.state == "running" for model in self.jobs.values()))
    @rule(who=st.sampled_from([0, 1, 2]), rescued=st.booleans())
    def leases_run_out(self, who: int, rescued: bool) -> None:
        """Of one consumer, or of all; a keeper sees it at once, or later."""
        self._leases_end(self.world.hands[who : who + 1])
        if rescued:
            self.keep("rescue", False)

    @rule(duty=st.sampled_from(DUTIES), later=st.booleans())
    def keep(self, duty: str, later: bool) -> None:
        """A duty of the keeper; perhaps only when what was put off is due."""
        if later:
            self.do(self.world.pass_time())
        self.do(self.world.keep(duty))
        for model in self.jobs.values():
            if duty == "rescue" and model.state == "running" and model.expired:
                model.rescue()
            if duty == "due jobs" and model.state == "scheduled":
                model.state = "queued"

    # what must always be true

    @invariant()
    def the_record_is_what_was_promised(self) -> None:
        if not hasattr(self, "jobs"):
            return
        rows = self.do(self.world.rows())
        found = {each: (row["state"], row["fence"]) for each, row in rows.items()}
        assert found == {each: (model.state, model.fence) for each, model in self.jobs.items()}
        keys = {key: job_id for job_id, row in rows.items() for key in row["keys"]}
        assert keys == {key: job_id for key, (job_id, _) in self.keys.items()}
        for job_id, row in rows.items():
            self._never_goes_back(job_id, row)

    def _never_goes_back(self, job_id: str, row: Any) -> None:
        """Fence and version never fall; what is terminal stays as it is, byte for byte."""
        before = self.seen.get(job_id, (0, 0))
        assert (row["fence"] >= before[0], row["version"] >= before[1]) == (True, True)
        self.seen[job_id] = row["fence"], row["version"]
        if row["state"] in TERMINAL:
            assert self.ended.setdefault(job_id, row["whole"]) == row["whole"]
        if row["state"] == "succeeded":
            assert row["cancel_requested_at"] is None
            assert row["result"] == b"%d" % row["fence"]

    def teardown(self) -> None:
        """Everything heals; then every job ends."""
        if not hasattr(self, "jobs"):
            return
        self.world.broker.mode = "steady"
        self.do(self.world.rest())
        hands = self.world.hands[0] = self.do(self.world.new_hands())
        for _ in range(ROUNDS):
            if all(model.state in TERMINAL for model in self.jobs.values()):
                break
            self._a_good_day(hands)
        self.the_record_is_what_was_promised()
        assert [each for each, model in self.jobs.items() if model.state not in TERMINAL] == []

    def _a_good_day(self, hands: Hands) -> None:
        """The keeper does its duties, and a consumer works off what it gets."""
        self._leases_end([])
        self.keep("rescue", True)
        self.beat(0)  # what nobody serves is not offered
        for duty in ("due jobs", "due messages", "lost"):
            self.keep(duty, True)
        hands.messages += self.world.broker.waiting
        self.world.broker.waiting.clear()
        if hands.messages:
            self.claim(0, 0, "")
        for job in list(hands.claims.values()):
            self._settle(hands, hands.claims.pop(job.id), "succeeded", "")

    # between the rules and the world

    def _job(self, which: int) -> str:
        return sorted(self.jobs)[which % len(self.jobs)]

    def _holds(self, job: Job) -> bool:
        model = self.jobs[job.id]
        return (model.state, model.fence) == ("running", job.fence)

    def _meet(self, process: Api | Hands, name: str, fault: str) -> None:
        """The next call of this name fails so."""
        if fault:
            error = OutcomeUnknown() if (name, fault) == ("accept", "lost") else ServerAway("postgresql")
            process.store.script[name].append(lost(error) if fault == "lost" else refused(error))

    def _note_new(self, number: int, key: str | None, told: str | None, came: bool) -> None:
        """One job came, or none; a client that was told nothing asks the record by its key."""
        self.do(self.world.rest())
        new = self.do(self.world.rows()).keys() - self.jobs.keys()
        assert len(new) == came
        assert told is None or new == {told}
        for job_id in new:
            self.jobs[job_id] = Model(number)
            if key is not None:
                self.keys[key] = job_id, number

    async def _claim(self, hands: Hands, ids: Sequence[str]) -> list[Job]:
        """As consumers do: where the reply was lost, what runs under their own name is taken up."""
        try:
            found: list[Job] = await hands.store.port.claim(ids, KINDS)
        except ServerAway:
            held = {job.claim for job in hands.claims.values()}
            claimed = list(await hands.store.port.claim(ids, KINDS))
            rest = [each for each in ids if each not in {job.id for job in claimed}]
            found = await hands.store.port.recover_lost_claims(rest)
            return claimed + [job for job in found if job.claim not in held]
        return found

    def _claim_in_vain(self, hands: Hands) -> None:
        """Nothing is claimed under a lease that is over."""
        queued = any(self.jobs[each].state == "queued" for each in hands.ids)
        try:
            assert self.do(hands.store.port.claim(hands.ids, KINDS)) == []
        except LeaseOver:
            assert queued
        else:
            assert not queued

    async def _both(self, step: Callable[[Api], Coroutine[Any, Any, T]]) -> list[T]:
        return await asyncio.gather(*(step(api) for api in self.world.apis))

    async def _each_claims(self, rivals: Sequence[Hands], job_id: str) -> list[list[Job]]:
        found: list[list[Job]] = await asyncio.gather(
            *(hands.store.port.claim([job_id], KINDS) for hands in rivals)
        )
        return found

    def _note_claims(self, hands: Hands, found: list[Job], asked: Sequence[str]) -> None:
        """Everything asked for that was queued, and nothing else; each fence is given once."""
        fences = {job.id: job.fence for job in found}
        won = {each for each in asked if self.jobs[each].state == "queued"}
        for job_id in won:
            self.jobs[job_id].claim(hands)
        assert fences == {job_id: self.jobs[job_id].fence for job_id in won}
        for job in found:
            assert job.fence not in self.jobs[job.id].fences
            self.jobs[job.id].fences.add(job.fence)
            hands.claims[job.id] = job
            self.claims.append(job)
            self._note_newest(job)

    def _note_newest(self, job: Job) -> None:
        queue = (job.lane, job.priority)
        assert job.queued_at is not None
        self.world.newest[queue] = max(job.queued_at, self.world.newest.get(queue, job.queued_at))

    def _settle(self, hands: Hands, job: Job, how: str, fault: str) -> None:
        """The record takes the ending of the claim that holds, and refuses any other."""
        transition = ENDINGS[how](job)
        expected = self.jobs[job.id].end(how) if self._holds(job) and fault != "refused" else None
        try:
            assert self.do(self.world.settle(hands, transition)) == expected
        except ServerAway:
            assert fault
        if fault == "lost":  # it asks again, and is refused
            assert self.do(self.world.settle(hands, transition)) is None
        self.do(self.world.rest())

    def _leases_end(self, silent: Sequence[Hands]) -> None:
        """Those of these consumers, or of all that ever were; what they run is to be rescued."""
        self.do(self.world.end_leases(silent))
        for hands in silent or self.world.hands:
            hands.over = True
        for model in self.jobs.values():
            if model.state == "running" and (not silent or model.holder in silent):
                model.expired = True
