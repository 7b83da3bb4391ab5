"""Read the settings of a process, and say in one line what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from sluice.core.runtime.given_settings import PREFIX, describe_flaws, describe_values, read_given
from sluice.core.runtime.settings import Settings
from sluice.errors import StartRefused


def load_settings(given: Mapping[str, str] | None = None) -> Settings:
    """Read the settings of this process from these `SLUICE_*` variables; by default from its environment and `.env`.

    Raises StartRefused with one line that names every wrong variable.
    """
    given = read_given() if given is None else given
    fields = {f"{PREFIX}{name.upper()}": name for name in Settings.model_fields}
    flaws = list(describe_flaws(given, fields))
    try:
        settings = Settings.model_validate({fields[name]: given[name] for name in fields if name in given})
    except ValidationError as error:
        told = {line.partition(":")[0] for line in flaws}
        flaws += [line for line in describe_values(error) if line.partition(":")[0] not in told]
    if flaws:
        raise StartRefused("; ".join(flaws))
    return settings
