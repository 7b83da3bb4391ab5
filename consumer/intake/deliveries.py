"""The usual intake: take slots → claim the ids that RabbitMQ delivered → acknowledge → start.

A message is acknowledged as soon as the record knows who runs its jobs, before the work runs: from then on the lease
keeps them, not RabbitMQ.
"""

from __future__ import annotations

from consumer.acknowledging import PendingDelivery
from consumer.execution import Execution
from consumer.failure_report import report_unforeseen
from consumer.intake.claiming import Claims
from consumer.intake.lane_buffer import LaneBuffer
from consumer.intake.pausing import LanePauses
from consumer.lane_slots import LaneSlots
from sluice.core.errors import Malformed
from sluice.core.ports import Delivery, DeliverySource, KeeperStore
from sluice.core.runtime.telemetry import Event, Telemetry


class DeliveryIntake:
    """Takes in the deliveries of one lane."""

    def __init__(
        self,
        slots: LaneSlots,
        claims: Claims,
        keeper: KeeperStore,
        execution: Execution,
        telemetry: Telemetry,
    ) -> None:
        self._slots, self._claims, self._keeper = slots, claims, keeper
        self._execution, self._telemetry = execution, telemetry
        self._buffer = LaneBuffer(slots)
        self._left_over: list[str] = []

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
                self._execution.start(jobs, self._slots)  # at once, while the lease is theirs
                if not self._slots.closed:
                    await self._claims.defer_unclaimed(taken.keys() - {job.id for job in jobs})
                    _account_for(taken)
                    self._slots.free(len(taken) - len(jobs))
        await self._offer_left_over()

    def pause(self, source: DeliverySource) -> LanePauses:
        """Make what has this source of the deliveries keep those that would wait here for long."""
        return LanePauses(source, self._buffer, self._slots)

    def close(self) -> None:
        """Take in nothing more."""
        self._left_over = self._buffer.close()

    async def _offer_left_over(self) -> None:
        """Offer the jobs again that RabbitMQ knows no longer; if the record is away, the keeper finds them later."""
        if self._left_over:
            try:
                await self._keeper.offer_ids(self._left_over)
            except Exception as error:  # noqa: BLE001  the lane has ended well
                report_unforeseen(self._telemetry, "offer-left-over", error)


def _account_for(taken: dict[str, list[PendingDelivery]]) -> None:
    for deliveries in taken.values():
        for pending in deliveries:
            pending.account_for_one()
