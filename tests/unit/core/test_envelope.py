"""The envelope: what one release writes another must read, and nothing else may be taken for it."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.core.envelope import decode, encode
from sluice.core.errors import Malformed

ID = "0190a3c5-7b2e-7c3d-8e4f-5a6b7c8d9e0f"


@given(st.lists(st.uuids().map(str)))
def test_what_is_encoded_decodes_to_the_same_ids_in_the_same_order(ids: list[str]) -> None:
    assert decode(encode(ids)) == ids


def test_an_envelope_holds_its_version_and_ids_and_nothing_else() -> None:
    assert orjson.loads(encode((ID,))) == {"v": 1, "ids": [ID]}


def test_a_full_message_stays_far_below_the_limit_of_every_broker() -> None:
    assert len(encode([ID] * 1_000)) < 64 * 1024


def test_an_id_in_another_spelling_is_read_as_the_one_we_store() -> None:
    assert decode(b'{"v":1,"ids":["0190A3C57B2E7C3D8E4F5A6B7C8D9E0F"]}') == [ID]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'"ids"',
        b"7",
        b"{}",
        b'{"v":1}',
        b'{"ids":[]}',
        b'{"v":2,"ids":[]}',
        b'{"v":"1","ids":[]}',
        b'{"v":1,"ids":null}',
        b'{"v":1,"ids":7}',
        b'{"v":1,"ids":[7]}',
        b'{"v":1,"ids":[null]}',
        b'{"v":1,"ids":["not an id"]}',
        b'{"v":1,"ids":{"0190a3c5":1}}',
        b'{"v":1,"ids":["0190a3c5-7b2e-7c3d-8e4f-5a6b7c8d9e0f"]',
    ],
)
def test_bytes_that_we_did_not_write_are_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        decode(body)


@given(st.binary())
def test_no_bytes_at_all_raise_anything_but_malformed(body: bytes) -> None:
    try:
        decode(body)
    except Malformed:
        return


def test_an_envelope_of_a_later_release_says_which_version_it_has() -> None:
    with pytest.raises(Malformed, match="version 2"):
        decode(b'{"v":2,"ids":[]}')
