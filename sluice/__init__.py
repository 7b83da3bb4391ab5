"""Sluice turns a typed function into a REST endpoint with a durable queue behind it.

    from sluice import handler

It exports everything that a handler needs. Importing it is quick: it loads neither pydantic nor a driver nor a framework.
"""

from sluice.context import Context
from sluice.errors import GiveUp, RetryLater
from sluice.handler import handler
from sluice.retry import RetryPolicy

__version__ = "0.1.0"
__all__ = ["Context", "GiveUp", "RetryLater", "RetryPolicy", "__version__", "handler"]
