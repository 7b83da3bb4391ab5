"""RabbitMQ: confirmed publishing and consuming over connections that always come back."""

from sluice.adapters.rabbitmq.broker import Broker
from sluice.adapters.rabbitmq.null_broker import NullBroker

__all__ = ["Broker", "NullBroker"]
