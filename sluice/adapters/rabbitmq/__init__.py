"""RabbitMQ: confirmed publishing and consuming over connections that are always restored."""

from sluice.adapters.rabbitmq.broker import Broker
from sluice.adapters.rabbitmq.events import EventBroker
from sluice.adapters.rabbitmq.null_broker import NullBroker

__all__ = ["Broker", "EventBroker", "NullBroker"]
