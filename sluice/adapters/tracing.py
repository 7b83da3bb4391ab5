"""Turn tracing on where it is configured. Nothing of OpenTelemetry is imported where it is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sluice.core.runtime.settings import Settings
from sluice.core.runtime.telemetry import Telemetry
from sluice.core.runtime.tracing import Tracing
from sluice.errors import StartRefused

CLOSE_S = 3.0
"""Seconds for the last spans to be sent when the process stops."""
MISSING = "SLUICE_OTLP_URL: tracing needs the extra otel: pip install 'sluice-jobs[server,otel]'"


@asynccontextmanager
async def open_tracing(settings: Settings, process: str, telemetry: Telemetry) -> AsyncIterator[None]:
    """Give `telemetry` its tracing for the block, if a collector is configured. Raises StartRefused if the extra is missing."""
    url = settings.otlp_url.get_secret_value()
    if not url:
        yield
        return
    try:
        from sluice.adapters.otlp import OtlpSpans
    except ImportError:
        raise StartRefused(MISSING) from None
    spans = OtlpSpans(url, process, telemetry)
    telemetry.tracing = Tracing(spans.export, settings.trace_ratio)
    try:
        yield
    finally:
        await asyncio.to_thread(spans.close().join, CLOSE_S)
