"""Write the schema of the chart's values: what is laid down in values.schema.yaml, and the settings under `config`.

`make schema` writes the file; a test fails if it is stale.
"""

from pathlib import Path
from typing import Any

import orjson
import yaml  # type: ignore[import-untyped]  # it ships no types

from sluice.core.runtime.given_settings import PREFIX
from sluice.core.runtime.settings import Settings

_HERE = Path(__file__).parent
FILE = _HERE / "sluice" / "values.schema.json"
SECRET = {"postgres_url", "redis_url", "rabbitmq_url", "key_pepper"}
"""Settings that come from a Secret."""
OF_THE_CHART = {
    *("api_host", "api_port", "private_host", "api_private_port", "consumer_private_port"),
    *("lame_duck_s", "trusted_proxies", "serve_lanes", "stop_s", "processes"),
}
"""Settings that the chart derives from other values."""
_PREFIX_OF_POINTERS = "#/$defs/"


def schema() -> dict[str, Any]:
    """Return the whole schema."""
    laid_down: dict[str, Any] = yaml.safe_load((_HERE / "values.schema.yaml").read_text())
    settings = Settings.model_json_schema()
    laid_down["$defs"] |= settings.get("$defs", {})
    laid_down["properties"]["config"] = {
        "type": "object",
        "additionalProperties": False,
        "required": [f"{PREFIX}LANES"],
        "properties": {
            f"{PREFIX}{name.upper()}": _setting(field)
            for name, field in settings["properties"].items()
            if name not in SECRET | OF_THE_CHART
        },
    }
    return laid_down


def _setting(field: dict[str, Any]) -> dict[str, Any]:
    """A setting as values may have it; lists also as text with commas. What only Sluice can judge, it judges at its start."""
    known = {name: value for name, value in field.items() if name not in ("title", "default")}
    if field.get("type") == "array":
        known["type"] = ["array", "string"]
    return known


def text() -> str:
    """Return the file as it should be."""
    return orjson.dumps(schema(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


if __name__ == "__main__":
    FILE.write_text(text())
