"""Errors as problem documents."""

from __future__ import annotations

import inspect
from typing import Any

import orjson
import pytest

from api.http import errors as refusals
from api.http.errors import ClientGone, Forbidden, KindMissing, RequestTimeout
from api.http.problems import ECHO, FLAWS, TABLE, http_problem, problem
from api.keys import keyring
from api.keys.keyring import Unauthorized
from sluice.core import errors
from sluice.core.errors import (
    BadRow,
    Flaw,
    Invalid,
    JobUnknown,
    KindUnknown,
    LeaseOver,
    Malformed,
    NotConfigured,
    OutcomeUnknown,
    Overloaded,
    ServerAway,
    ServerUnfit,
    TooLarge,
    TryAgain,
)
from sluice.errors import SluiceError, StartRefused

NEVER_SHOWN = {LeaseOver, NotConfigured, SluiceError, StartRefused}


def shown(error: BaseException) -> tuple[int, dict[bytes, bytes], dict[str, Any]]:
    reply = problem(error, "r-1")
    return reply.status, dict(reply.headers), orjson.loads(reply.body)


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (Malformed("no"), 400, "malformed-json"),
        (Unauthorized(), 401, "unauthorized"),
        (Forbidden("admin"), 403, "forbidden"),
        (JobUnknown(), 404, "job-unknown"),
        (KindMissing("x"), 404, "kind-unknown"),
        (KindUnknown("x"), 422, "kind-unknown"),
        (RequestTimeout(), 408, "request-timeout"),
        (TooLarge(10), 413, "too-large"),
        (Invalid([]), 422, "invalid"),
        (BadRow("x"), 422, "invalid"),
        (Overloaded(3), 503, "overloaded"),
        (ServerAway("redis"), 503, "record-away"),
        (ServerUnfit("postgresql", "secret"), 503, "record-away"),
        (TryAgain(), 503, "record-away"),
        (OutcomeUnknown(), 503, "outcome-unknown"),
        (ValueError("secret"), 500, "internal"),
    ],
)
def test_every_error_has_its_status_and_type(error: Exception, status: int, kind: str) -> None:
    found, headers, body = shown(error)
    assert (found, body["status"], body["type"]) == (status, status, kind)
    assert set(body) == {"type", "title", "status", "detail", "errors", "request_id", "retryable"}
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"cache-control"] == b"no-store"
    assert body["request_id"] == "r-1"


@pytest.mark.parametrize("module", [errors, refusals, keyring])
def test_no_error_of_ours_is_forgotten(module: Any) -> None:
    ours = {each for _, each in inspect.getmembers(module, inspect.isclass) if issubclass(each, SluiceError)}
    assert ours - NEVER_SHOWN <= TABLE.keys()


def test_retryable_problems_and_only_they_say_when() -> None:
    for kind in TABLE:
        error = kind.__new__(kind)  # their constructors differ, and none matters here
        error.__dict__ |= {"flaws": [], "given": False, "scope": "x", "wanted": (b"accept", b"x")}
        _, headers, body = shown(error)
        assert (b"retry-after" in headers) == body["retryable"], kind


def test_the_advice_of_an_overload_is_its_own() -> None:
    assert shown(Overloaded(7))[1][b"retry-after"] == b"7"


def test_nothing_inner_is_shown() -> None:
    for error in (
        ValueError("secret"),
        ServerUnfit("postgresql", "secret"),
        ServerAway("db.internal:5432"),
        BadRow("insert into jobs"),
    ):
        assert "secret" not in str(shown(error))
        assert "internal:5432" not in str(shown(error))
        assert "insert" not in str(shown(error))


def test_a_refused_key_is_told_how_to_ask() -> None:
    assert shown(Unauthorized())[1][b"www-authenticate"] == b'Bearer realm="sluice"'
    assert b"invalid_token" in shown(Unauthorized(given=True))[1][b"www-authenticate"]
    assert b'scope="admin"' in shown(Forbidden("admin"))[1][b"www-authenticate"]


@pytest.mark.parametrize("error", [TooLarge(1), RequestTimeout(), ClientGone()])
def test_a_body_left_unread_ends_the_connection(error: Exception) -> None:
    assert shown(error)[1][b"connection"] == b"close"


def test_input_is_not_repeated_at_length() -> None:
    flaws = [Flaw("/" + "k" * 1_000, "extra", "v" * 1_000)] * 100
    body = shown(Invalid(flaws))[2]
    assert len(body["errors"]) == FLAWS
    assert (
        max(len(body["errors"][0]["pointer"]), len(body["errors"][0]["detail"]), len(body["detail"])) == ECHO
    )


def test_a_lone_surrogate_can_be_answered() -> None:
    assert shown(Invalid([Flaw("/\ud800", "extra", "x")]))[2]["errors"][0]["pointer"] == "/?"


def test_the_length_is_right() -> None:
    reply = problem(JobUnknown(), "r")
    assert dict(reply.headers)[b"content-length"] == b"%d" % len(reply.body)


def test_a_status_without_an_error_is_a_problem_as_well() -> None:
    reply = http_problem(418, "short and stout", [(b"x", b"y")], "r")
    assert (reply.status, orjson.loads(reply.body)["type"]) == (418, "http-error")
    assert (b"x", b"y") in reply.headers
