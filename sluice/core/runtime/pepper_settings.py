"""The two peppers that there are while one is changed: what the setting takes, and both together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, SecretStr, ValidationInfo

from sluice.core.peppers import Peppers

if TYPE_CHECKING:
    from sluice.core.runtime.settings import Settings


def _refuse_the_same(value: SecretStr, info: ValidationInfo) -> SecretStr:
    if value == info.data.get("key_pepper"):
        raise ValueError("is the same as SLUICE_KEY_PEPPER: one of them is to be the one before")
    return value


OtherPepper = Annotated[SecretStr, AfterValidator(_refuse_the_same)]


def read_peppers(settings: Settings) -> Peppers:
    """Return the pepper, and the other one while there are two."""
    return Peppers(settings.key_pepper.get_secret_value(), settings.key_pepper_other.get_secret_value())
