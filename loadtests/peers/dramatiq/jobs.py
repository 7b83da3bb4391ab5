"""What api and worker share: the broker, where results are stored, and the actor.

Reads DRAMATIQ_RABBITMQ_URL and DRAMATIQ_REDIS_URL.
"""

from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

QUEUE = "sluice.dramatiq"
"""The bench's RabbitMQ account may declare only names like `sluice.…`."""

WORKER = ["loadtests.peers.dramatiq.jobs", "--processes", "1", "--threads", "8", "--skip-logging"]
"""What was fastest where api, worker and servers share two processors; loadtests/README.md says what else was tried."""

results = RedisBackend(url=os.environ["DRAMATIQ_REDIS_URL"])
broker = RabbitmqBroker(url=os.environ["DRAMATIQ_RABBITMQ_URL"], confirm_delivery=True)
broker.add_middleware(Results(backend=results))
dramatiq.set_broker(broker)


def _add(values: list[int]) -> dict[str, int]:
    return {"total": sum(values)}


add = dramatiq.actor(_add, queue_name=QUEUE, store_results=True)
