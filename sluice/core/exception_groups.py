"""Look into exception groups: find the one exception that decides, or tell the causes of a group apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from sluice.core.error_fingerprint import generalised
from sluice.error_text import MOST_NAME, MOST_TEXT, type_name, words
from sluice.errors import BadInput, BadOutput, GiveUp, RetryLater

DECISIVE = (MemoryError, GiveUp, BadInput, BadOutput, ImportError, RetryLater)
"""What counts as if it had been raised alone, the strongest first: what would fail again goes before what may not."""

MOST_LEAVES = 1_000
"""Exceptions of a group that are looked at."""

MOST_CAUSE = 200
"""Characters of each message, where a group has several."""

_context_of: Callable[[BaseException], BaseException | None] = vars(BaseException)["__context__"].__get__
"""Reads what is there, whatever a class has put in its place."""


def unwrap(error: BaseException) -> BaseException:
    """Return the exception that decides what a group means; the group itself where it is one of several plain errors."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = list(_leaves(error))
    for decisive in DECISIVE:
        for leaf in leaves:
            if isinstance(leaf, decisive):
                return leaf
    return leaves[0] if len(leaves) == 1 else error


def describe_causes(group: BaseException) -> tuple[str, str]:
    """Return a title and a detail that are the same whatever the order and the number of equal errors."""
    causes: dict[tuple[str, str], str] = {}
    for leaf in _leaves(group):
        text = words(leaf)
        causes.setdefault((type_name(leaf), generalised(text)), text)
    if len(causes) == 1:
        ((name, _), text), *_ = causes.items()
        return name, text
    names = dict.fromkeys(name for name, _ in sorted(causes))
    lines = (f"{cause[0]}: {causes[cause][:MOST_CAUSE]}" for cause in sorted(causes))
    return ", ".join(names)[:MOST_NAME], "; ".join(lines)[:MOST_TEXT]


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it followed from."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        yield cause
        seen.add(id(cause))
        cause = _context_of(cause)


def drop_frames(error: BaseException) -> None:
    """Let go of everything that an exception, and those in it if it is a group, keeps alive."""
    for each in _walk(error):
        each.__traceback__ = each.__context__ = each.__cause__ = None


def _leaves(error: BaseException) -> Iterator[BaseException]:
    return islice((each for each in _walk(error) if not isinstance(each, BaseExceptionGroup)), MOST_LEAVES)


def _walk(error: BaseException) -> Iterator[BaseException]:
    """Go through a group and all that is in it. Without recursion: groups may be nested deeply."""
    waiting = [error]
    while waiting:
        each = waiting.pop()
        yield each
        if isinstance(each, BaseExceptionGroup):
            waiting.extend(reversed(each.exceptions))
