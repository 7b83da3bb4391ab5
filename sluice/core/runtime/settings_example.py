"""Every setting written as `.env` has it: `sluice settings` prints `.env.example`."""

from __future__ import annotations

import orjson
from pydantic_core import to_jsonable_python

from sluice.core.runtime.given_settings import PREFIX
from sluice.core.runtime.settings import Settings


def example() -> str:
    """Write `.env.example`: every setting, its default and its description."""
    blocks = []
    for name, field in Settings.model_fields.items():
        blocks.append(f"# {field.description}\n{PREFIX}{name.upper()}={default_text(name)}\n")
    return (
        "# Every setting of Sluice. Copy to .env and change what differs; `make run` needs none of it.\n\n"
        + "\n".join(blocks)
    )


def default_text(name: str) -> str:
    """Write a setting's default as `.env` has it; empty for those that have none."""
    field = Settings.model_fields[name]
    if field.is_required():
        return ""
    return written(field.default)


def written(setting: object) -> str:
    """Write the value of a setting as `.env` has it; secrets are dots."""
    value = to_jsonable_python(setting)
    if isinstance(value, list):
        return ",".join(value)
    return orjson.dumps(value).decode() if isinstance(value, dict | bool) else str(value)
