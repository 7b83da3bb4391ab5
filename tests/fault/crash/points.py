"""The table of crash points: each names a step of the product, and whether it is about to happen, under way or done.

The product knows nothing about them: a launcher (`python -m tests.fault.crash api`) wraps the steps, then runs the real thing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from sluice.core.lifecycle import Transition

When = Literal["before", "under way", "after"]
Applies = Callable[[tuple[Any, ...], Any], object]


def always(_arguments: tuple[Any, ...], _answer: Any) -> object:
    """Match every call."""
    return True


def found_work(_arguments: tuple[Any, ...], answer: Any) -> object:
    """Match calls that found something to do."""
    return answer


def _swept(_arguments: tuple[Any, ...], answer: Any) -> object:
    messages, _dropped = answer
    return messages


def _announces_an_end(arguments: tuple[Any, ...], _answer: Any) -> object:
    _cache, _versions, finished, _results = arguments
    return finished


def _retries(arguments: tuple[Any, ...], _answer: Any) -> object:
    endings: list[Transition] = arguments[1]
    return any(ending.state == "scheduled" for ending in endings)


def _cancels_what_runs(_arguments: tuple[Any, ...], answer: Any) -> object:
    return answer is not None and answer.state == "running"


def _sends(query: str) -> Applies:
    return lambda arguments, _answer: arguments[3] == query


class Point(NamedTuple):
    """`target` is the module and the name of the step; `work` names the clients (`scenario.CLIENT_ACTIONS`) that make it happen.

    `pause_s` passes between the step and the crash, for what else has to happen meanwhile.
    """

    happens: str
    role: Literal["api", "consumer"]
    target: str
    when: When
    applies: Applies = always
    work: str = "plain"
    pause_s: float = 0.0


_STORE = "sluice.adapters.postgres.job_store:PostgresJobStore."
_CONTROL = "sluice.adapters.postgres.control_store:PostgresControlStore."
_KEEPER = "sluice.adapters.postgres.keeper_store:PostgresKeeperStore."
_LEASES = "sluice.adapters.postgres.lease_store:PostgresLeaseStore."
_WEBHOOKS = "sluice.adapters.postgres.webhook_store:PostgresWebhookStore."
_ENDINGS = "sluice.adapters.postgres.ending_store:PostgresEndingStore."
_BULK = "sluice.adapters.postgres.bulk_store:PostgresBulkStore."
_BROKER = "sluice.adapters.rabbitmq.broker:Broker."
_CACHE = "sluice.adapters.redis.document_cache:RedisDocumentCache."
_FETCH, _SEND = "sluice.adapters.postgres.pool:Database._fetch_over", "aiormq.channel:Channel.basic_publish"

POINTS: Mapping[str, Point] = {
    "FP1": Point("validated", "api", "api.jobs.submit:make_job", "after"),
    "FP2": Point("before the commit", "api", _STORE + "accept", "before"),
    "FP3": Point("committed, before the 202", "api", _STORE + "accept", "after"),
    "FP4": Point("202 sent, before the publish", "api", _BROKER + "publish", "before", pause_s=0.2),
    "FP5": Point("published, before the confirmation", "api", _SEND, "under way"),
    "FP6": Point("confirmed, before the outbox knows", "api", _STORE + "dispatched", "before"),
    "FP7": Point(
        "swept, before the publish", "consumer", _KEEPER + "take_due_messages", "after", _swept, "delayed"
    ),
    "FP8": Point(
        "swept and published, before the outbox knows", "consumer", _STORE + "dispatched", "before", always, "delayed"
    ),
    "FP9": Point("delivered, before the claim", "consumer", _STORE + "claim", "before"),
    "FP10": Point("claimed, before the acknowledgement", "consumer", _STORE + "claim", "after", found_work),
    "FP11": Point("acknowledged, before the start", "consumer", "consumer.hosts.hosts:Hosts.run", "before"),
    "FP12": Point("in the handler", "consumer", "consumer.hosts.in_hand:InHand.run", "under way", work="naps"),
    "FP13": Point("done, before the settling", "consumer", _STORE + "settle", "before"),
    "FP14 accept": Point(
        "accept sent, its reply cut", "api", _FETCH, "under way", _sends("accept")
    ),
    "FP14 claim": Point(
        "claim sent, its reply cut", "consumer", _FETCH, "under way", _sends("claim")
    ),
    "FP14 settle": Point(
        "settle sent, its reply cut", "consumer", _FETCH, "under way", _sends("settle")
    ),
    "FP15": Point(
        "settled, before the document is stored", "consumer", _CACHE + "announce", "before", _announces_an_end
    ),
    "FP16": Point(
        "document and wake-up sent, which are one script", "consumer", _CACHE + "announce", "under way",
        _announces_an_end,
    ),
    "FP17": Point("retry decided, before its commit", "consumer", _STORE + "settle", "before", _retries, "shaky"),
    "FP18": Point("renewal of the lease sent", "consumer", _LEASES + "renew", "under way", always, "naps"),
    "FP19": Point("rescued, before it is told and dispatched", "consumer", _KEEPER + "rescue", "after", found_work, "orphans"),
    "FP20": Point("a webhook was posted, before that is known", "consumer", _WEBHOOKS + "mark", "before", work="told"),
    "FP21": Point("cancelled while it may be claimed", "api", _CONTROL + "cancel", "after", found_work, "cancels"),
    "FP22": Point(
        "cancel asked of what runs, before it is told", "api", _CONTROL + "cancel", "after", _cancels_what_runs,
        "cancels late",
    ),
    "FP23": Point("a host is to be started", "consumer", "consumer.hosts.host:Host.start", "before", work="exits"),
    "FP24": Point(
        "a host has been started, before it is told what to load", "consumer", "consumer.hosts.child:Child._spawn", "after",
        work="exits",
    ),
    "FP25": Point(
        "a host has said how a job ended, before that is taken in", "consumer", "consumer.hosts.host:Host._hear_ended",
        "before", work="naps",
    ),
    "FP26": Point(
        "a host is lost, before its jobs go on elsewhere", "consumer", "consumer.hosts.host:Host._lose", "after",
        work="exits",
    ),
    "FP27": Point(
        "a host was replaced, before the other has a job", "consumer", "consumer.hosts.place:Place._renew", "after",
        work="exits",
    ),
    "FP28": Point(
        "a webhook was taken, before it is posted", "consumer", _WEBHOOKS + "take_due", "after", found_work, "told"
    ),
    "FP29": Point(
        "endings become deliveries of webhooks, in one statement", "consumer", _ENDINGS + "tell_webhooks", "under way",
        work="told",
    ),
    "FP30": Point(
        "endings were published, before the record forgets them", "consumer", _ENDINGS + "drop_endings", "before",
        work="told",
    ),
    "FP31": Point("a batch of a bulk act, before its commit", "consumer", _BULK + "cancel_batch", "before", work="bulk"),
    "FP32": Point(
        "a batch of a bulk act, before it is told", "consumer", _BULK + "cancel_batch", "after", found_work, "bulk"
    ),
}  # fmt: skip
"""By number."""
