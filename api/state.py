"""The parts of the application, each created once at start-up."""

from __future__ import annotations

from dataclasses import dataclass, field

from api.access.audit import Audit
from api.access.key_admin import KeyAdmin
from api.batches.batch_wait import BatchWaiting
from api.batches.batches import Batches
from api.batches.results import BatchResults
from api.bulk.bulk_acts import BulkActs
from api.error_groups.error_groups import ErrorGroups
from api.events.feed import Feed
from api.events.job_logs import JobLogs
from api.explanation.explaining import Explaining
from api.http.body import BodyLimits
from api.http.held_bytes import HeldBytes
from api.http.rate_limits import RateLimits
from api.http.retry_after import RetryAfterAdvisor
from api.installation.installation import Installation
from api.installation.server_watch import ServerWatch
from api.jobs.control import Control
from api.jobs.forecast import Forecast
from api.jobs.lookup import Lookup
from api.jobs.submit import Submission
from api.jobs.wait import Waiting
from api.keys.keyring import Keyring
from api.lanes.lane_control import LaneControl
from api.listing.bulk import Bulk
from api.listing.listing import Listing
from api.polls.multi_poll import MultiPoll
from api.schedules.schedules import Scheduling
from api.webhooks.webhooks import Webhooks
from sluice.core.backlog_cap import BacklogCap
from sluice.core.count_lanes import CountLanes
from sluice.core.registry import Registry
from sluice.core.runtime.settings import Settings
from sluice.core.slo import Slo
from sluice.core.storage_cap import StorageCap
from sluice.handler import AnyHandler


@dataclass(frozen=True, slots=True)
class ApiState:
    """The flows and what they were made with. Routes find each by its class (`api.http.dependencies`)."""

    settings: Settings
    registry: Registry[AnyHandler]
    limits: BodyLimits
    held: HeldBytes
    keyring: Keyring
    rates: RateLimits
    submission: Submission
    lookup: Lookup
    waiting: Waiting
    control: Control
    scheduling: Scheduling
    listing: Listing
    error_groups: ErrorGroups
    bulk: Bulk
    bulk_acts: BulkActs
    polls: MultiPoll
    counts: CountLanes
    cap: BacklogCap
    storage_cap: StorageCap
    lanes: LaneControl
    explaining: Explaining
    forecast: Forecast
    logs: JobLogs
    feed: Feed
    batches: Batches
    batch_waiting: BatchWaiting
    batch_results: BatchResults
    key_admin: KeyAdmin
    audit: Audit
    webhooks: Webhooks
    slo: Slo
    installation: Installation
    servers: ServerWatch
    advisor: RetryAfterAdvisor = field(default_factory=RetryAfterAdvisor)
