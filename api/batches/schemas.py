"""Models of a batch: what it asks for, what came of each item, and how it stands."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from api.http.schemas import Problem, Written
from api.jobs.schemas import SubmitOptions
from sluice.core.errors import Flaw, Invalid
from sluice.core.strict_json import MAX_DEPTH, Bounds, Raw, parse

MOST_ITEMS = 1_000
"""Items of a batch in one JSON body."""
WHOLE = Bounds(MAX_DEPTH + 2, 100_000)
"""Bounds of that body: each item is two levels deep in it."""


BatchKey = Annotated[
    str,
    Field(min_length=1, max_length=255),
    Written("[ -~]+", "a key has 1 to 255 printable characters of ASCII"),
]


class BatchItem(BaseModel):
    """One job of a batch."""

    model_config = ConfigDict(strict=True, extra="forbid")

    kind: str
    input: Any
    options: SubmitOptions = SubmitOptions()
    key: BatchKey | None = Field(None, description="Its own Idempotency-Key")


class BatchRequest(BaseModel):
    """Jobs to submit together."""

    model_config = ConfigDict(strict=True, extra="forbid")

    jobs: list[BatchItem] = Field(min_length=1, max_length=MOST_ITEMS)
    atomic: bool = Field(False, description="Accept all of them or none")


class Counts(BaseModel):
    """How many items are in each state."""

    scheduled: int
    queued: int
    running: int
    succeeded: int
    failed: int
    cancelled: int
    refused: int = Field(description="Items that came to no job")
    expired: int = Field(description="Items whose jobs were deleted, or are not kept any more")


class BatchDocument(BaseModel):
    """A batch as it stands."""

    id: str = Field(description="UUIDv7", examples=["0190f3c2-5b1e-7cc3-98c4-dc0c0c07398f"])
    state: Literal["running", "finished"] = Field(description="Finished once none of its jobs is unfinished")
    version: int = Field(description="Rises with every change of its jobs; the ETag")
    total: int = Field(description="Items, those refused among them")
    counts: Counts
    links: dict[str, str]


class ItemJob(BaseModel):
    """The job of an item."""

    id: str
    state: str
    links: dict[str, str]


class ItemOutcome(BaseModel):
    """What came of one item: `job` or `problem`, the other is left out."""

    index: int
    status: int = Field(description="As if it had been submitted alone")
    job: ItemJob | None = None
    problem: Problem | None = None


class SubmittedBatch(BatchDocument):
    """A batch that was just submitted."""

    items: list[ItemOutcome] = Field(description="In the order of the request")
    stopped: Problem | None = Field(None, description="Why the rest of the lines was not read, if so")


class RefusedBatch(Problem):
    """Why no job was made of a batch: `batch-refused`."""

    items: list[ItemOutcome] = Field(description="What is wrong with each item that was refused")


class ReadBatch(NamedTuple):
    """What a body asks for. Its items are not checked yet."""

    jobs: list[Any]
    atomic: bool


def read_batch(body: Raw) -> ReadBatch:
    """Read the body of POST /v1/batches. Raises Malformed, Invalid."""
    value = parse(body, WHOLE)
    if type(value) is not dict or type(value.get("jobs")) is not list:
        raise _invalid("/jobs", "missing", "The body is an object with `jobs`, a list of items.")
    if unknown := value.keys() - {"jobs", "atomic"}:
        raise _invalid(f"/{min(unknown)[:64]}", "unknown-field", "There is no such field.")
    if type(value.get("atomic", False)) is not bool:
        raise _invalid("/atomic", "bool_type", "`atomic` is true or false.")
    if not 1 <= len(value["jobs"]) <= MOST_ITEMS:
        raise _invalid("/jobs", "out-of-bounds", f"A batch has 1 to {MOST_ITEMS} items in one JSON body.")
    return ReadBatch(value["jobs"], value.get("atomic", False))


def _invalid(pointer: str, code: str, detail: str) -> Invalid:
    return Invalid([Flaw(pointer, code, detail)])
