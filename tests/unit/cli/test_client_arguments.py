"""What the arguments of client's words mean, and which are refused."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from sluice.cli import arguments
from sluice.cli.arguments import moment, read_filters, read_input, seconds


@pytest.mark.parametrize(
    ("text", "length"), [("90", 90), ("60s", 60), ("1.5m", 90), ("2h", 7_200), ("7d", 604_800), ("0", 0)]
)
def test_a_length_of_time_has_a_unit(text: str, length: float) -> None:
    assert seconds(text) == length


@pytest.mark.parametrize("text", ["", "s", "-1s", "1e3", "nan", "inf", "1 h", "2w", "99999999999d", "1.s"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="no length of time"):
        seconds(text)


def test_a_moment_is_so_long_ago_or_a_time_with_its_zone() -> None:
    ago = datetime.now(UTC) - datetime.fromisoformat(moment("2h"))
    assert abs(ago - timedelta(hours=2)) < timedelta(seconds=5)
    assert moment("2026-11-28T09:00:00+01:00") == "2026-11-28T09:00:00+01:00"


@pytest.mark.parametrize("text", ["yesterday", "2026-11-28", "2026-11-28T09:00:00", ""])
def test_a_time_without_a_zone_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="with its zone"):
        moment(text)


@pytest.mark.parametrize(
    ("given", "sets", "value"),
    [
        (None, [], {}),
        ('{"a": 1}', [], {"a": 1}),
        ("[1]", [], [1]),
        (None, ["width=320", "name=a cat", "on=true", "deep.er=null", "t=\"320\"", "e="], {"width": 320, "name": "a cat", "on": True, "deep": {"er": None}, "t": "320", "e": ""}),
        ('{"width": 1, "deep": {"a": 1}}', ["width=2", "deep.b=x=y"], {"width": 2, "deep": {"a": 1, "b": "x=y"}}),
        (None, ["big=9007199254740993", "n=NaN"], {"big": 9007199254740993, "n": "NaN"}),
    ],
)  # fmt: skip
def test_an_input_is_json_with_what_is_set_in_it(given: str | None, sets: list[str], value: Any) -> None:
    assert read_input(given, sets) == value


def test_an_input_comes_from_a_file_or_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in.json").write_text('{"name": "caf\u00e9"}', encoding="utf-8")
    assert read_input(f"@{tmp_path}/in.json", []) == {"name": "caf\u00e9"}
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b'{"a": 2}')))
    assert read_input("-", ["b=3"]) == {"a": 2, "b": 3}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("{", "INPUT is not JSON"),
        ("cat.jpg", "--set name=value, @FILE or -"),
        ('{"a": 1, "b": 2, "a": 3}', "'a' twice"),
        ("NaN", "NaN is no number"),
        ("1e999", "no number can be as large as 1e999"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_an_input_that_is_no_json_is_refused(given: str, why: str) -> None:
    with pytest.raises(typer.BadParameter, match=why):
        read_input(given, [])


@pytest.mark.parametrize("given", ["-", "@/dev/zero"])
def test_an_input_without_end_is_not_read_to_it(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arguments, "MOST_BYTES", 1_000)
    with Path("/dev/zero").open("rb") as endless:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=endless))
        with pytest.raises(typer.BadParameter, match="more than 1000 bytes"):
            read_input(given, [])


@pytest.mark.parametrize(
    ("given", "each"), [(None, "width"), (None, "=1"), ("[]", "a=1"), ('{"a": 1}', "a.b=1")]
)
def test_what_cannot_be_set_is_refused(given: str | None, each: str) -> None:
    with pytest.raises(typer.BadParameter):
        read_input(given, [each])


def test_a_filter_is_that_of_the_api() -> None:
    found = read_filters(["state=failed", "state=cancelled", "tag=order_id=42", "since=2026-01-01T00:00:00Z"])
    assert found == {
        "state": ["failed", "cancelled"],
        "tag": "order_id=42",
        "created_after": "2026-01-01T00:00:00Z",
    }


@pytest.mark.parametrize("each", ["state", "state=", "created=1", "since=soon"])
def test_a_filter_that_is_none_is_refused(each: str) -> None:
    with pytest.raises(typer.BadParameter):
        read_filters([each])


def test_a_filter_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(typer.BadParameter, match="kind is given twice"):
        read_filters(["kind=a", "kind=b"])
