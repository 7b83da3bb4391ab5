"""The input of a job as those see it who may see payloads: its secrets are dots."""

from __future__ import annotations

import asyncio

import orjson
from pydantic import BaseModel

from api.jobs.control import Control
from api.jobs.prepared_job import LARGE
from api.ui.view import View
from sluice.core.registry import Registry
from sluice.secret_fields import find_secrets, hide


async def read_shown_input(view: View, job_id: str, kind: str) -> bytes:
    """Read the input of a job. Without secrets its bytes are those that run. Raises JobUnknown, ServerAway."""
    raw = await view.parts[Control].find_input(view.caller.tenant, job_id)
    registry = view.parts[Registry]
    if kind not in registry:
        return raw
    if len(raw) <= LARGE:
        return _hide_secrets(raw, registry[kind].input_model)
    return await asyncio.to_thread(_hide_secrets, raw, registry[kind].input_model)


def _hide_secrets(raw: bytes, model: type[BaseModel]) -> bytes:
    value = orjson.loads(raw)
    secrets = find_secrets(model, value)
    return orjson.dumps(hide(value, secrets)) if secrets else raw
