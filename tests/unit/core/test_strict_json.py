"""The strict parser of request bodies."""

from __future__ import annotations

import contextlib
import time
from codecs import BOM_UTF8

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.core import strict_json
from sluice.core.errors import Invalid, Malformed
from sluice.core.strict_json import MAX_DEPTH, MAX_ITEMS, parse
from sluice.kind_schemas import MAX_WHOLE


def short(value: object) -> str:
    """Name a case that may be a megabyte long."""
    return repr(value)[:24]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"  \n",
        b'"\xff"',
        BOM_UTF8,
        BOM_UTF8 * 2 + b"{}",
        b"{} x",
        b"NaN",
        b"Infinity",
        b"[1e400]",
        b"[-1e400]",
        b"9" * 1_000_000,
        b'"\\ud800"',
        b'"a\nb"',
        b"[" * 1_025 + b"]" * 1_025,
        b"[" * 100_000,
        b"{'a': 1}",
        b"[1,]",
        b"01",
    ],
    ids=short,
)
def test_what_is_not_json_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed):
        parse(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a": 1, "a": 2}',
        b'{"x": {"a": 1, "b": 2, "a": 3}}',
        b'[{"a": ":"}, {"b": 1, "b": "::"}]',
        b'{"\\u0061": 1, "a": 2}',
        b'{"a": {"b": 1}, "a": {"b": 1, "c": 2}}',
    ],
)
def test_equal_keys_in_one_object_are_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed, match="same key twice"):
        parse(raw)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"18446744073709551616", "unsafe_number"),
        (str(MAX_WHOLE + 1).encode(), "unsafe_number"),
        (str(-MAX_WHOLE - 1).encode(), "unsafe_number"),
        (b'{"a": [' + b"9" * 60 + b"]}", "unsafe_number"),
        (b'"a\\u0000b"', "nul"),
        (b'{"a\\u0000": 1}', "nul"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "too-deep"),
        (b"[" + b"1," * MAX_ITEMS + b"1]", "too-many-items"),
        (orjson.dumps({str(n): n for n in range(MAX_ITEMS + 1)}), "too-many-items"),
    ],
    ids=short,
)
def test_json_we_do_not_take_is_invalid(raw: bytes, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(raw)
    assert caught.value.flaws[0].code == code


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b" {} ", {}),
        (BOM_UTF8 + b'{"a": ":"}', {"a": ":"}),
        (bytearray(BOM_UTF8 + b" [1]"), [1]),
        (str(MAX_WHOLE).encode(), MAX_WHOLE),
        (str(-MAX_WHOLE).encode(), -MAX_WHOLE),
        (b"1e300", 1e300),
        (b'["12345678901234567890", 1e300]', ["12345678901234567890", 1e300]),
        (b"[1e300, 1234567890123456, 1e-12345678901234567]", [1e300, 1234567890123456, 0.0]),
        (b"[-9.5e18, 12345678901234567.5]", [-9.5e18, 12345678901234567.5]),
        (b'{"a": {"a": "::"}, "b": ":"}', {"a": {"a": "::"}, "b": ":"}),
        (b'{"q": "\\\\\\":"}', {"q": '\\":'}),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, None),
        (b"[" + b"1," * (MAX_ITEMS - 1) + b"1]", [1] * MAX_ITEMS),
        (b"null", None),
        (b'["\xf0\x9f\x98\x80", true, null, -0.0]', ["😀", True, None, -0.0]),
    ],
    ids=short,
)
def test_good_json_comes_through_unchanged(raw: bytes, value: object) -> None:
    parsed = parse(raw)
    assert value is None or parsed == value


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be", "latin-1"])
def test_another_encoding_is_named_as_what_is_wrong(encoding: str) -> None:
    with pytest.raises(Malformed, match="not UTF-8, in which JSON is sent"):
        parse('{"a": "é"}'.encode(encoding))


def test_a_byte_order_mark_hides_no_flaw() -> None:
    with pytest.raises(Malformed, match="same key twice"):
        parse(BOM_UTF8 + b'{"a": 1, "a": 2}')
    with pytest.raises(Invalid, match="beyond"):
        parse(BOM_UTF8 + b"[18446744073709551616]")


def test_commas_in_strings_are_no_elements() -> None:
    assert parse(b'["' + b"," * (2 * MAX_ITEMS) + b'"]') == ["," * (2 * MAX_ITEMS)]


@pytest.mark.parametrize(
    "raw",
    [b"[" + b"1," * 1_000_000, b'{"a' + b'\\",' * 1_000_000, b'"' + b'\\",' * 1_000_000 + b"\\"],
    ids=short,
)
def test_a_million_of_anything_is_refused_at_once(raw: bytes) -> None:
    started = time.process_time()
    with pytest.raises((Malformed, Invalid)):
        parse(raw)
    assert time.process_time() - started < 1  # seconds where the work grew with the square of the size


def test_a_long_whole_number_is_shortened_in_the_answer() -> None:
    with pytest.raises(Invalid) as caught:
        parse(b"9" * 300)
    assert len(caught.value.flaws[0].detail) < 128


_scalars = st.none() | st.booleans() | st.integers(-MAX_WHOLE, MAX_WHOLE) | st.floats(-1e15, 1e15)
_texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
_values = st.recursive(
    _scalars | _texts, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_texts, inner, max_size=5)
)


@given(_values)
def test_whatever_can_be_stored_survives_a_round_trip(value: object) -> None:
    assert parse(orjson.dumps(value)) == value


@given(st.binary(max_size=60))
def test_no_bytes_cause_anything_but_our_two_errors(raw: bytes) -> None:
    with contextlib.suppress(Malformed, Invalid):
        orjson.dumps(parse(raw))


def test_whole_numbers_are_looked_for_once_however_many_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    monkeypatch.setattr(strict_json, "_check_wholes", lambda raw: looked.append(len(raw)))
    raw = orjson.dumps([1e99] * 1_000)
    assert parse(raw) == [1e99] * 1_000
    assert looked == [len(raw)]
