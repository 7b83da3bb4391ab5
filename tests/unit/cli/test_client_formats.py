"""How documents are written: tables for people, lines of JSON for programs, and nothing that a terminal would obey."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from rich.table import Table

from sluice.cli import tables, views
from sluice.cli.endings import status_of_state
from sluice.cli.formats import Document, Format, Output, View, csv_cell, one_line, print_table, printable
from sluice.cli.waiting import STEPS, describe_step
from sluice.client import BadAnswer

JOB: dict[str, Any] = {
    "id": "01a1fd35-8e99-748d-a037-87a48d2b4e9e", "kind": "demo.sum", "state": "failed", "version": 4,
    "created_at": "2026-11-21T08:25:07.994004Z", "started_at": None, "finished_at": "2026-11-21T08:25:09.496818Z",
    "attempt": 1, "max_attempts": 5, "tags": ["caf\u00e9"], "progress": None, "waiting_on": None,
    "result": None, "error": {"type": "gave-up", "title": "The handler gave up", "detail": "first\nsecond"},
    "links": {"self": "/v1/jobs/x"},
}  # fmt: skip
HOSTILE = "\x1b]0;title\x07\x9b31m\u202egnp.exe[bold]\u061c\u200b\U000e0041\r\n"
EXACT = '{"id":"x","big":12345678901234567890,"pi":3.141592653589793,"text":"caf\u00e9 \\u009b \\u202e","none":null}'


def written(form: Format | None, capsys: pytest.CaptureFixture[str], *documents: Document) -> str:
    """What each of these documents is written as."""
    Output(form).each(documents, views.JOBS)
    return capsys.readouterr().out


def test_a_pipe_gets_a_line_of_json_for_each_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert [json.loads(line) for line in written(None, capsys, JOB, JOB).splitlines()] == [JOB, JOB]
    assert written("ndjson", capsys, JOB) == written(None, capsys, JOB)


def test_json_is_written_as_the_api_sends_it() -> None:
    assert one_line(json.loads(EXACT)) == EXACT


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_of_a_list_is_one_value(capsys: pytest.CaptureFixture[str], count: int) -> None:
    assert json.loads(written("json", capsys, *[JOB] * count)) == [JOB] * count


def test_json_of_one_document_is_that_document(capsys: pytest.CaptureFixture[str]) -> None:
    Output("json").one(JOB, views.JOB)
    assert json.loads(capsys.readouterr().out) == JOB


def test_ids_are_bare_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert written("id", capsys, JOB, JOB) == f"{JOB['id']}\n" * 2


def test_a_table_has_whole_cells_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    heading, row = written("table", capsys, JOB | {"kind": "k" * 300}).splitlines()
    assert heading.split() == ["id", "state", "kind", "age", "attempt"]
    assert row.split()[:3] == [JOB["id"], "failed", "k" * 300]
    assert row.endswith("1/5      gave-up: first")


@pytest.mark.parametrize("view", [views.JOBS, views.JOB])
def test_what_a_job_says_moves_no_cursor_and_hides_nothing(
    capsys: pytest.CaptureFixture[str], view: View
) -> None:
    error = {"type": "gave-up", "title": "t", "detail": HOSTILE}
    forms: tuple[Format, ...] = ("table", "json", "ndjson", "csv")
    for form in forms:
        Output(form).each([JOB | {"error": error, "kind": HOSTILE, "tags": [HOSTILE]}], view)
        out = capsys.readouterr().out
        assert all(each.isprintable() for line in out.split("\n") for each in line), form
        assert "[bold]" in out


def test_a_text_is_shown_with_what_it_hides() -> None:
    assert (
        printable(HOSTILE) == "\\x1b]0;title\\x07\\x9b31m\\u202egnp.exe[bold]\\u061c\\u200b\\U000e0041\\r\\n"
    )


def test_a_long_list_is_shown_from_its_beginning_and_never_held_as_a_whole() -> None:
    held: list[int] = []

    def rows(documents: Sequence[Document]) -> Table:
        held.append(len(documents))
        return tables.jobs(documents)

    Output("table").each((JOB for _ in range(1_000)), View((), table=rows))
    assert held[0] > 0
    assert max(held) <= 200


@pytest.mark.parametrize(
    "odd", [{"created_at": "soon"}, {"created_at": "2026-11-21T08:25:07"}, {"error": "gone"}, {"progress": 5, "error": None, "finished_at": None}]
)  # fmt: skip
def test_a_document_of_another_form_is_a_bad_answer(odd: dict[str, Any]) -> None:
    with pytest.raises(BadAnswer, match="-o ndjson"):
        Output("table").each([JOB | odd], views.JOBS)
    with pytest.raises(BadAnswer):
        Output("table").each([JOB | {"error": 5}], STEPS)


def test_what_has_come_is_shown_though_the_rest_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    def cut_off() -> Iterator[Document]:
        yield JOB
        raise LookupError

    forms: tuple[Format, ...] = ("table", "ndjson", "csv", "id")
    for form in forms:
        with pytest.raises(LookupError):
            Output(form).each(cut_off(), views.JOBS)
        assert JOB["id"] in capsys.readouterr().out


def test_a_job_that_was_asked_to_stop_says_so_until_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    asked = JOB | {
        "state": "running",
        "error": None,
        "finished_at": None,
        "cancel_requested_at": JOB["created_at"],
    }
    assert describe_step(asked) == f"{JOB['id']}  running, asked to stop"
    assert written("table", capsys, asked).rstrip().endswith("asked to stop")
    assert "asked" not in describe_step(asked | {"state": "cancelled", "finished_at": JOB["created_at"]})


def test_an_explanation_says_what_its_numbers_mean(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"state": "queued", "eta": {"p50_s": 5.44, "p90_s": 9.1}, "timeline": None}
    Output("table").one(document, views.EXPLANATION)
    assert "half of them end within 5.4 s, nine of ten within 9.1 s" in capsys.readouterr().out


def test_progress_and_the_rest_of_the_time_are_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    at_work = JOB | {"state": "running", "error": None, "finished_at": None}
    document = at_work | {
        "progress": {"percent": 66.690625, "note": "adding"},
        "eta": {"p50_s": 5.44, "p90_s": 9.1},
    }
    Output("table").one(document, views.JOB)
    shown = capsys.readouterr().out
    assert "66.7 %, adding" in shown
    assert "half of them end within 5.4 s" in shown
    assert describe_step(document) == f"{JOB['id']}  running, about 5 s to go, 66.7 %, adding"
    assert written("table", capsys, document).rstrip().endswith("66.7 %, adding")


def test_ages_are_never_negative() -> None:
    assert tables.age("2126-11-21T08:25:07Z") == "0s"
    assert tables.age("2026-11-21T08:25:07Z").endswith("d")
    assert tables.age(None) == ""


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_are_for_terminals_that_want_them(environment: dict[str, str], coloured: bool) -> None:
    program = (
        "import pty, os, sys\n"
        "os.environ.update(TERM='xterm-256color')\n"
        "shown = 'from tests.unit.cli.test_client_formats import *; print_table(tables.jobs([JOB]))'\n"
        "sys.exit(pty.spawn([sys.executable, '-c', shown]))"
    )
    clean = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ".", **environment}
    done = subprocess.run(
        [sys.executable, "-c", program], env=clean, capture_output=True, text=True, check=True
    )
    assert ("\x1b[31m" in done.stdout) is coloured
    assert "failed" in done.stdout


def test_a_table_in_a_pipe_has_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(tables.jobs([JOB]))
    assert "\x1b" not in capsys.readouterr().out


def test_csv_has_a_row_for_each_document_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [*csv.reader(io.StringIO(written("csv", capsys, JOB, JOB | {"kind": 'say "a,b"\n'})))]
    assert tuple(rows[0]) == views.JOBS.columns
    row, other = (dict(zip(rows[0], each, strict=True)) for each in rows[1:])
    assert (row["id"], row["attempt"], row["started_at"], row["result"]) == (JOB["id"], "1", "", "")
    assert json.loads(row["tags"]) == JOB["tags"]
    assert json.loads(row["error"]) == JOB["error"]
    assert other["kind"] == 'say "a,b"\\n'
    assert written("csv", capsys) == ",".join(views.JOBS.columns) + "\n"


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\n@x", "\uff1d1", "\uff20x"]
)
def test_no_text_is_a_formula_for_a_spreadsheet(text: str) -> None:
    assert csv_cell(text) == printable(f"'{text}")


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        (True, "true"),
        (-1, "-1"),
        (1.5, "1.5"),
        ("a-b=c", "a-b=c"),
        ({"a": [1]}, '{"a":[1]}'),
        ("a\nb", "a\\nb"),
    ],
)
def test_a_cell_has_texts_as_they_are_and_all_else_as_json(value: object, cell: str) -> None:
    assert csv_cell(value) == cell


def test_the_hours_of_an_error_are_bars() -> None:
    hours = [
        {"hour": f"2026-11-28T{hour:02}:00:00Z", "count": count} for hour, count in ((7, 2), (8, 16), (10, 1))
    ]
    group = {"fingerprint": "27f308596b3444eb", "hours": hours}
    with_bars = tables.error([group])
    assert str([*with_bars.columns[1].cells][1]) == "\u2581\u2588\u00b7\u2581"


def test_a_time_to_come_is_never_past() -> None:
    assert tables.until("2126-11-21T08:25:07Z").endswith("d")
    assert tables.until("2026-11-21T08:25:07Z") == "now"
    assert tables.until(None) == ""


def test_an_end_that_is_not_known_is_no_end_of_a_job() -> None:
    assert [status_of_state(each) for each in ("succeeded", "failed", "cancelled", "archived")] == [
        0,
        1,
        7,
        6,
    ]
