"""When a message is acknowledged: each case once, and not before."""

from __future__ import annotations

from consumer.acknowledging import PendingDelivery
from sluice.core.errors import Malformed
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fakes import Events
from tests.unit.consumer.make_deliveries import FakeDelivery, job_ids


def test_a_delivery_is_acknowledged_once_and_only_when_its_last_id_is_accounted_for() -> None:
    delivery = FakeDelivery(job_ids(2))
    pending = PendingDelivery(delivery, 2)
    pending.account_for_one()
    assert delivery.acknowledged == 0
    pending.account_for_one()
    assert delivery.acknowledged == 1


def test_a_message_that_nobody_can_read_is_counted_and_forgotten() -> None:
    delivery, events = FakeDelivery([]), Events()
    PendingDelivery(delivery).drop_unreadable(Malformed("not JSON"), Telemetry(events))
    assert delivery.acknowledged == 1
    assert events == [(Event.UNREADABLE, 1, {"why": "not JSON"})]


def test_a_dead_letter_that_was_read_back_is_forgotten() -> None:
    delivery = FakeDelivery(job_ids(1))
    PendingDelivery(delivery).drop_dead_letter()
    assert delivery.acknowledged == 1


def test_a_message_that_waits_for_too_long_goes_back_if_nothing_of_it_was_begun() -> None:
    delivery = FakeDelivery(job_ids(2))
    pending = PendingDelivery(delivery, 2)
    assert not pending.let_go()
    assert (delivery.handed_back, delivery.acknowledged, pending.held) == (1, 0, True)


def test_a_message_that_was_begun_does_not_go_back_and_its_other_ids_are_kept() -> None:
    delivery = FakeDelivery(job_ids(2))
    pending = PendingDelivery(delivery, 2)
    pending.account_for_one()
    assert pending.let_go()
    assert (delivery.handed_back, delivery.acknowledged, pending.held) == (0, 1, False)
