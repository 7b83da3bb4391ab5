"""Redis: finished documents, wake-ups and statistics. Losing all of it makes Sluice slower, never wrong."""

from __future__ import annotations

import sys

TELEMETRY = ("opentelemetry", "opentelemetry.sdk")


def _import_driver() -> None:
    """Import redis-py without OpenTelemetry, which it loads wherever that is installed, for metrics that nobody turns on here.

    That would take 3 MiB and a tenth of a second in every process.
    """
    hidden = [name for name in TELEMETRY if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # so Python is told that there is no such module
    try:
        import redis.asyncio  # noqa: F401  for what it leaves in sys.modules
    finally:
        for name in hidden:
            del sys.modules[name]


_import_driver()
