"""`sluice get`, `watch`, `list`, `explain`, `logs`, `attempts`, `errors`, `kinds` and `lanes`: exactly what the API answers."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.support.command import Said
from tests.support.stack import NO_TLS, Stack

NOBODY = "01a1fd35-8e99-748d-a037-87a48d2b4e9e"


def answer(stack: Stack, path: str) -> Any:
    """What the API says without the command."""
    headers = {"Authorization": f"Bearer {stack.key}"}
    return httpx2.get(stack.url + path, headers=headers, verify=NO_TLS, timeout=30).json()


def ended(sluice: Said, kind: str = "own.loop", *words: str) -> str:
    """The id of a job that has ended."""
    id = sluice.run("submit", kind, *words).out.strip()
    sluice.run("wait", id)
    return id


@pytest.mark.parametrize(
    ("words", "path"),
    [
        ("get {id}", "/v1/jobs/{id}"),
        ("explain {id}", "/v1/jobs/{id}/explain"),
        ("kinds demo.sum", "/v1/kinds/demo.sum"),
    ],
)
def test_a_pipe_gets_exactly_what_the_api_answers(
    sluice: Said, running: Stack, words: str, path: str
) -> None:
    id = ended(sluice)
    assert sluice.run(*words.format(id=id).split()).document == answer(running, path.format(id=id))


@pytest.mark.parametrize(
    ("words", "path", "items"),
    [
        ("logs {id}", "/v1/jobs/{id}/logs", "lines"),
        ("logs {id} --follow", "/v1/jobs/{id}/logs", "lines"),
        ("attempts {failed}", "/v1/jobs/{failed}/attempts", "attempts"),
        ("list --kind own.fails", "/v1/jobs?kind=own.fails", "jobs"),
        ("kinds", "/v1/kinds", "kinds"),
        ("errors --state open", "/v1/errors?state=open", "errors"),
    ],
)
def test_a_line_for_each_item_of_a_list(
    sluice: Said, running: Stack, words: str, path: str, items: str
) -> None:
    ids = {"id": ended(sluice, "own.tells"), "failed": ended(sluice, "own.fails")}
    found = answer(running, path.format(**ids))[items]
    assert found
    shown = sluice.run(*words.format(**ids).split()).documents
    if items == "lines":
        names = ("at", "level", "attempt", "message", "fields")
        shown = [{name: each[name] for name in names} for each in shown]
    if items == "kinds":
        for each in (*shown, *found):
            each.pop("times")  # they move
    assert shown == found


def test_a_person_gets_tables(sluice: Said) -> None:
    failed = ended(sluice, "own.fails", "--tag", "seen")
    for words, seen in (
        (["get", failed], ["failed", "own.fails", "handler-error: ", "seen"]),
        (["get", failed, failed], ["id", failed, "3/3"]),
        (["list", "--state", "failed"], [failed, "handler-error"]),
        (["explain", failed], ["finished", "accepted"]),
        (["attempts", failed], ["attempt", "handler-error", " s "]),
        (["errors"], ["fingerprint", "own.fails", "no luck"]),
        (["kinds"], ["demo.sum", "default"]),
        (["kinds", "demo.sum"], ["max_input", "values"]),
        (["lanes"], ["lane", "default", "heavy"]),
        (["logs", ended(sluice, "own.tells")], ["info     begun  number=0  password=***", "warning  done"]),
        (["watch", failed], [f"{failed}  failed, handler-error"]),
    ):
        said = sluice.run(*words, "-o", "table")
        assert said.err == "", words
        assert [each for each in seen if each not in said.out] == [], (words, said.out)


def test_a_job_is_watched_to_its_end(sluice: Said) -> None:
    id = sluice.run("submit", "own.tells").out.strip()
    watched = sluice.run("watch", id)
    assert watched.status == 0
    assert [each["state"] for each in watched.documents][-1] == "succeeded"
    assert {each["id"] for each in watched.documents} == {id}
    assert sluice.run("watch", ended(sluice, "own.fails")).status == 1


def test_a_run_says_on_stderr_what_it_does_unless_it_is_to_be_quiet(sluice: Said) -> None:
    said = sluice.run("run", "own.tells")
    steps = said.err.splitlines()
    assert "queued" in steps[0]
    assert "succeeded" in steps[-1]
    assert sluice.run("run", "own.tells", "-q").err == ""


def test_lists_are_filtered_and_cut_and_go_over_pages(sluice: Said) -> None:
    ids = [
        sluice.run("submit", "own.loop", "--tag", "many", "--set", "number=7").out.strip() for _ in range(5)
    ]
    sluice.run("wait", *ids)
    newest = [*reversed(ids)]
    assert sluice.run("list", "--tag", "many", "-o", "id").out.split() == newest
    cut = sluice.run("list", "--tag", "many", "--limit", "2", "-o", "id")
    assert (cut.out.split(), cut.err) == (newest[:2], "sluice: there are more; these are the newest 2\n")
    assert sluice.run("list", "--tag", "many", "--limit", "5", "-o", "id").err == ""
    assert sluice.run("list", "--tag", "many", "--all", "-o", "id").out.split() == newest
    assert sluice.run("list", "--tag", "number=7", "--since", "1h", "-o", "id").out.split() == newest
    assert sluice.run("list", "--tag", "many", "--before", "1h").out == ""
    assert sluice.run("list", "--tag", "many", "--state", "failed", "--state", "cancelled").out == ""
    assert len(sluice.run("list", "--tag", "many", "-o", "json").out.splitlines()) > 5


@pytest.mark.parametrize(
    "words", ["get", "watch", "wait", "result", "explain", "logs", "attempts", "cancel", "retry", "delete"]
)
def test_a_job_that_is_none_is_status_3(sluice: Said, words: str) -> None:
    said = sluice.run(words, NOBODY)
    assert (said.status, said.out) == (3, "")
    assert said.err.startswith("sluice: job-")


@pytest.mark.parametrize("id", ["../kinds", "x", f"{NOBODY}?wait=1", ""])
def test_what_is_no_id_never_becomes_a_path(sluice: Said, id: str) -> None:
    said = sluice.run("get", id)
    assert (said.status, said.out) == (2, "")
    assert "is no id of a job" in said.err


def test_lanes_are_paused_and_resumed(sluice: Said) -> None:
    paused = sluice.run("lanes", "pause", "heavy", "--reason", "a test")
    assert (paused.status, paused.document["paused"]["reason"]) == (0, "a test")
    assert "paused: a test" in sluice.run("lanes", "-o", "table").out
    assert sluice.run("lanes", "resume", "heavy").document["paused"] is None
    assert {each["name"] for each in sluice.run("lanes").documents} >= {"default", "heavy"}
    assert sluice.run("lanes", "pause", "nothing", "--reason", "x").status == 3


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("pause", "Missing argument 'LANE'; see `sluice lanes pause --help`"),
        ("pause heavy", "Missing option '--reason'; see `sluice lanes pause --help`"),
        ("resume", "Missing argument 'LANE'; see `sluice lanes resume --help`"),
        ("resume heavy --reason x", "No such option: --reason; see `sluice lanes resume --help`"),
        ("stop heavy", "No such command 'stop'; see `sluice lanes --help`"),
    ],
)
def test_half_a_pause_is_refused(sluice: Said, words: str, remedy: str) -> None:
    said = sluice.run("lanes", *words.split())
    assert (said.status, said.out) == (2, "")
    assert remedy in said.err
