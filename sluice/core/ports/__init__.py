"""What the flows need from the outside: each port has a real adapter, and a fake held to the same contract tests.

Every method ends within the deadline of its server or raises ServerAway.
"""

from sluice.core.ports.broker import Delivery, MessagePublisher, OnDelivery
from sluice.core.ports.cache import DocumentCache, Result, Wake
from sluice.core.ports.clients import ApiKeyRecord, ApiKeyStore, AttemptRecord, ControlStore, ListingStore
from sluice.core.ports.record import Beat, HeartbeatStore, JobStore, PollingStore, Settled
from sluice.core.ports.upkeep import Finding, KeeperStore, ScheduleStore, Verifier

__all__ = [
    "ApiKeyRecord",
    "ApiKeyStore",
    "AttemptRecord",
    "Beat",
    "ControlStore",
    "Delivery",
    "DocumentCache",
    "Finding",
    "HeartbeatStore",
    "JobStore",
    "KeeperStore",
    "ListingStore",
    "MessagePublisher",
    "OnDelivery",
    "PollingStore",
    "Result",
    "ScheduleStore",
    "Settled",
    "Verifier",
    "Wake",
]
