"""The form of API keys."""

from __future__ import annotations

from zlib import crc32

import pytest

from api.keys.api_key import hash_secret, make_key, parse_key


def test_a_made_key_reads_back() -> None:
    key = make_key()
    parts = parse_key(key.encode())
    assert parts
    assert key.startswith(f"slc_{parts.key_id}_{parts.secret.decode()}_")
    assert make_key() != key


@pytest.mark.parametrize("place", range(4, 58))
def test_a_typing_error_anywhere_is_noticed(place: int) -> None:
    key = "slc_abcdefghijkl_ABCDEFGHIJKLMNOPQRSTUVWXYZ012345_"
    key += f"{crc32(key[:-1].encode()):08x}"
    wrong = key[:place] + ("x" if key[place] != "x" else "y") + key[place + 1 :]
    assert parse_key(key.encode())
    assert parse_key(wrong.encode()) is None


def test_the_pepper_changes_the_hash() -> None:
    assert hash_secret(b"s", b"p") != hash_secret(b"s", b"q")
    assert len(hash_secret(b"s", b"p")) == 32
