"""The usual intake: take slots → claim the ids that RabbitMQ delivered → acknowledge → start.

A message is acknowledged as soon as the record knows who runs its jobs, before the work runs: from then on the lease
keeps them, not RabbitMQ.
"""

from __future__ import annotations

from consumer.acknowledging import PendingDelivery
from consumer.execution import Execution
from consumer.intake.claiming import Claims
from consumer.intake.lane_buffer import LaneBuffer
from consumer.lane_slots import LaneSlots
from sluice.core.errors import Malformed
from sluice.core.ports import Delivery
from sluice.core.runtime.telemetry import Event, Telemetry


class DeliveryIntake:
    """Takes in the deliveries of one lane."""

    def __init__(self, slots: LaneSlots, claims: Claims, execution: Execution, telemetry: Telemetry) -> None:
        self._slots, self._claims, self._execution, self._telemetry = slots, claims, execution, telemetry
        self._buffer = LaneBuffer(slots)

    def __repr__(self) -> str:
        return f"<DeliveryIntake {self._buffer}>"

    def deliver(self, delivery: Delivery) -> None:
        """Take in one message. One that nobody can read is counted and forgotten; the record has its jobs."""
        try:
            self._telemetry.emit(Event.DELIVERED, self._buffer.add(delivery))
        except Malformed as error:
            PendingDelivery(delivery).drop_unreadable(error, self._telemetry)

    async def serve(self) -> None:
        """Claim for all free slots at once, round by round, until the lane is closed."""
        while taken := await self._buffer.take():
            async with self._slots.claiming:
                jobs = await self._claims.claim(self._slots, list(taken))
                if not self._slots.closed:
                    await self._claims.defer_unclaimed(taken.keys() - {job.id for job in jobs})
                    _account_for(taken)
                    self._slots.free(len(taken) - len(jobs))
                self._execution.start(jobs, self._slots)

    def close(self) -> None:
        """Take in nothing more."""
        self._buffer.close()


def _account_for(taken: dict[str, list[PendingDelivery]]) -> None:
    for deliveries in taken.values():
        for pending in deliveries:
            pending.account_for_one()
