"""The handle of a job: its id, and its document as the client has seen it last."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from sluice.client.documents import JobDocument
from sluice.client.errors import BadAnswer


class Client(Protocol):
    """What a handle needs to know of the client it came from."""

    def job(self, id: str) -> Any:
        """Return the handle of a job."""


class JobHandle:
    """A job that this client knows. It is one value in all processes: it can be pickled, compared and put into sets, by its id."""

    __slots__ = ("_client", "_document", "_whole", "id")

    def __init__(
        self, client: Any, id: str, document: JobDocument | None = None, *, whole: bool = False
    ) -> None:
        self.id = id
        self._client = client
        self._document = document
        self._whole = whole

    @property
    def document(self) -> JobDocument | None:
        """The document that was seen last, or None if nobody has looked yet. It asks for nothing."""
        return self._document

    @property
    def state(self) -> str | None:
        """The state that was seen last: scheduled, queued, running, succeeded, failed or cancelled; None before anybody has looked."""
        return self._document.state if self._document else None

    @property
    def kind(self) -> str | None:
        """The kind, or None before anybody has looked."""
        return self._document.kind if self._document else None

    @property
    def version(self) -> int:
        """The version that was seen last; 0 if nobody has looked yet."""
        return self._document.version if self._document else 0

    @property
    def finished(self) -> bool:
        """Whether the job was seen to have ended."""
        return self._document is not None and self._document.finished

    @property
    def whole(self) -> bool:
        """Whether the document is known to have the result, which lists, events and keys without `payloads` leave out."""
        return self._whole

    def see(self, document: JobDocument, *, whole: bool = False) -> None:
        """Take note of a newer document. Raises BadAnswer if it is that of another job."""
        if document.id != self.id:
            raise BadAnswer(
                f"The answer is about the job {document.id[:64]!r}, and {self.id!r} was asked for."
            )
        if self.finished and not document.finished:
            return  # an answer that was under way for longer
        if self.finished and self._whole and not whole:
            return
        self._document, self._whole = document, whole

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JobHandle) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        told = f", {self._document.kind}, {self._document.state}" if self._document else ""
        return f"<{type(self).__name__} {self.id}{told}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self._client, self.id, self._document), {"whole": self._whole})

    def __setstate__(self, state: dict[str, bool]) -> None:
        self._whole = state["whole"]


J = TypeVar("J", bound=JobHandle)
