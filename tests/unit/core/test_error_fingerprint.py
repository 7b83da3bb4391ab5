"""Failures of one cause share a fingerprint, and those of different causes do not."""

from __future__ import annotations

import re

import pytest

from sluice.core.error_fingerprint import error_fingerprint, generalised

BASE = ("demo.sum", "handler-error", "LookupError", "no such thing")
ALIKE = [
    ("row 17 of 200", "row 3 of 1"),
    ("took 3.5 s", "took -12 s"),
    ("took 3.5 s", "took 1e-3 s"),
    ("10.0.0.1:5432 refused", "192.168.17.4:80 refused"),
    ("<Thing at 0x7f3a2b>", "<Thing at 0xdeadbeef>"),
    ("job 0190f3c2-5b1e-7cc3-98c4-dc0c0c07398f", "job 01a1fd35-8e99-748d-a037-87a48d2b4e9e"),
    ("commit deadbeefcafe", "commit 0123456789ab"),
    ("at 2026-01-02T03:04:05Z", "at 1999-12-31 23:59:59"),
    ("[1, 2, 3] is too long", "[1,2] is too long"),
    ("no column 'Size 1'", 'no column "width"'),
    ("no column `a`", "no column “b”"),
    ("no column «a»", "no column \u2018b\u2019"),
    ("can't open 'a'", "can't open 'it\\'s'"),
    ("can't open 'a', 'b'", "can't open 'c'"),
    ("unclosed 'a", "unclosed 'b c"),
    ("a  lot\nof   space", "a lot of space"),
    ("x" * 300, "x" * 250 + "y"),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_what_differs_from_case_to_case_does_not_count(one: str, other: str) -> None:
    assert error_fingerprint(*BASE[:3], one) == error_fingerprint(*BASE[:3], other)


@pytest.mark.parametrize(
    "other",
    [
        ("demo.sub", *BASE[1:]),
        (BASE[0], "timed-out", *BASE[2:]),
        (*BASE[:2], "KeyError", BASE[3]),
        (*BASE[:3], "no such place"),
        (*BASE[:3], "don't won't no such thing"),
        ("demo.sumh", "andler-error", *BASE[2:]),
    ],
)
def test_another_kind_type_title_or_wording_is_another_error(other: tuple[str, str, str, str]) -> None:
    assert error_fingerprint(*other) != error_fingerprint(*BASE)


def test_a_fingerprint_never_changes_between_releases() -> None:
    assert error_fingerprint(*BASE) == "27f308596b3444eb"
    assert re.fullmatch("[0-9a-f]{16}", error_fingerprint("k", "t", "\ud800", "\ud800"))


@pytest.mark.parametrize("text", ["it's what it isn't", "a bad face", "the cats' tails", ""])
def test_plain_words_stay(text: str) -> None:
    assert generalised(text) == text


@pytest.mark.timeout(60, func_only=True)  # one second, on a machine that does nothing else
@pytest.mark.parametrize("piece", ["'", "' ", "'a\\", "#, ", "1", "a", "z", "\\", "f", "# - ", '"`“\u2018«'])
def test_no_detail_takes_long(piece: str) -> None:
    for _ in range(1_000):
        generalised((piece * 2_000)[:2_000] + "!")
