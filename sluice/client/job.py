"""The handle of a job: its id, and its document as the client has seen it last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from sluice.client.documents import JobDocument
from sluice.client.errors import BadAnswer

if TYPE_CHECKING:
    import typing_extensions

    Output_co = typing_extensions.TypeVar("Output_co", covariant=True, default=Any)
else:
    Output_co = TypeVar("Output_co", covariant=True)  # Python has defaults of them from 3.13 on


class JobHandle:
    """A job that this client knows. It is one value in all processes: it can be pickled, compared and put into sets, by its id."""

    __slots__ = ("_client", "_seen", "id")

    def __init__(
        self, client: Any, id: str, document: JobDocument | None = None, whole: bool = False
    ) -> None:
        self.id = id
        self._client = client
        self._seen = document, whole  # one value: another thread may look while the poller writes

    @property
    def document(self) -> JobDocument | None:
        """The document that was seen last, or None if nobody has looked yet. It asks for nothing."""
        return self._seen[0]

    @property
    def state(self) -> str | None:
        """The state that was seen last: scheduled, queued, running, succeeded, failed or cancelled; None before anybody has looked."""
        return self.document.state if self.document else None

    @property
    def kind(self) -> str | None:
        """The kind, or None before anybody has looked."""
        return self.document.kind if self.document else None

    @property
    def version(self) -> int:
        """The version that was seen last; 0 if nobody has looked yet."""
        return self.document.version if self.document else 0

    @property
    def finished(self) -> bool:
        """Whether the job was seen to have ended."""
        return self.document is not None and self.document.finished

    @property
    def whole(self) -> bool:
        """Whether the document is known to have the result, which lists, events and keys without `payloads` leave out."""
        return self._seen[1]

    def see(self, document: JobDocument, *, whole: bool = False) -> None:
        """Take note of a newer document. Raises BadAnswer if it is that of another job."""
        if document.id != self.id:
            raise BadAnswer(
                f"The answer is about the job {document.id[:64]!r}, and {self.id!r} was asked for."
            )
        if self.finished and not document.finished:
            return  # an answer that was under way for longer
        if self.finished and self.whole and not whole:
            return
        self._seen = document, whole

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JobHandle) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        told = f", {self.document.kind}, {self.document.state}" if self.document else ""
        return f"<{type(self).__name__} {self.id}{told}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._client, self.id, *self._seen)


J = TypeVar("J", bound=JobHandle)
