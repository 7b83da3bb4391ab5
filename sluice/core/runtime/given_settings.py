"""What a person gave as settings, in the environment or in `.env`, and whether there are such settings."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from sluice.core.addresses import OTLP, POSTGRES, RABBITMQ, REDIS, describe_flaw
from sluice.core.runtime.dot_env import read_dot_env
from sluice.spelling import nearest

PREFIX = "SLUICE_"
OF_TOOLS = (
    "SLUICE_URL",
    "SLUICE_PRIVATE_URL",
    "SLUICE_API_KEY",
    "SLUICE_PROFILE",
    "SLUICE_REQUIREMENTS",
    "SLUICE_LOAD_ANYWHERE",
    "SLUICE_LOAD_DIRECTORY",
    "SLUICE_TEST_RABBITMQ_ROOT",
    "SLUICE_TEST_RABBITMQ_VERSION",
)
"""Variables of the tools around the product, which are no settings of it."""

_FORMS = {
    "SLUICE_POSTGRES_URL": POSTGRES,
    "SLUICE_REDIS_URL": REDIS,
    "SLUICE_RABBITMQ_URL": RABBITMQ,
    "SLUICE_OTLP_URL": OTLP,
}
_OF_KUBERNETES = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_LINK = re.compile(r"(tcp|udp|sctp)://")
"""What Kubernetes puts into a variable NAME_PORT for each service of the namespace."""
_COMMENT = re.compile(r"\s*#\s")
"""What Docker Compose makes of `NAME= # a comment`. A secret may begin with #, but hardly with a blank behind it."""


def read_given(file: Path = Path(".env"), environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return every `SLUICE_*` variable that is not empty: those of `.env`, overridden by the environment, also by empty ones.

    Raises StartRefused if the file cannot be read as Docker Compose reads it.
    """
    both = {**read_dot_env(file, environment), **environment}
    return {name: value for name, value in both.items() if name.upper().startswith(PREFIX) and value}


def describe_flaws(given: Mapping[str, str], settings: Collection[str]) -> Iterator[str]:
    """Say of each variable that is none of these settings which was meant, and what is wrong with addresses and comments."""
    for name, value in given.items():
        if name not in settings:
            yield from _unknown(name, value, settings)
        elif name.endswith("_PORT") and _LINK.match(value):
            yield f"{name}: Kubernetes sets this for a service of that name; set enableServiceLinks: false for the pod"
        elif _COMMENT.match(value):
            yield f"{name}: a comment behind an empty value is taken for the value: put it on a line of its own"
        elif name in _FORMS and (flaw := describe_flaw(value.strip(), _FORMS[name])):
            yield f"{name}: {flaw}"


def describe_values(error: ValidationError) -> Iterator[str]:
    """Say what is wrong with each value, without repeating any."""
    for flaw in error.errors(include_url=False, include_input=False):
        name, *path = map(str, flaw["loc"])
        where = f"{'.'.join(path)}: " if path else ""
        yield f"{PREFIX}{name.upper()}: {where}{flaw['msg'].removeprefix('Value error, ')}"


def _unknown(name: str, value: str, settings: Collection[str]) -> Iterator[str]:
    if name in OF_TOOLS or _OF_KUBERNETES.fullmatch(name) or (name.endswith("_PORT") and _LINK.match(value)):
        return
    like = nearest(name.upper().removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in settings])
    advice = f"do you mean {PREFIX}{like}?" if like else "`sluice settings` prints them all"
    yield f"{name}: there is no such setting; {advice}"
