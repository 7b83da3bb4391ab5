"""What a submit came to."""

from __future__ import annotations

from typing import NamedTuple

from sluice.core.document import Document


class SubmitResult(NamedTuple):
    """The document of the job that does the work, and how it came to be the answer.

    `reused`: a finished result; `coalesced`: the same work was under way; `replayed`: the key was used before.
    `age_s` and `ttl_s` say how old a reused result is and for how long it may still be reused.
    """

    document: Document
    coalesced: bool = False
    reused: bool = False
    replayed: bool = False
    age_s: int = 0
    ttl_s: int = 0
