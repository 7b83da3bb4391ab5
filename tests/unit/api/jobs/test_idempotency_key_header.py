"""The Idempotency-Key of a request."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from api.http.errors import BadHeader
from api.jobs.idempotency_key import IdempotencyKey, read_idempotency_key
from tests.unit.api.in_memory_api import InMemoryApi


def asked(*keys: bytes, path: str = "/v1/jobs", method: str = "POST") -> Request:
    """A request with these keys."""
    headers = [(b"host", b"evil/?#@"), *((b"idempotency-key", key) for key in keys)]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"wait=3", "headers": headers}
    return Request(scope)


def key(*keys: bytes, body: bytes = b"{}", path: str = "/v1/jobs", method: str = "POST") -> IdempotencyKey:
    """What the key stands for."""
    found = read_idempotency_key(asked(*keys, path=path, method=method), body)
    assert found
    return found


def test_a_request_without_a_key_has_none() -> None:
    assert read_idempotency_key(asked(), b"{}") is None


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (b"a", "a"),
        (b'"a"', "a"),
        (b'"order 7, or 8"', "order 7, or 8"),
        (b"x" * 255, "x" * 255),
        (b'"' + b"x" * 255 + b'"', "x" * 255),
        (b"~!{}", "~!{}"),
        (b'it"s', 'it"s'),
    ],
)
def test_a_key_is_taken_quoted_or_bare(sent: bytes, meant: str) -> None:
    assert key(sent).key == meant


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b'""',
        b'"',
        b'"a',
        b'"a"b"',
        b"a b",
        b"a\tb",
        b"\x7f",
        b"\x00",
        "é".encode(),
        b"x" * 256,
        b'"' + b"x" * 256 + b'"',
        b"a\n",
    ],
)
def test_a_key_of_another_form_is_refused(sent: bytes) -> None:
    with pytest.raises(BadHeader):
        key(sent)


def test_a_key_that_is_sent_twice_is_refused() -> None:
    with pytest.raises(BadHeader, match="once"):
        key(b"a", b"a")


def test_it_stands_for_method_path_and_the_bytes_of_the_body() -> None:
    hashes = {
        key(b"a").request_hash,
        key(b"a", body=b"{ }").request_hash,
        key(b"a", path="/v1/kinds/demo.sum/jobs").request_hash,
        key(b"a", method="PUT").request_hash,
    }
    assert len(hashes) == 4
    assert key(b"a").request_hash == key(b"b").request_hash


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/kinds/demo.sum/jobs"])
async def test_the_same_key_answers_with_the_same_job_and_refuses_another_body(
    api: InMemoryApi, path: str
) -> None:
    def body(*values: int) -> dict[str, object]:
        return {"values": values} if "kinds" in path else {"kind": "demo.sum", "input": {"values": values}}

    headers = {"idempotency-key": "k"}
    first = await api.client.post(path, json=body(1), headers=headers)
    again = await api.client.post(path, json=body(1), headers=headers)
    other = await api.client.post(path, json=body(2), headers=headers)
    assert (first.status_code, "idempotent-replayed" in first.headers) == (202, False)
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    assert (other.status_code, other.json()["type"]) == (422, "key-reused")
    assert len(api.record.jobs) == 1
