"""Every exception can be put into words, whatever its own code does."""

from __future__ import annotations

import pytest

from sluice.error_text import MOST_NAME, MOST_TEXT, MOST_TRACE, storable, trace_of, type_name, words


class Mute(Exception):
    """Raises if it is asked for its message."""

    def __str__(self) -> str:
        raise RuntimeError


class Leaving(Exception):
    """Ends the program that asks for its message, or for more."""

    def __str__(self) -> str:
        raise SystemExit(3)

    @property
    def __notes__(self) -> list[str]:  # type: ignore[override]  # as hostile as can be
        raise SystemExit(3)


def test_a_message_is_cut_before_it_is_stored() -> None:
    assert words(ValueError("x" * 10_000_000)) == "x" * MOST_TEXT


@pytest.mark.parametrize(("error", "why"), [(Mute(), "RuntimeError"), (Leaving(), "SystemExit")])
def test_an_exception_without_a_message_says_so(error: Exception, why: str) -> None:
    assert words(error) == f"(its message could not be read: {why})"


def test_a_type_has_a_name_of_bounded_length() -> None:
    assert type_name(type("X" * 10_000, (Exception,), {})()) == "X" * MOST_NAME


def test_long_tracebacks_keep_their_end() -> None:
    trace = trace_of(ValueError("x" * 100_000 + "the end"))
    assert len(trace) == MOST_TRACE
    assert trace.endswith("the end\n")


def test_a_traceback_that_cannot_be_formatted_says_so() -> None:
    assert trace_of(Leaving()) == "(its traceback could not be read: SystemExit)"


def test_text_is_made_storable() -> None:
    assert storable("a\x00\udce4ß") == "a\ufffd?ß"
