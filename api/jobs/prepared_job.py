"""What is left of a submit once its body was read and checked."""

from __future__ import annotations

from typing import NamedTuple

from sluice.core.job import NewJob

LARGE = 1024 * 1024
"""Bytes from which on a body is read in a thread."""


class PreparedJob(NamedTuple):
    """A job that was checked and is to be submitted. `refresh`: it replaces earlier results. `digest`: that of a whole body
    that asks for it and nothing else.
    """

    job: NewJob
    refresh: bool = False
    digest: bytes | None = None
