"""RabbitMQ: confirmed publishing and consuming over connections that always come back."""

from adapters.rabbitmq.absent import NoBroker
from adapters.rabbitmq.broker import Broker

__all__ = ["Broker", "NoBroker"]
