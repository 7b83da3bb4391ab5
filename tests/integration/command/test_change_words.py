"""`sluice cancel`, `retry`, `delete`, `batch`, `doctor`, `login` and `profile`."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from sluice import __version__
from sluice.client import Sluice
from tests.support.command import Said
from tests.support.stack import Stack, make_a_key

NOBODY = "01a1fd35-8e99-748d-a037-87a48d2b4e9e"


def submit(sluice: Said, kind: str, *words: str) -> str:
    """The id of a new job."""
    return sluice.run("submit", kind, *words).out.strip()


def test_each_job_that_can_be_is_changed_and_the_others_are_named(sluice: Said) -> None:
    waiting = submit(sluice, "own.loop", "--delay", "1h")
    said = sluice.run("cancel", NOBODY, waiting)
    assert (said.status, said.document["id"], said.document["state"]) == (3, waiting, "cancelled")
    assert said.err.count("\n") == 1
    assert sluice.run("delete", waiting) == (0, "", "")
    assert sluice.run("get", waiting).status == 3


def test_what_its_state_does_not_allow_is_refused(sluice: Said) -> None:
    waiting = submit(sluice, "own.loop", "--delay", "1h")
    assert sluice.run("retry", waiting).status == sluice.run("delete", waiting).status == 2
    sluice.run("cancel", waiting)


def test_a_failed_job_is_tried_again_as_a_new_one(sluice: Said) -> None:
    failed = submit(sluice, "own.fails")
    sluice.run("wait", failed)
    said = sluice.run("retry", failed)
    assert (said.status, said.document["retry_of"]) == (0, failed)


def test_all_that_match_are_counted_and_then_changed_and_no_others(sluice: Said) -> None:
    many = [submit(sluice, "own.loop", "--delay", "1h", "--tag", "bulk") for _ in range(3)]
    other = submit(sluice, "own.loop", "--delay", "1h")
    counted = sluice.run("cancel", "--filter", "tag=bulk", "--dry-run")
    assert (counted.status, counted.document["matched"], counted.document["changed"]) == (0, 3, 0)
    assert {each["state"] for each in sluice.run("get", *many).documents} == {"scheduled"}
    done = sluice.run("cancel", "--filter", "tag=bulk", "--yes", "--rate", "100")
    assert (done.status, done.document["state"], done.document["changed"]) == (0, "finished", 3)
    assert "cancel: finished, 3 of 3 changed" in done.err
    assert {each["state"] for each in sluice.run("get", *many).documents} == {"cancelled"}
    assert sluice.run("get", other).document["state"] == "scheduled"
    again = sluice.run("cancel", "--filter", "tag=bulk", "--yes")
    assert (again.status, again.document["changed"]) == (0, 0)
    sluice.run("cancel", other)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("cancel --filter state=queued", "give --yes, or --dry-run"),
        ("cancel", "either IDs, or --filter"),
        (f"cancel {NOBODY} --filter state=queued", "either IDs, or --filter"),
        (f"cancel {NOBODY} --yes", "go with --filter"),
        ("cancel --filter colour=red --yes", "is not NAME=VALUE"),
        ("retry --filter state=queued --filter kind=a --filter kind=b --yes", "kind is given twice"),
    ],
)
def test_what_could_change_the_wrong_jobs_is_refused(sluice: Said, words: str, why: str) -> None:
    said = sluice.run(*words.split())
    assert (said.status, said.out) == (2, "")
    assert why in said.err


def lines(directory: Path, *items: object) -> str:
    """A file with these as its lines."""
    (directory / "jobs.ndjson").write_text("".join(f"{json.dumps(each)}\n\n" for each in items))
    return "@jobs.ndjson"


def test_a_batch_takes_what_fits_and_names_the_lines_that_do_not(sluice: Said) -> None:
    good, bad = ({"kind": "demo.sum", "input": {"values": values}} for values in ([1], ["x"]))
    said = sluice.run("batch", lines(sluice.directory, good, bad, good))
    assert (said.status, said.document["total"]) == (2, 3)
    assert said.err.startswith("sluice: line 3: invalid: input.values.0: ")
    assert said.err.count("\n") == 1
    lost = sluice.run("batch", lines(sluice.directory, *[good | {"tags": ["a"]}] * 3, bad))
    assert lost.err.startswith("sluice: lines 1, 3, 5: invalid: tags: There is no such field")
    assert lost.err.count("\n") == 2
    assert sluice.run("batch", lines(sluice.directory, good, good), "--atomic").status == 0
    refused = sluice.run("batch", lines(sluice.directory, good, bad), "--atomic")
    assert (refused.status, refused.out) == (2, "")
    table = sluice.run("batch", "-", "-o", "table", given=json.dumps(good))
    assert (table.status, "total" in table.out) == (0, True)


def test_the_same_file_with_the_same_key_makes_nothing_twice(sluice: Said) -> None:
    file = lines(sluice.directory, *[{"kind": "own.loop", "input": {}}] * 3)
    first, second = (sluice.run("batch", file, "--key", "import-7").document for _ in range(2))
    assert [each["job"]["id"] for each in first["items"]] == [each["job"]["id"] for each in second["items"]]


@pytest.mark.parametrize(
    ("text", "why"), [('{"kind": 1}\n{', "line 2 is not JSON"), ("[" * 99_999, "line 1 is not JSON")]
)
def test_a_line_that_is_no_json_is_refused_before_anything_is_sent(sluice: Said, text: str, why: str) -> None:
    said = sluice.run("batch", "-", given=text)
    assert (said.status, said.out) == (2, "")
    assert why in said.err


def test_the_doctor_finds_nothing_wrong(sluice: Said, running: Stack) -> None:
    said = sluice.run("doctor")
    assert (said.status, said.err) == (0, "")
    found = {each["check"]: each for each in said.documents}
    assert found["server"]["found"] == f"{running.url}, from SLUICE_URL"
    assert found["version"] == {
        "check": "version",
        "ok": True,
        "found": f"server {__version__}, this command {__version__}",
        "remedy": None,
    }
    assert found["scopes"]["found"] == "submit, read, payloads, admin, operate"
    assert found["clock"]["ok"] is True
    assert found["round trip"]["found"].endswith(" ms, the median of 5")
    assert running.key.split("_")[2] not in said.out


def test_a_server_whose_clock_is_wrong_is_found(sluice: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice.cli.doctor.MOST_SKEW_S", -1.0)
    said = sluice.run("doctor")
    assert said.status == 1
    assert [(each["check"], bool(each["remedy"])) for each in said.documents if each["ok"] is False] == [
        ("clock", True)
    ]


async def test_a_key_is_kept_for_its_server_alone(
    sluice: Said, running: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await make_a_key(running.servers, "demo", ["submit", "read"])
    for name in ("SLUICE_URL", "SLUICE_API_KEY"):
        monkeypatch.delenv(name)
    assert sluice.run("list").status == 2
    monkeypatch.setenv("SLUICE_PROFILE", "there")
    assert sluice.run("list").status == 2
    said = sluice.run("login", "--url", f"{running.url}/", "--profile", "there", given=f"{key}\n")
    assert (said.status, said.out) == (0, "")
    assert "the key permits: submit, read; kept in " in said.err
    [file] = (sluice.directory / "config/sluice").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sluice.run("kinds", "--profile", "there").status == 0
    assert sluice.run("kinds", "--url", running.url).status == 0
    assert sluice.run("result", NOBODY, "--profile", "there").status == 3
    assert sluice.run("lanes", "--profile", "there").status == 4
    with Sluice(profile="there") as client:
        assert [each.kind for each in client.kinds()]
    assert sluice.run("kinds").status == 0
    monkeypatch.delenv("SLUICE_PROFILE")
    assert sluice.run("kinds").status == 2  # it is not the default
    assert sluice.run("profile").documents == [{"name": "there", "url": running.url}]
    assert sluice.run("profile", "remove", "there").status == 0
    assert sluice.run("profile").documents == []


def test_a_key_that_is_not_valid_is_not_kept(sluice: Said, running: Stack) -> None:
    said = sluice.run("login", "--url", running.url, given="slc_2r8Pi8FrTJgt_nothing_x\n")
    assert (said.status, said.out) == (4, "")
    assert sluice.run("profile").documents == []
    assert sluice.run("login", given="x\n").status == sluice.run("login", "--url", running.url).status == 2
