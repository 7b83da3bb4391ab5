"""`sluice errors`, `bulk`, `schedules`, `webhooks` and `keys`: what they do, print and end with."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from sluice.cli import views
from sluice.cli.formats import View
from sluice.core.webhook import CHALLENGE, CHALLENGE_RESPONSE
from tests.support.command import Said
from tests.support.stack import Stack

NOBODY = "01a1fd35-8e99-748d-a037-87a48d2b4e9e"
SUM = '{"values": [1]}'
DAILY = ("--cron", "30 3 * * 1-5", "--timezone", "Europe/Berlin")


def failure(sluice: Said) -> str:
    """The fingerprint of a failure."""
    failed = sluice.run("submit", "own.fails").out.strip()
    sluice.run("wait", failed)
    return str(sluice.run("get", failed).document["error"]["fingerprint"])


@contextmanager
def endpoint(status: int, proves: bool = False) -> Iterator[str]:
    """The address of a server that answers whatever is posted with this status, and sends a challenge back if it `proves` itself."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("content-length", "0")
            if proves and (challenge := self.headers[CHALLENGE]):
                self.send_header(CHALLENGE_RESPONSE, challenge)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook"
        finally:
            server.shutdown()
            thread.join()


def test_a_group_of_failures_is_shown_and_marked(sluice: Said) -> None:
    error = failure(sluice)
    shown = sluice.run("errors", "show", error)
    assert (shown.status, shown.document["fingerprint"], shown.document["kind"]) == (0, error, "own.fails")
    assert f"`sluice errors retry {error}`" in shown.err
    assert "no luck" in sluice.run("errors", "show", error.upper(), "-o", "table").out
    for act, state in (("resolve", "resolved"), ("ignore", "ignored"), ("reopen", "open")):
        said = sluice.run("errors", act, error)
        assert (said.status, said.document["state"], said.err) == (0, state, "")
    assert error in sluice.run("errors", "--state", "open", "-o", "id").out.split()


def test_all_jobs_of_a_cause_are_tried_again(sluice: Said) -> None:
    error = failure(sluice)
    counted = sluice.run("errors", "retry", error, "--dry-run")
    assert (counted.status, counted.document["state"], counted.document["changed"]) == (0, "aborted", 0)
    matched = counted.document["matched"]
    assert matched >= 1
    assert sluice.run("errors", "retry", error).status == 2  # there is nobody to ask
    stopped = sluice.run("errors", "retry", error, "--canary", "1", "--rate", "50/s", "--yes")
    assert (stopped.status, stopped.document["reason"], stopped.document["changed"]) == (
        1,
        "canary-failed",
        1,
    )
    assert "retry: stopped, 1 of " in stopped.err
    done = sluice.run("errors", "retry", error, "--rate", "100/s", "--yes")
    assert (done.status, done.document["state"], done.document["rate"]) == (0, "finished", 100.0)
    assert "retry: finished" in done.err


def test_an_error_that_nobody_has_is_status_3(sluice: Said) -> None:
    for act in ("show", "resolve", "ignore", "reopen"):
        said = sluice.run("errors", act, "0" * 16)
        assert (said.status, said.out, said.err.count("\n")) == (3, "", 1)
        assert said.err.startswith("sluice: error-unknown")


def test_bulk_acts_are_listed_let_go_and_ended(sluice: Said) -> None:
    many = [sluice.run("submit", "own.loop", "--delay", "1h", "--tag", "acts").out.strip() for _ in range(2)]
    with_canary = ["cancel", "--filter", "tag=acts", "--canary", "1"]
    counted = sluice.run(*with_canary, "--dry-run").document
    shown = sluice.run("bulk", "show", counted["id"], "--wait", "5s")
    assert (shown.status, shown.document["state"], shown.document["matched"]) == (0, "aborted", 2)
    assert sluice.run("bulk", "list", "--limit", "1").document == shown.document
    assert "cancel" in sluice.run("bulk", "list", "-o", "table").out
    again = sluice.run("bulk", "abort", counted["id"])
    assert (again.status, again.document["state"]) == (0, "aborted")
    refused = sluice.run("bulk", "go", counted["id"])
    assert (refused.status, refused.out) == (2, "")
    assert "bulk-not-waiting" in refused.err
    assert sluice.run("bulk", "show", NOBODY).status == 3
    assert sluice.run("cancel", *many).status == 0


def test_the_life_of_a_schedule(sluice: Said) -> None:
    made = sluice.run(
        *("schedules", "set", "nightly", "demo.sum", SUM, "--set", "values=[1,2]", *DAILY),
        *("--time-limit", "60s", "--tag", "night", "--priority", "low", "--catch-up", "none"),
    )
    assert made.status == 0, made.err
    document = made.document
    assert (document["input"], document["catch_up"]) == ({"values": [1, 2]}, "none")
    assert {name: document["options"][name] for name in ("timeout_s", "tags", "priority")} == {
        "timeout_s": 60.0, "tags": ["night"], "priority": "low",
    }  # fmt: skip
    assert sluice.run("schedules", "set", "later", "demo.sum", SUM, "--cron", "0 0 1 1 *").status == 0
    assert sluice.run("schedules", "pause", "later").document["paused"] is True
    assert sluice.run("schedules", "list", "-o", "id").out.split() == ["later", "nightly"]
    assert sluice.run("schedules", "next", "-o", "id").out.split() == ["nightly"]
    table = sluice.run("schedules", "list", "-o", "table").out
    assert "At 03:30 on Monday through Friday, Europe/Berlin" in table
    assert "paused" in table
    assert sluice.run("schedules", "resume", "later").document["paused"] is False
    job = sluice.run("schedules", "run", "nightly").out.strip()
    assert sluice.run("result", job, "--wait", "20s").document == {"total": 3}
    assert sluice.run("schedules", "show", "nightly").document["last_job_id"] == job
    for name in ("later", "nightly"):
        assert sluice.run("schedules", "delete", name) == (0, "", "")
    assert sluice.run("schedules", "list") == (0, "", "")


@pytest.mark.parametrize("verb", ["show", "pause", "resume", "run", "delete"])
def test_a_schedule_that_is_none_is_status_3(sluice: Said, verb: str) -> None:
    said = sluice.run("schedules", verb, "nothing")
    assert (said.status, said.out) == (3, "")
    assert said.err.startswith("sluice: schedule-unknown")


def test_a_webhook_is_added_tried_and_deleted(sluice: Said) -> None:
    with endpoint(204) as url:
        made = sluice.run(
            "webhooks", "add", url, "--event", "job.failed", "--kind", "own.fails", "-o", "ndjson"
        )
        id = made.document["id"]
        assert made.document["secret"].startswith("whsec_")
        assert (made.document["events"], made.document["kinds"]) == (["job.failed"], ["own.fails"])
        tried = sluice.run("webhooks", "test", id)
        assert (tried.status, tried.document["state"], tried.err) == (0, "delivered", "")
        sent = sluice.run("webhooks", "deliveries", id)
        assert [each["id"] for each in sent.documents] == [tried.document["id"]]
        assert f"{id}  good " in sluice.run("webhooks", "list", "-o", "table").out
        assert "delivered" in sluice.run("webhooks", "deliveries", id, "-o", "table").out
        again = sluice.run("webhooks", "redeliver", id, tried.document["id"])
        assert (again.status, again.document) == (0, {"count": 1})
        assert sluice.run("webhooks", "redeliver", id, "--since", "2h").document == {"count": 0}
    assert sluice.run("webhooks", "show", id).document["url"] == url
    secret = sluice.run("webhooks", "rotate", id, "--overlap", "60s")
    assert secret.out.startswith("whsec_")
    assert secret.out != f"{made.document['secret']}\n"
    assert f"its id is {id}" in secret.err
    assert sluice.run("webhooks", "delete", id) == (0, "", "")
    assert sluice.run("webhooks", "list") == (0, "", "")
    assert sluice.run("webhooks", "show", id).status == 3


def test_a_test_that_does_not_arrive_is_status_1(sluice: Said) -> None:
    with endpoint(503) as url:
        id = sluice.run("webhooks", "add", url, "-o", "id").out.strip()
        tried = sluice.run("webhooks", "test", id)
        assert (tried.status, tried.document["status"]) == (1, 503)
        assert tried.err.startswith("sluice: the test has not arrived: ")
        late = sluice.run("webhooks", "test", id, "--wait", "0")
        assert (late.status, f"`sluice webhooks deliveries {id}`" in late.err) == (8, True)
    sluice.run("webhooks", "delete", id)


def test_a_webhook_that_is_to_prove_itself_is_told_nothing_until_it_has(sluice: Said) -> None:
    with endpoint(204, proves=True) as url:
        id = sluice.run("webhooks", "add", url, "--verify", "-o", "id").out.strip()
        asked = sluice.run("webhooks", "verify", id)
        assert (asked.status, asked.document["event"]) == (0, "webhook.verify"), asked.err
        shown = sluice.run("webhooks", "show", id).document
        assert (shown["disabled_at"], shown["verification_failed"]) == (None, None)
        assert shown["verified_at"]
    sluice.run("webhooks", "delete", id)


def test_a_webhook_that_does_not_prove_itself_is_status_1(sluice: Said) -> None:
    with endpoint(204) as url:
        id = sluice.run("webhooks", "add", url, "--verify", "-o", "id").out.strip()
        asked = sluice.run("webhooks", "verify", id)
        assert asked.status == 1
        assert asked.err.startswith("sluice: it has not proved that it wants what is sent: ")
        shown = sluice.run("webhooks", "show", id).document
        assert shown["verified_at"] is None
        assert "not verified" in shown["disabled_why"]
    sluice.run("webhooks", "delete", id)


def test_a_key_is_made_rotated_and_revoked(
    sluice: Said, running: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = sluice.run(
        "keys", "create", "--scopes", "submit,read", "--name", "importer", "--expires-days", "9"
    )
    key, id = made.out.strip(), made.out.split("_")[1]
    assert (made.status, made.err) == (0, f"sluice: its id is {id}; what follows is not shown again\n")
    listed = {each["id"]: each for each in sluice.run("keys", "list").documents}
    assert (listed[id]["scopes"], listed[id]["name"]) == (["read", "submit"], "importer")
    assert "importer" in sluice.run("keys", "list", "-o", "table").out
    new = sluice.run("keys", "rotate", id, "--overlap", "60s", "-o", "json")
    assert json.loads(new.out)["replaces"] == id
    monkeypatch.setenv("SLUICE_API_KEY", key)
    assert sluice.run("kinds").status == 0
    for words in (["keys", "list"], ["schedules", "list"], ["webhooks", "list"], ["bulk", "list"]):
        said = sluice.run(*words)
        assert (said.status, said.out, said.err.count("\n")) == (4, "", 1)
        assert "admin" in said.err
    monkeypatch.setenv("SLUICE_API_KEY", running.key)
    assert sluice.run("keys", "revoke", id) == (0, "", "")
    assert sluice.run("keys", "revoke", "nobody").status == 3
    mine = running.key.split("_")[1]
    refused = sluice.run("keys", "revoke", mine)
    assert (refused.status, "last-admin-key" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("errors show nothing", "is no fingerprint of an error"),
        ("errors -o json show 27f308596b3444eb", "options go behind show"),
        ("errors retry 27f308596b3444eb --rate fast --yes", "is no rate such as 50/s"),
        ("errors retry 27f308596b3444eb --rate 0/s --yes", "is no rate such as 50/s"),
        ("errors retry 27f308596b3444eb", "give --yes, or --dry-run"),
        ("bulk show ../kinds", "is no id"),
        ("schedules set ../kinds demo.sum --cron @daily", "is none"),
        ("schedules set nightly demo.sum", "--cron"),
        ('schedules set nightly demo.sum {"values":[1]} --cron daily', "invalid: cron"),
        ("schedules set nightly demo.nothing --cron @daily", "kind-unknown"),
        ("webhooks add ftp://x", "invalid: url"),
        ("webhooks redeliver 5c1f9d0e", "either DELIVERY, or --since"),
        ("webhooks redeliver 5c1f9d0e abc --since 2h", "either DELIVERY, or --since"),
        ("keys create --scopes everything", "scopes are of"),
        ("keys create --tenant No.Dots", "a tenant is 1 to 64"),
        ("keys list --record -o json", "there is no --url"),
        ("keys revoke ../jobs", "is none"),
        ("events --event everything", "is none of state, progress, log, end, reset"),
        ("open nothing", "is no id of a job"),
        ("run demo.sum -o csv", "has no columns"),
        ("list -o yaml", "'csv'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(sluice: Said, words: str, why: str) -> None:
    said = sluice.run(*words.split())
    assert (said.status, said.out, said.err.count("\n")) == (2, "", 1), said.err
    assert why in said.err


def _csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_stable_columns_with_what_the_api_answers(sluice: Said) -> None:
    error = failure(sluice)
    sluice.run("schedules", "set", "daily", "demo.sum", SUM, "--cron", "@daily")
    sluice.run("errors", "retry", error, "--dry-run")
    failed = sluice.run("list", "--state", "failed", "--limit", "1", "-o", "id").out.strip()
    seen: list[tuple[list[str], View]] = [
        (["list", "--limit", "3"], views.JOBS),
        (["get", failed], views.JOB),
        (["attempts", failed], views.ATTEMPTS),
        (["explain", failed], views.EXPLANATION),
        (["errors"], views.ERRORS),
        (["kinds"], views.KINDS),
        (["lanes"], views.LANES),
        (["bulk", "list"], views.BULK_ACTS),
        (["schedules", "list"], views.SCHEDULES),
        (["keys", "list"], views.KEYS),
    ]
    shown_elsewhere = {"result", "input", "key", "replaces", "old_ends_at"}
    for words, view in seen:
        rows = _csv(sluice.run(*words, "-o", "csv").out)
        documents = sluice.run(*words).documents
        assert len(rows) == len(documents) > 0, words
        assert tuple(rows[0]) == view.columns
        assert set(view.columns) - shown_elsewhere <= documents[0].keys(), words
        assert view.id in documents[0]
    [row] = _csv(sluice.run("get", failed, "-o", "csv").out)
    assert json.loads(row["error"])["fingerprint"]
    assert sluice.run("webhooks", "list", "-o", "csv").out == f"{','.join(views.WEBHOOKS.columns)}\n"
    sluice.run("schedules", "delete", "daily")
