"""Cutting a stream of bytes into messages, and refusing what is none."""

from __future__ import annotations

from typing import Any

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.handler import LARGEST_INPUT
from sluice.host.frames import LARGEST_MESSAGE, BrokenFrame, Decoder, Message, encode

PLAIN = st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.text() | st.binary()
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
MESSAGES = st.lists(st.tuples(st.text(), VALUES, VALUES).map(list), max_size=6)


def frame(body: bytes) -> bytes:
    """These bytes with their length before them."""
    return len(body).to_bytes(4, "little") + body


def fed(*pieces: bytes) -> list[Message]:
    """The messages that come of these pieces."""
    decoder = Decoder()
    return [message for piece in pieces for message in decoder.feed(piece)]


@given(MESSAGES, st.lists(st.integers(0, 2_000)))
def test_messages_that_are_cut_anywhere_arrive_whole_and_in_order(
    messages: list[Any], cuts: list[int]
) -> None:
    stream = b"".join(map(encode, messages))
    ends = [*sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assert fed(*(stream[begin:end] for begin, end in zip([0, *ends], ends, strict=False))) == messages


def test_a_message_arrives_as_soon_as_its_last_byte_is_there() -> None:
    decoder, first, second = Decoder(), encode(("word", 1)), encode(("next",))
    assert decoder.feed(first[:-1]) == []
    assert decoder.feed(first[-1:] + second[:-1]) == [["word", 1]]
    assert decoder.feed(second[-1:]) == [["next"]]


@given(st.binary(min_size=1, max_size=60))
def test_garbage_is_a_broken_frame_or_a_message_and_nothing_else(body: bytes) -> None:
    try:
        messages = fed(frame(body))
    except BrokenFrame:
        return
    assert all(isinstance(message[0], str) for message in messages)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x91",
        ormsgpack.packb("a word alone"),
        ormsgpack.packb({"word": 1}),
        ormsgpack.packb([]),
        ormsgpack.packb([1, "word"]),
        ormsgpack.packb([b"word"]),
        b"\x91\xa1\xff",
        b"\x91\xd4\x01x",
        b"\x91" * 100_000,
        b"\xdd\xff\xff\xff\xff",
    ],
)  # fmt: skip
def test_what_is_no_list_with_a_word_is_a_broken_frame(body: bytes) -> None:
    with pytest.raises(BrokenFrame):
        fed(frame(body))


def test_a_stream_stays_broken() -> None:
    decoder = Decoder()
    for piece in (frame(b"\xc1"), encode(("word",))):
        with pytest.raises(BrokenFrame):
            decoder.feed(piece)


def test_the_largest_message_arrives() -> None:
    overhead = len(encode(("run", b"\0" * (1 << 16)))) - (1 << 16)
    message = ["run", b"x" * (LARGEST_MESSAGE - overhead)]
    stream = encode(message)
    assert len(stream) == LARGEST_MESSAGE > LARGEST_INPUT
    assert fed(*(stream[at : at + (1 << 20)] for at in range(0, len(stream), 1 << 20))) == [message]


def test_one_that_is_too_long_is_refused_by_its_length_alone() -> None:
    with pytest.raises(BrokenFrame, match="33 MiB"):
        fed((LARGEST_MESSAGE - 3).to_bytes(4, "little"))
