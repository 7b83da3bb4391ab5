"""The messages of our errors."""

from __future__ import annotations

from sluice.core.errors import (
    Flaw,
    Invalid,
    KindUnknown,
    NotConfigured,
    OutcomeUnknown,
    Overloaded,
    ServerAway,
    TooLarge,
    WebhookDisabled,
)
from sluice.errors import SluiceError


def test_an_error_without_a_message_uses_its_docstring() -> None:
    assert str(OutcomeUnknown()).startswith("The commit was sent and its reply was lost")
    assert str(SluiceError("said otherwise")) == "said otherwise"


def test_an_error_that_nobody_described_is_silent() -> None:
    class Undescribed(SluiceError):
        __doc__ = None

    assert str(Undescribed()) == ""


def test_errors_carry_what_the_answer_needs() -> None:
    assert (ServerAway("redis").server, str(ServerAway("redis", "gone"))) == ("redis", "redis: gone")
    absent = NotConfigured("rabbitmq", "set its address")
    assert (absent.remedy, str(absent)) == ("set its address", "rabbitmq: not configured; set its address")
    assert Overloaded().retry_after_s == 1
    assert Overloaded(7).retry_after_s == 7
    assert TooLarge(10).limit == 10
    assert "PUT it again" in str(WebhookDisabled())
    assert "10 bytes" in str(TooLarge(10))


def test_an_unknown_kind_is_named_but_not_at_length() -> None:
    error = KindUnknown("x" * 500)
    assert error.kind == "x" * 500
    assert len(str(error)) < 128


def test_the_first_flaw_is_the_message() -> None:
    flaws = [Flaw("/a", "missing", "a is required"), Flaw("/b", "missing", "b is required")]
    assert (str(Invalid(flaws)), Invalid(flaws).flaws) == ("a is required", flaws)
    assert str(Invalid([])) == "The request does not fit what it asks for."
