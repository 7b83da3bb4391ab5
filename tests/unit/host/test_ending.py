"""Every ending crosses from host to consumer and is there what it was."""

from __future__ import annotations

import ormsgpack
import pytest

from sluice.core.outcome import (
    ChildDied,
    Ending,
    FilesGone,
    HandlerFailed,
    ImportFailed,
    OutOfMemory,
    Released,
    TimedOut,
)
from sluice.errors import BadInput, BadOutput, GiveUp, RetryLater
from sluice.host.ending import decode_ending, encode_ending


class Odd(RetryLater):
    """Has none of what its parent promises."""

    def __init__(self) -> None:
        pass


PLAIN: list[Ending] = [
    b'{"value":1}',
    GiveUp("no"),
    RetryLater(7.5, "busy"),
    BadInput("/a: no"),
    BadOutput("too large"),
    OutOfMemory("too much"),
    TimedOut("too long"),
    Released("asked to stop"),
    HandlerFailed("KeyError", "'a'", "File x, line 1"),
    ImportFailed("ImportError", "no a", "File x, line 1"),
    FilesGone("OSError", "Too many open files", "File x, line 1"),
]
RAISED = [
    KeyError("a"),
    ImportError("no a", name="a"),
    MemoryError(),
    SystemExit(3),
    ChildDied("not for handlers"),
    ExceptionGroup("many", [KeyError("a"), IndexError("b")]),
    ExceptionGroup("one", [GiveUp("no\ud800\x00")]),
    ExceptionGroup("one", [RetryLater(7, "x" * 9_000)]),
    Odd(),
    type("X" * 9_000, (Exception,), {})("x" * 9_000),
]


def sent(ending: Ending) -> Ending:
    """What arrives."""
    word, values = ormsgpack.unpackb(ormsgpack.packb(tuple(encode_ending(ending))))
    return decode_ending(word, values)


def said(ending: Ending) -> object:
    """All that an ending says."""
    return ending if isinstance(ending, bytes) else (type(ending), ending.args, vars(ending))


@pytest.mark.parametrize("ending", PLAIN)
def test_a_plain_ending_arrives_as_it_was(ending: Ending) -> None:
    assert said(sent(ending)) == said(ending)


@pytest.mark.parametrize("error", RAISED)
def test_whatever_is_raised_arrives_as_a_plain_ending(error: BaseException) -> None:
    arrived = sent(error)
    assert said(sent(arrived)) == said(arrived)
    assert type(arrived) in {type(each) for each in PLAIN}
    assert sum(len(str(value)) for value in encode_ending(error).values) < 23_000


def test_an_exception_brings_its_type_its_words_and_its_traceback() -> None:
    with pytest.raises(LookupError) as caught:
        raise LookupError("nothing there")
    arrived = sent(caught.value)
    assert isinstance(arrived, HandlerFailed)
    assert (arrived.title, str(arrived), "test_ending.py" in arrived.trace) == (
        "LookupError",
        "nothing there",
        True,
    )


def test_a_handler_cannot_claim_that_its_process_died() -> None:
    arrived = sent(ChildDied("mine"))
    assert isinstance(arrived, HandlerFailed)
    assert (arrived.title, str(arrived)) == ("ChildDied", "mine")


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("child-died", ("x",)),
        ("", ()),
        ("output", ("text",)),
        ("output", ()),
        ("gave-up", (b"bytes",)),
        ("gave-up", ("two", "texts")),
        ("raised", ("title", "text")),
        ("later", ("soon", "why")),
        ("later", (float("nan"), "why")),
    ],
)
def test_what_no_host_may_send_is_refused(word: str, values: tuple[str | bytes | float, ...]) -> None:
    with pytest.raises(ValueError, match=r"ending|number"):
        decode_ending(word, values)


def test_what_a_handler_writes_to_the_pipe_itself_is_cut_and_made_storable() -> None:
    arrived = decode_ending("raised", ("t\x00" * 999, "x" * 9_000, "x" * 99_000))
    assert isinstance(arrived, HandlerFailed)
    assert (len(arrived.title), len(str(arrived)), len(arrived.trace)) == (200, 2_000, 20_000)
    assert "\x00" not in arrived.title
