"""The logger of a job: every line says which job it is of, and keeps what the caller adds."""

from __future__ import annotations

import logging
from collections.abc import Container, Mapping, MutableMapping
from typing import Any

LOGGER = "sluice.handler"
"""What the logger of a job is called."""

RECORD_NAMES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What a log record or its formatter sets: `logging` raises where a field is called so."""


class JobLogger(logging.LoggerAdapter[logging.Logger]):
    """Adds the fields of a job to the `extra` of the caller, whose names give way where both have one."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        logger = logging.getLogger(LOGGER)
        logger.disabled = False  # a dictConfig() in the module of a handler disables every logger there was
        super().__init__(logger)
        self._job = job
        self._taken = RECORD_NAMES | job.keys()

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Put both kinds of fields together; `LoggerAdapter` would replace those of the caller."""
        given = kwargs.get("extra") or {}
        fields = {free_name(name, self._taken): value for name, value in given.items()}
        kwargs["extra"] = fields | dict(self._job)
        return msg, kwargs


def free_name(name: str, taken: Container[str]) -> str:
    """Return the name, with as many underscores behind it as it takes to be free."""
    while name in taken:
        name += "_"
    return name
