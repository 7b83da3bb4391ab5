"""What the flows need from servers, one port a file: each has a real adapter, and fakes pass the same contract tests.

Every method ends within the deadline of its server or raises ServerAway.
"""

from sluice.core.ports.access_store import AccessStore
from sluice.core.ports.api_key_store import ApiKeyRecord, ApiKeyStore
from sluice.core.ports.batch_store import BatchStore
from sluice.core.ports.bulk_store import BulkStepStore, BulkStore, Matching
from sluice.core.ports.control_store import AttemptRecord, ControlStore
from sluice.core.ports.delivery import Delivery, DeliverySource, OnDelivery
from sluice.core.ports.document_cache import MOST_READ, DocumentCache, Result
from sluice.core.ports.ending_store import EndingStore
from sluice.core.ports.event_publisher import EventPublisher
from sluice.core.ports.installation_store import InstallationStore
from sluice.core.ports.job_store import JobStore, JobVersion, KnownVersion, Settled
from sluice.core.ports.keeper_store import KeeperStore, Look
from sluice.core.ports.lane_store import LaneStore
from sluice.core.ports.lease_store import LeaseStore
from sluice.core.ports.listing_store import ListingStore
from sluice.core.ports.live_logs import LiveLines, LiveLogs
from sluice.core.ports.message_publisher import MessagePublisher
from sluice.core.ports.rate_ledger import RateLedger
from sluice.core.ports.schedule_store import ScheduleStore
from sluice.core.ports.situation_store import SituationStore
from sluice.core.ports.statistics_board import StatisticsBoard
from sluice.core.ports.statistics_store import StatisticsStore
from sluice.core.ports.storage_store import StorageStore
from sluice.core.ports.subscriptions import Subscriptions, Wake
from sluice.core.ports.verifier import Finding, Verifier
from sluice.core.ports.webhook_sender import WebhookSender
from sluice.core.ports.webhook_store import WebhookStore

__all__ = [
    "MOST_READ",
    "AccessStore",
    "ApiKeyRecord",
    "ApiKeyStore",
    "AttemptRecord",
    "BatchStore",
    "BulkStepStore",
    "BulkStore",
    "ControlStore",
    "Delivery",
    "DeliverySource",
    "DocumentCache",
    "EndingStore",
    "EventPublisher",
    "Finding",
    "InstallationStore",
    "JobStore",
    "JobVersion",
    "KeeperStore",
    "KnownVersion",
    "LaneStore",
    "LeaseStore",
    "ListingStore",
    "LiveLines",
    "LiveLogs",
    "Look",
    "Matching",
    "MessagePublisher",
    "OnDelivery",
    "RateLedger",
    "Result",
    "ScheduleStore",
    "Settled",
    "SituationStore",
    "StatisticsBoard",
    "StatisticsStore",
    "StorageStore",
    "Subscriptions",
    "Verifier",
    "Wake",
    "WebhookSender",
    "WebhookStore",
]
