"""What a plan asks its driver to do. A plan is a generator: it yields steps, is sent what came of each, and returns its result.

What ends a step with an error of the client is raised where the plan has yielded it.

Plans decide: what to send, when to send it again, how long to wait. They touch no socket, no clock of their own, no thread and no
event loop. The drivers act: one blocks, the other awaits. So whatever a plan can do, both clients can.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar

if TYPE_CHECKING:
    from sluice.client.watching import Watch

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the API. `wait_s`: how long the server may hold its answer; `repeatable`: sending it twice does no more than once."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    wait_s: float = 0.0
    repeatable: bool = True


class Answer(NamedTuple):
    """A whole answer; the names of `headers` are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Broken(NamedTuple):
    """There was no answer, or not all of one. `sent`: the server may have read the request."""

    why: str
    sent: bool


class Send(NamedTuple):
    """Send a request. The driver answers with Answer or Broken, after at most so many seconds."""

    request: Request
    timeout_s: float


class Pause(NamedTuple):
    """Wait for so many seconds."""

    seconds: float


class Open(NamedTuple):
    """Send a request whose answer comes bit by bit, with less than `timeout_s` seconds between.

    The driver answers with Answer, without a body if its status is 200, or Broken.
    """

    request: Request
    timeout_s: float


class Read(NamedTuple):
    """Read on in what was opened last. The driver answers with bytes, None at the end, or, after at most so many seconds, Broken."""

    timeout_s: float


class Emit(NamedTuple):
    """Hand a value to whoever iterates."""

    value: Any


class Pull(NamedTuple):
    """Take the next of the caller's inputs. The driver answers with it, or END."""


class Attend(NamedTuple):
    """Wait until something is known of watched jobs, for so many seconds at most."""

    watch: Watch[Any]
    timeout_s: float


END: Final = object()
"""There are no more inputs."""

Step: TypeAlias = Send | Pause | Open | Read | Emit | Pull | Attend
Plan: TypeAlias = Generator[Step, Any, T]
