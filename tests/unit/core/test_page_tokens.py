"""A page token is valid for one tenant and one filter, and nothing that looks like it is."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest

from sluice.core.errors import Malformed
from sluice.core.page_tokens import paging_key, seal, unseal

KEY = paging_key("0123456789abcdef")
JOB = "0190f3c2-5b1e-7cc3-98c4-dc0c0c07398f"
TOKEN = seal(KEY, b"question", JOB)


def test_a_token_leads_back_to_its_place() -> None:
    assert unseal([KEY], b"question", TOKEN) == JOB
    assert TOKEN.replace("-", "").replace("_", "").isalnum()


def test_another_question_or_pepper_is_refused() -> None:
    for key, question in ((KEY, b"questions"), (KEY, b""), (paging_key("0123456789abcdeF"), b"question")):
        with pytest.raises(Malformed):
            unseal([key], question, TOKEN)


def test_while_there_are_two_peppers_a_token_of_either_is_good() -> None:
    other = paging_key("another pepper, of 32 characters")
    assert unseal([other, KEY], b"question", TOKEN) == JOB
    with pytest.raises(Malformed):
        unseal([other], b"question", TOKEN)


def test_a_token_changed_in_any_character_is_refused() -> None:
    for place in range(len(TOKEN)):
        for letter in "Ab9-_=é":
            if letter != TOKEN[place]:
                with pytest.raises(Malformed):
                    unseal([KEY], b"question", TOKEN[:place] + letter + TOKEN[place + 1 :])


@pytest.mark.parametrize(
    "token",
    ["", "=", "a", "x" * 43, "x" * 10_000, TOKEN + "=", TOKEN + "A", TOKEN[:-1], "!" + TOKEN, TOKEN + "\n", "\u0100", " "],
)  # fmt: skip
def test_what_was_never_given_out_is_refused(token: str) -> None:
    with pytest.raises(Malformed):
        unseal([KEY], b"question", token)


def test_the_seal_of_one_place_does_not_hold_for_another() -> None:
    raw = urlsafe_b64decode(TOKEN + "=")
    moved = bytes([raw[0] ^ 1]) + raw[1:]
    with pytest.raises(Malformed):
        unseal([KEY], b"question", urlsafe_b64encode(moved).rstrip(b"=").decode())


def test_the_pepper_is_not_the_key() -> None:
    assert b"0123456789abcdef" not in KEY
