"""What the flows need from the outside: each port has a real adapter, and a fake held to the same contract tests.

Every method ends within the deadline of its server or raises ServerAway.
"""

from core.ports.broker import Delivery, Dispatcher, OnDelivery
from core.ports.cache import DocumentCache, Result, Wake
from core.ports.clients import AttemptRecord, ControlStore, KeyRecord, KeyStore, ListingStore
from core.ports.record import Beat, HeartbeatStore, JobStore, PullStore, Settled
from core.ports.upkeep import Finding, KeeperStore, ScheduleStore, Verifier

__all__ = [
    "AttemptRecord",
    "Beat",
    "ControlStore",
    "Delivery",
    "Dispatcher",
    "DocumentCache",
    "Finding",
    "HeartbeatStore",
    "JobStore",
    "KeeperStore",
    "KeyRecord",
    "KeyStore",
    "ListingStore",
    "OnDelivery",
    "PullStore",
    "Result",
    "ScheduleStore",
    "Settled",
    "Verifier",
    "Wake",
]
