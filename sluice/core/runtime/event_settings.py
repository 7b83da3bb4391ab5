"""Whether other programs are told of jobs: what that setting takes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, SecretStr, ValidationInfo


def _check_way(value: str, info: ValidationInfo) -> str:
    """Raise ValueError where there is no RabbitMQ for events. An address that is wrong itself is reported as such."""
    url = info.data.get("rabbitmq_url")
    if value != "off" and isinstance(url, SecretStr) and not url.get_secret_value():
        raise ValueError("events go over RabbitMQ: set SLUICE_RABBITMQ_URL too, or leave them off")
    return value


Events = Annotated[Literal["off", "live", "kept"], AfterValidator(_check_way)]
