"""Every setting: its default, its bounds, and one line that says what it does.

Each `__main__` makes one instance and hands it down.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from sluice.core.backlog_cap import MIB, MOST_JOBS, BacklogLimits
from sluice.core.lanes import Lane
from sluice.core.runtime.event_settings import Events
from sluice.core.runtime.lane_settings import Lanes, LaneSettings, processors
from sluice.core.runtime.pepper_settings import OtherPepper
from sluice.core.runtime.setting_types import Address, Count, Kept, Mib, Port, Seconds, Words
from sluice.core.runtime.web_settings import Networks, Origins, PathPrefix, Rate


class Settings(BaseModel):
    """What both processes read from `SLUICE_*` variables or from `.env`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # servers
    postgres_url: Address = Field(
        description="PostgreSQL, the record: postgresql://user:password@host:port/database; or standbys too: host:port,host:port"
    )
    redis_url: Address = Field(
        description="Redis, for finished documents and wake-ups: redis://:password@host:port/0, or redis+sentinel://:password@host:port,host:port/mymaster/0"
    )
    rabbitmq_url: Address = Field(
        default=SecretStr(""),
        description="RabbitMQ, for the distribution of work: amqp://user:password@host:port/, or several of host:port; empty: consumers pull instead",
    )
    events: Events = Field(
        default="off",
        description="Events of jobs for other programs, over RabbitMQ: off; live: as they happen, lost with their process; kept: endings, at least once",
    )
    key_pepper: SecretStr = Field(
        min_length=16, description="Secret mixed into the stored hash of API keys; the same in every process"
    )
    key_pepper_other: OtherPepper = Field(
        default=SecretStr(""),
        min_length=16,
        description="Another such secret, while the pepper is changed: what was made with either is good; empty: none",
    )

    # handlers and lanes
    handlers: Words = Field(
        default=(
            "sluice.kinds.image_thumbnail",
            "sluice.kinds.measurements_summary",
            "sluice.kinds.demo_sum",
            "sluice.kinds.demo_sleep",
            "sluice.kinds.demo_spin",
        ),
        description="Modules that define kinds, separated by commas",
    )
    start_s: Seconds = Field(default=30, description="Seconds that handlers' modules may take to load")
    lanes: Lanes = Field(
        default={
            "default": LaneSettings(slots=128, ids_per_message=64),
            "heavy": LaneSettings(slots=0, ids_per_message=1),
        },
        description="Lanes as JSON: slots (0: one per processor) and ids per message",
    )
    serve_lanes: Words = Field(
        default=(), description="Lanes this consumer serves, separated by commas; empty: all"
    )
    processes: int = Field(
        default=0,
        ge=0,
        le=256,
        description="Processes for handlers that run in a process; 0: one per processor",
    )
    process_memory_mib: int = Field(
        default=2_048,
        ge=0,
        le=1_048_576,
        description="MiB that each of these processes may allocate, and half of what a shared host may; 0: no bound",
    )
    host_jobs: int = Field(
        default=250_000,
        ge=1,
        description="Jobs after which a host is renewed: a process in which handlers run",
    )
    host_memory_mib: int = Field(
        default=1_024, ge=64, le=1_048_576, description="MiB of memory from which on a host is renewed"
    )
    blocked_s: Seconds = Field(
        default=10, description="Seconds a handler may block the event loop that it shares before it is ended"
    )

    # api
    api_host: str = Field(default="127.0.0.1", description="Address the API listens on; :: is all, IPv4 too")
    api_port: Port = Field(default=8000, description="Port of the API")
    private_host: str = Field(
        default="127.0.0.1", description="Address of the private ports (health, metrics); :: as above"
    )
    api_private_port: Port = Field(default=8001, description="Private port of the api process")
    consumer_private_port: Port = Field(default=8002, description="Private port of the consumer process")
    cors_origins: Origins = Field(
        default=(),
        description="Origins whose pages may call the API, separated by commas; *: all; empty: none",
    )
    root_path: PathPrefix = Field(default="", description="Prefix that a proxy puts before the API's paths")
    trusted_proxies: Networks = Field(
        default=(),
        description="Proxies whose X-Forwarded-Prefix and -For count: addresses or networks, by commas",
    )
    webhook_allow: Networks = Field(
        default=(),
        description="Networks that webhooks may reach besides public addresses, by any port and over plain http too: addresses or networks, by commas",
    )
    webhook_verify: bool = Field(default=False, description="Tell a new URL nothing until it is verified")
    express: bool = Field(default=True, description="Answer plain submits and look-ups before FastAPI")
    docs: bool = Field(default=True, description="Show /docs and /openapi.json")
    ui: bool = Field(default=False, description="Show the dashboard at /ui")
    ui_env: str = Field(default="", max_length=16, description="Name that its pages show; prod: in red")
    access_log: bool = Field(default=False, description="Log one line per request")
    wait_cap_s: Seconds = Field(default=55, description="Longest wait a client may ask for, in seconds")
    waiters: Count = Field(default=5_000, description="How many waiting requests one api process holds")
    event_streams: Count = Field(default=5_000, description="How many event streams one api process holds")
    submit_rate: Rate = Field(
        default="off", description="Submits of each key: 600/60 is 600 in 60 s; off: any"
    )
    poll_rate: Rate = Field(default="off", description="Its polls likewise; of many jobs 100 are one")
    failed_auth_rate: Rate = Field(
        default="20/60", description="Requests of an address without a valid key likewise"
    )
    body_timeout_s: Seconds = Field(default=15, description="Seconds to send a body, plus 1 for each 64 KiB")
    head_timeout_s: Seconds = Field(
        default=15, description="Seconds a client has to send target and headers, also from its connecting on"
    )
    keep_alive_s: Seconds = Field(
        default=75, description="Seconds a connection may be idle; more than in the proxy that keeps it"
    )
    send_timeout_s: Seconds = Field(
        default=60, description="Seconds without progress until an answer that is not read is given up"
    )
    connections: int = Field(default=12_000, ge=16, le=1_000_000, description="Connections of an api process")
    peer_connections: int = Field(
        default=8_000, ge=0, le=1_000_000, description="How many of them one address has; 0: any number"
    )
    unread_mib: Mib = Field(default=128, description="MiB of answers held for clients that do not read them")
    bodies_mib: Mib = Field(default=128, description="MiB of bodies that one api process takes at once")
    tenant_bodies_mib: Mib = Field(default=64, description="MiB of one tenant's bodies that it takes at once")
    memory_mib: int = Field(
        default=64, ge=0, le=16_384, description="Finished documents kept in process memory, in MiB"
    )
    memory_s: Seconds = Field(default=10, description="Seconds after which process memory forgets a document")
    key_fresh_s: Seconds = Field(default=60, description="Seconds until a verified key is checked again")
    key_stale_s: Seconds = Field(
        default=600, description="Seconds a verified key stays good while PostgreSQL is away"
    )

    # time limits of servers
    record_budget_s: Seconds = Field(
        default=0.4, description="Seconds a request waits for PostgreSQL at most"
    )
    accept_budget_s: Seconds = Field(
        default=0.9,
        description="Seconds a request waits for its commit at most, and one more for each 8 MiB of input",
    )
    redis_budget_s: Seconds = Field(default=0.1, description="Seconds to wait for Redis at most")
    publish_budget_s: Seconds = Field(
        default=2.5, description="Seconds until the api leaves a message to the keeper"
    )
    admit_queue: int = Field(
        default=5_000, ge=1, le=100_000, description="How many submits may wait for their commit"
    )
    shed_after_s: Seconds = Field(
        default=0.15,
        description="Seconds that a submit may have to wait for its commit to begin; more are refused, and batches from half of it on",
    )
    tenant_backlog: int = Field(
        default=100_000,
        ge=1,
        le=200_000,
        description="Most jobs of one tenant that wait in a lane; more are refused until 80 % of that wait",
    )
    backlog: int = Field(
        default=0,
        ge=0,
        le=MOST_JOBS,
        description="Most jobs of all tenants that wait, in all lanes; likewise; 0: any number",
    )
    backlog_mib: int = Field(
        default=0,
        ge=0,
        le=1_048_576,
        description="MiB of the inputs of jobs that wait, likewise; 0: any size",
    )
    tenant_storage_mib: int = Field(
        default=0,
        ge=0,
        le=1_073_741_824,
        description="MiB of inputs and results kept for one tenant, of which no more jobs are taken then; 0: any",
    )
    document_ttl_s: int = Field(
        default=3_600, ge=1, le=604_800, description="Seconds Redis keeps a finished document"
    )

    unsafe_durability: Literal["", "accept"] = Field(
        default="",
        description="For experiments only: `accept` works with a PostgreSQL that may lose jobs answered with 202",
    )
    postgres_connections: int = Field(
        default=10,
        ge=2,
        le=100,
        description="Most connections of one process to PostgreSQL; what it does not need it closes after a minute",
    )
    standby_may_lag: bool = Field(
        default=False,
        description="Do not warn of standbys of PostgreSQL for which COMMIT does not wait: promoting one may lose the last jobs",
    )

    # consumer
    lease_s: Seconds = Field(
        default=15,
        description="Seconds until the jobs of a silent consumer are given to others: 15 or more, and at least three times SLUICE_BEAT_S",
    )
    beat_s: Seconds = Field(default=5, description="Seconds between two renewals of a consumer's lease")
    grace_s: Seconds = Field(
        default=2,
        description="Seconds a handler has to end after it was asked to, before its host is replaced",
    )
    dispatch_due_s: Seconds = Field(
        default=3, description="Seconds until the keeper publishes what the api did not"
    )
    pull_after_s: Seconds = Field(
        default=10, description="Seconds without RabbitMQ until consumers pull jobs from the record"
    )
    keeper_s: Seconds = Field(default=1, description="Seconds between two runs of a keeper's duty")
    keep_s: Kept = Field(
        default=604_800,
        description="Seconds a finished job is kept, unless its kind says otherwise; fixed when it is accepted",
    )
    idempotency_keep_s: Kept = Field(
        default=604_800,
        description="Seconds an Idempotency-Key is kept at least, and never for less than its job",
    )
    audit_keep_s: Kept = Field(
        default=7_776_000,
        description="Seconds for which it is kept who did what with keys, schedules and jobs",
    )
    lame_duck_s: float = Field(
        default=5,
        ge=0,
        le=60,
        description="Seconds an api process still answers after it was told to stop, so that clients can go elsewhere",
    )
    verify_s: Seconds = Field(
        default=60, description="Seconds between two checks of the record's invariants by a keeper"
    )
    stop_s: Seconds = Field(default=25, description="Seconds that running work has to end after SIGTERM")
    log_level: str = Field(
        default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="DEBUG, INFO, WARNING or ERROR"
    )
    log_tracebacks: bool = Field(
        default=False, description="Log the tracebacks of handlers with their errors"
    )
    otlp_url: Address = Field(
        default=SecretStr(""),
        description="OpenTelemetry collector to send spans to, over OTLP/HTTP: http://host:4318; empty: no tracing",
    )
    trace_ratio: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Part of the requests without a traceparent that is traced, from 0 to 1; the others do as theirs says",
    )

    @property
    def backlog_limits(self) -> BacklogLimits:
        """How much may wait."""
        return BacklogLimits(self.tenant_backlog, self.backlog, self.backlog_mib * MIB)

    def lane(self, name: str) -> Lane:
        """Return the lane of this name, with its slots for this machine."""
        found = self.lanes[name]
        return Lane(name, found.slots or processors(), found.ids_per_message)

    @property
    def all_lanes(self) -> dict[str, Lane]:
        """Every lane that is configured, by name."""
        return {name: self.lane(name) for name in self.lanes}

    @property
    def served(self) -> tuple[Lane, ...]:
        """The lanes this consumer serves."""
        return tuple(self.lane(name) for name in self.serve_lanes or self.lanes)
