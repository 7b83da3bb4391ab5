"""What must never be accepted, with and without the fast path: status, headers and shape are the same, and the process lives."""

from __future__ import annotations

import asyncio
from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from zlib import crc32

import httpx2
import orjson
import pytest

from infra.local.servers import Servers
from tests.support.make_jobs import aged_id
from tests.support.paired_apis import GOOD, JSON, WAYS, Answer, Headers, PairedApis, exchange, request
from tests.support.stack import stack_on_empty_servers

CAP = 262_144
"""Bytes that demo.sum takes."""
NOBODY = f"/v1/jobs/{aged_id(0)}"


@pytest.fixture(scope="module")
def apis(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PairedApis]:
    """Start both apis for the whole module."""
    with stack_on_empty_servers(shared_servers, tmp_path_factory.mktemp("logs")) as stack:
        apis = PairedApis(stack)
        asyncio.run(apis.open())
        yield apis


def wrapped(value: bytes) -> bytes:
    """Wrap an input into a whole submit."""
    return b'{"kind":"demo.sum","input":' + value + b"}"


def nested(depth: int) -> bytes:
    """Nest lists to this depth."""
    return b"[" * depth + b"]" * depth


def option(text: bytes) -> bytes:
    """Make a submit with these options."""
    return b'{"kind":"demo.sum","input":{"values":[1]},"options":' + text + b"}"


BODIES: list[tuple[str, bytes, int, str]] = [
    ("1 empty", b"", 400, "malformed-json"),
    ("2 white space", b" \n\t ", 400, "malformed-json"),
    ("3 invalid UTF-8", b'"\xff"', 400, "malformed-json"),
    ("4 two byte order marks", 2 * BOM_UTF8 + GOOD, 400, "malformed-json"),
    ("4 UTF-16", GOOD.decode().encode("utf-16"), 400, "malformed-json"),
    ("5 trailing bytes", GOOD + b" x", 400, "malformed-json"),
    ("6 NaN", wrapped(b"NaN"), 400, "malformed-json"),
    ("6 Infinity", wrapped(b"-Infinity"), 400, "malformed-json"),
    ("6 1e400", wrapped(b'{"values":[1e400]}'), 400, "malformed-json"),
    ("7 a million digits", wrapped(b'{"values":[' + b"9" * 1_000_000 + b"]}"), 400, "malformed-json"),
    ("8 2^64", wrapped(b'{"values":[18446744073709551616]}'), 422, "invalid"),
    ("8 2^53", wrapped(b'{"values":[9007199254740992]}'), 422, "invalid"),
    ("9 lone surrogate", wrapped(b'{"values":["\\ud800"]}'), 400, "malformed-json"),
    ("10 control character", wrapped(b'"\x01"'), 400, "malformed-json"),
    ("11 U+0000 in a value", wrapped(b'{"values":["\\u0000"]}'), 422, "invalid"),
    ("12 U+0000 in a key", wrapped(b'{"a\\u0000":1}'), 422, "invalid"),
    ("13 depth 33", wrapped(nested(32)), 422, "invalid"),
    ("14 depth 1,025", wrapped(nested(1_025)), 400, "malformed-json"),
    ("15 depth 1,000,000", wrapped(nested(1_000_000)), 400, "malformed-json"),
    ("15 unclosed", b"[" * 50_000, 400, "malformed-json"),
    ("16 a million keys", b"{" + b",".join(b'"%d":1' % n for n in range(1_000_000)) + b"}", 422, "invalid"),
    ("17 10,001 elements", wrapped(b"[" + b"1," * 10_000 + b"1]"), 422, "invalid"),
    ("18 the same key twice", wrapped(b'{"values":[1],"values":[2]}'), 400, "malformed-json"),
    ("19 an array", b"[]", 422, "invalid"),
    ("19 a string", b'"x"', 422, "invalid"),
    ("19 a number", b"1", 422, "invalid"),
    ("19 null", b"null", 422, "invalid"),
    ("20 an unknown field", GOOD[:-1] + b',"extra":1}', 422, "invalid"),
    ("20 an unknown field of the input", wrapped(b'{"values":[1],"extra":1}'), 422, "invalid"),
    ("21 a wrong type", wrapped(b'{"values":["1"]}'), 422, "invalid"),
    ("21 an input of the wrong type", wrapped(b"[]"), 422, "invalid"),
    ("21 no input", b'{"kind":"demo.sum"}', 422, "invalid"),
    ("21 no kind", b'{"input":{}}', 422, "invalid"),
    ("21 a kind that is no string", b'{"kind":["demo.sum"],"input":{}}', 422, "invalid"),
    ("21 a negative time limit", option(b'{"timeout_s":-1}'), 422, "invalid"),
    ("21 no time at all", option(b'{"timeout_s":0}'), 422, "invalid"),
    ("21 a huge time limit", option(b'{"timeout_s":1e15}'), 422, "invalid"),
    ("21 no attempts", option(b'{"max_attempts":0}'), 422, "invalid"),
    ("21 too many attempts", option(b'{"max_attempts":1000000}'), 422, "invalid"),
    ("21 half an attempt", option(b'{"max_attempts":1.5}'), 422, "invalid"),
    ("21 an unknown priority", option(b'{"priority":"urgent"}'), 422, "invalid"),
    ("21 a numeric priority", option(b'{"priority":9}'), 422, "invalid"),
    ("21 an unknown option", option(b'{"timeout":1}'), 422, "invalid"),
    ("21 options of the wrong type", option(b"[]"), 422, "invalid"),
    ("21 an unknown lane", option(b'{"lane":"fast"}'), 422, "invalid"),
    ("21 a time without zone", option(b'{"run_at":"2030-01-01T00:00:00"}'), 422, "invalid"),
    ("21 a far away time", option(b'{"delay_s":1e300}'), 422, "invalid"),
    ("21 an unprintable tag", option(b'{"tags":["a\\u001fb"]}'), 422, "invalid"),
    ("22 an unknown kind", b'{"kind":"demo.nope","input":{}}', 422, "kind-unknown"),
    ("22 a kind with strange letters", b'{"kind":"\\u202e../x\'--","input":{}}', 422, "kind-unknown"),
    ("22 a very long kind", b'{"kind":"' + b"k" * 5_000 + b'","input":{}}', 422, "kind-unknown"),
    ("22 a very long key", wrapped(b'{"' + b"k" * 5_000 + b'":1}'), 422, "invalid"),
]

INSIDE = [
    "https://127.1/", "https://0/", "https://0x7f000001/", "https://0177.0.0.1/", "https://2130706433/",
    "https://①②⑦.⓪.⓪.①/", "https://[::1]/", "https://[::ffff:7f00:1]/", "https://[64:ff9b::7f00:1]/",
    "https://[::1%25eth0]/", "https://localhost/", "https://LOCALHOST./", "https://169.254.169.254/latest/meta-data/",
    "https://[fd00:ec2::254]/", "https://metadata.google.internal/", "https://good@127.0.0.1/",
    "https://127.0.0.1#@good/", "https://good\\@127.0.0.1/", "https://127.0.\t0.1/", "https://127.0.0.1\n/",
    "https://127.0.0.1.nip.example/", "https://rebinds.example/", "https://redirects.example/to-loopback",
    "file:///etc/passwd", "gopher://127.0.0.1:6379/_FLUSHALL", "https://example.org:22/", "https://example.org:25/",
    "https://example.org:6379/", "http://example.org/", "https://example.org/",
]  # fmt: skip
"""Row 40: addresses that a webhook must never reach, and two that look harmless. The webhook of a job is the id of one that its tenant has registered: no address is taken."""
BODIES += [
    (f"40 {form} {number}", option(orjson.dumps({"webhook": given})), 422, "invalid")
    for number, address in enumerate(INSIDE)
    for form, given in (("address", address), ("object", {"url": address}))
]
BODIES += [
    ("40 a webhook of nobody", option(b'{"webhook":"5c1f9d0e-0000-4000-8000-000000000000"}'), 422, "invalid"),
    (
        "40 a webhook with strange letters",
        option(b'{"webhook":"5c1f9d0e-0000-4000-8000-00000000\\u0660000"}'),
        422,
        "invalid",
    ),
    ("40 a webhook beside the options", GOOD[:-1] + b',"webhook":"https://127.0.0.1/"}', 422, "invalid"),
]


class Row(NamedTuple):
    """A request that differs in more than its body."""

    name: str
    raw: tuple[str, str, Headers, bytes, int | None]
    status: int
    type: str
    key: str | None = "good"
    closed: bool = False


def get(
    name: str, target: str, status: int, kind: str, *headers: tuple[str, str], key: str | None = "good"
) -> Row:
    """Make a row that only reads."""
    return Row(name, ("GET", target, headers, b"", None), status, kind, key)


def post(name: str, headers: Headers, status: int, kind: str, **more: Any) -> Row:
    """Make a row that sends, by default a good body."""
    body, length, target = more.pop("body", GOOD), more.pop("length", None), more.pop("target", "/v1/jobs")
    return Row(name, ("POST", target, headers, body, length), status, kind, **more)


SUM = "/v1/kinds/demo.sum/jobs"
CHUNKS = b"10000\r\n" + b" " * 65_536 + b"\r\n"
REQUESTS: list[Row] = [
    post(
        "23 an announced body over the cap",
        (JSON,),
        413,
        "too-large",
        length=CAP + 1,
        body=b"",
        target=SUM,
        closed=True,
    ),
    post("23 a body over the cap", (JSON,), 413, "too-large", body=b" " * (CAP + 1), target=SUM, closed=True),
    post("23 twenty times the cap", (JSON,), 413, "too-large", body=b" " * 20 * CAP, target=SUM, closed=True),
    post(
        "24 chunks past the cap",
        (JSON, ("Transfer-Encoding", "chunked")),
        413,
        "too-large",
        body=CHUNKS * 5,
        length=-1,
        target=SUM,
        closed=True,
    ),
    post(
        "25 a body that never ends", (JSON,), 408, "request-timeout", body=GOOD[:10], length=100, closed=True
    ),
    post("26 a compressed body", (JSON, ("Content-Encoding", "gzip")), 415, "unsupported-media-type"),
    post("27 text", (("Content-Type", "text/plain"),), 415, "unsupported-media-type"),
    post("27 no type", (), 415, "unsupported-media-type"),
    post("27 UTF-16", (("Content-Type", "application/json; charset=utf-16"),), 415, "unsupported-media-type"),
    post("27 two types", (JSON, JSON), 415, "unsupported-media-type"),
    post("28 a form", (("Content-Type", "multipart/form-data; boundary=x"),), 415, "unsupported-media-type"),
    *(
        post(f"29 {name}", (JSON, *(("Idempotency-Key", key) for key in keys)), 400, "invalid-header", **more)
        for more in ({}, {"target": SUM, "body": b'{"values":[1]}'})
        for name, keys in {
            "an empty key": ("",),
            "an empty key in quotes": ('""',),
            "256 characters": ("k" * 256,),
            "a control character": ("a\tb",),
            "a character beyond ASCII": ("é",),
            "half a quote": ('"a',),
            "two keys": ("a", "b"),
        }.items()
    ),
    get("31 no UUID", "/v1/jobs/1", 404, "job-unknown"),
    get("31 upper case", NOBODY[:9] + NOBODY[9:].upper().replace("0", "A"), 404, "job-unknown"),
    get("31 URN", "/v1/jobs/urn:uuid:01900000-0000-7000-8000-000000000000", 404, "job-unknown"),
    get("31 braces", "/v1/jobs/%7B01900000-0000-7000-8000-000000000000%7D", 404, "job-unknown"),
    get("31 version 4", "/v1/jobs/01900000-0000-4000-8000-000000000000", 404, "job-unknown"),
    get("31 U+0000", "/v1/jobs/%00", 404, "job-unknown"),
    get("31 36 strange bytes", "/v1/jobs/" + "%F0%9F%98%80" * 3, 404, "job-unknown"),
    get("31 36 plain letters", "/v1/jobs/" + "x" * 36, 404, "job-unknown"),
    get("31 10 kB", "/v1/jobs/" + "a" * 10_000, 404, "job-unknown"),
    get("31 unknown", NOBODY, 404, "job-unknown"),
    get("31 so old that it has expired", "/v1/jobs/01900000-0000-7000-8000-000000000000", 410, "job-expired"),
    get("33 no key", NOBODY, 401, "unauthorized", key=None),
    post("33 no key", (JSON,), 401, "unauthorized", key=None),
    get("33 malformed", NOBODY, 401, "unauthorized", ("Authorization", "Bearer slc_x"), key=None),
    get("33 another scheme", NOBODY, 401, "unauthorized", ("Authorization", "Basic eDp5"), key=None),
    get("33 two keys", NOBODY, 401, "unauthorized", ("Authorization", "Bearer x")),
    get("34 revoked", NOBODY, 401, "unauthorized", key="revoked"),
    get("34 expired", NOBODY, 401, "unauthorized", key="expired"),
    get("35 no scope to read", NOBODY, 403, "forbidden", key="submitter"),
    post("35 no scope to submit", (JSON,), 403, "forbidden", key="reader"),
    get(
        "36 the key in the query",
        NOBODY + "?key={good}&authorization=Bearer%20{good}",
        401,
        "unauthorized",
        key=None,
    ),
    *(
        get(f"37 {query}", f"/v1/jobs?{query}", 422, "invalid")
        for query in (
            *(
                f"{name}={value}"
                for name in ("page_size", "limit")
                for value in ("0", "-1", "1e9", "1000000000")
            ),
            "page_size=",
            "page_size=1&page_size=1",
            "page_token=",
            "page_token=" + "A" * 43,
            "page_token=%00",
            "page_token=%F0%9F%98%80",
            "page_token=" + "x" * 5_000,
            "cursor=x",
            "state=done",
            "state=",
            "kind=%00",
            "kind=a%27%20or%201=1--",
            "tag=%1F",
            "tag=" + "x" * 130,
            "created_after=yesterday",
            "created_after=0001-01-01T00:00:00%2B14:00",
            "created_before=9999-12-31T23:59:59-14:00",
            "created_before=1e400",
            "error=x",
            "error=%25",
            "key={good}",
        )
    ),
    *(
        post(f"37 {what} {body.decode()[:60]}", (JSON,), 422, "invalid", target=f"/v1/jobs/{what}", body=body)
        for what in ("cancel", "retry")
        for body in (
            b"{}",
            b"[]",
            b'{"filter":{},"limit":0}',
            b'{"filter":{},"limit":-1}',
            b'{"filter":{},"limit":1e9}',
            b'{"filter":{"kind":"demo.sum"},"page_token":"x"}',
            b'{"filter":{"kind":"demo.sum"},"extra":1}',
            b'{"filter":{"state":"done"},"dry_run":false}',
            b'{"filter":{"kind":"demo.sum"},"dry_run":"no"}',
            b'{"filter":{"state":"succeeded"},"dry_run":false}',
        )
    ),
    post(
        "37 cancel everything",
        (JSON,),
        422,
        "invalid",
        target="/v1/jobs/cancel",
        body=b'{"filter":{},"dry_run":false}',
    ),
    post(
        "37 a bulk change of 17 KiB",
        (JSON,),
        413,
        "too-large",
        target="/v1/jobs/retry",
        body=b" " * 17_000,
        closed=True,
    ),
    post("37 a bulk change in words", (), 415, "unsupported-media-type", target="/v1/jobs/retry"),
    get("35 no scope to list", "/v1/jobs", 403, "forbidden", key="submitter"),
    get("35 no scope to see errors", "/v1/errors", 403, "forbidden", key="submitter"),
    post("35 no scope to cancel many", (JSON,), 403, "forbidden", key="reader", target="/v1/jobs/cancel"),
    post("35 no scope to retry many", (JSON,), 403, "forbidden", key="reader", target="/v1/jobs/retry"),
    get("21 a negative wait", NOBODY + "?wait=-1", 422, "invalid"),
    get("21 a huge wait", NOBODY + "?wait=1e9", 422, "invalid"),
    get("no such path", "/v1/nothing", 404, "not-found"),
    get("a trailing slash", "/v1/jobs/", 404, "not-found"),
    Row("no such method", ("DELETE", "/v1/jobs", (), b"", None), 405, "method-not-allowed"),
]


def problem_of(answer: Answer, status: int, kind: str) -> dict[str, Any]:
    """Return the problem, checked for what all problems have."""
    problem: dict[str, Any] = orjson.loads(answer.body)
    assert (answer.status, problem["type"]) == (status, kind), problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"] == problem["request_id"]
    assert "server" not in answer.headers
    assert len(answer.body) < 4_096
    return problem


@pytest.mark.parametrize(
    ("body", "status", "kind"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES]
)
async def test_a_bad_body_is_refused_alike_and_a_good_one_still_goes(
    apis: PairedApis, body: bytes, status: int, kind: str
) -> None:
    answers = []
    for way in WAYS:
        await apis.warm(way)
        headers = (JSON, ("Authorization", f"Bearer {apis.keys['good']}"))
        answers.append(await exchange(apis.urls[way], request("POST", "/v1/jobs", headers, body)))
        problem_of(answers[-1], status, kind)
        await apis.warm(way)
    assert answers[0].comparable == answers[1].comparable


@pytest.mark.parametrize("row", REQUESTS, ids=[row.name for row in REQUESTS])
async def test_a_bad_request_is_refused_alike_and_a_good_one_still_goes(apis: PairedApis, row: Row) -> None:
    answers = []
    for way in WAYS:
        await apis.warm(way)
        method, target, headers, body, length = row.raw
        if row.key:
            headers += (("Authorization", f"Bearer {apis.keys[row.key]}"),)
        raw = request(method, target.format(**apis.keys), headers, body, length)
        answers.append(await exchange(apis.urls[way], raw))
        problem_of(answers[-1], row.status, row.type)
        assert answers[-1].closed == row.closed
        assert ("www-authenticate" in answers[-1].headers) == (row.status in (401, 403))
        await apis.warm(way)
    assert answers[0].comparable == answers[1].comparable


@pytest.mark.parametrize("target", ["/v1/jobs", SUM])
async def test_a_key_that_was_used_for_another_body_is_refused_alike(apis: PairedApis, target: str) -> None:
    """Cover row 30."""
    answers = []
    for way in WAYS:
        key = ("Idempotency-Key", f"{way} {target}".replace(" ", ""))
        headers = (JSON, key, _key(apis, "good"))
        bodies = [b'{"values":[%d]}' % number for number in (1, 2)]
        if target == "/v1/jobs":
            bodies = [wrapped(body) for body in bodies]
        sent = [
            await exchange(apis.urls[way], request("POST", target, headers, body))
            for body in (*bodies, bodies[0])
        ]
        problem_of(sent[1], 422, "key-reused")
        assert [answer.status for answer in sent] == [202, 422, 202]
        assert orjson.loads(sent[2].body)["id"] == orjson.loads(sent[0].body)["id"]
        assert sent[2].headers["idempotent-replayed"] == "true"
        answers.append(sent)
    for express, fastapi in zip(*answers, strict=True):
        assert express.comparable == fastapi.comparable


async def test_a_page_token_of_another_tenant_filter_or_letter_is_refused_alike(apis: PairedApis) -> None:
    """Cover row 37."""
    answers = []
    for way in WAYS:
        for _ in range(2):
            await apis.warm(way)
        first = await exchange(apis.urls[way], request("GET", "/v1/jobs?page_size=1", (_key(apis, "good"),)))
        token = orjson.loads(first.body)["next_page_token"]
        sent = []
        for query, key in (
            (f"page_token={token}", "foreign"),
            (f"kind=demo.sum&page_token={token}", "good"),
            (f"page_token={token[:-1]}{'A' if token[-1] != 'A' else 'E'}", "good"),
            (f"page_token={token}=", "good"),
        ):
            raw = request("GET", f"/v1/jobs?{query}", (_key(apis, key),))
            sent.append(await exchange(apis.urls[way], raw))
            assert problem_of(sent[-1], 422, "invalid")["errors"][0]["pointer"] == "?page_token"
        good = request("GET", f"/v1/jobs?page_token={token}", (_key(apis, "reader"),))
        assert (await exchange(apis.urls[way], good)).status == 200
        answers.append([answer.comparable for answer in sent])
    assert answers[0] == answers[1]


async def test_a_wrong_secret_of_a_real_key_is_refused_like_an_unknown_one(apis: PairedApis) -> None:
    answers = []
    head, _, _ = apis.keys["good"].rpartition("_")
    prefix, key_id, secret = head.split("_")
    for wrong in (f"{prefix}_{key_id}_{secret[::-1]}", f"{prefix}_{key_id[::-1]}_{secret}"):
        key = f"{wrong}_{_crc(wrong)}"
        for way in WAYS:
            raw = request("GET", NOBODY, (("Authorization", f"Bearer {key}"),))
            answers.append(await exchange(apis.urls[way], raw))
            problem_of(answers[-1], 401, "unauthorized")
    assert all(answer.comparable == answers[0].comparable for answer in answers)


@pytest.mark.parametrize("way", WAYS)
async def test_jobs_of_others_are_as_unknown_as_jobs_that_never_were(apis: PairedApis, way: str) -> None:
    mine = await exchange(apis.urls[way], request("POST", "/v1/jobs", (JSON, _key(apis, "good")), GOOD))
    target = f"/v1/jobs/{orjson.loads(mine.body)['id']}"
    assert (await exchange(apis.urls[way], request("GET", target, (_key(apis, "good"),)))).status == 200
    foreign = await exchange(apis.urls[way], request("GET", target, (_key(apis, "foreign"),)))
    unknown = await exchange(apis.urls[way], request("GET", NOBODY, (_key(apis, "foreign"),)))
    assert foreign.status == 404
    assert foreign.comparable == unknown.comparable


async def test_a_body_may_begin_with_a_byte_order_mark(apis: PairedApis) -> None:
    for way in WAYS:
        raw = request("POST", "/v1/jobs", (JSON, _key(apis, "good")), BOM_UTF8 + GOOD)
        assert (await exchange(apis.urls[way], raw)).status == 202


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
async def test_the_scheme_may_be_written_in_any_case(apis: PairedApis, scheme: str) -> None:
    for way in WAYS:
        key = ("Authorization", f"{scheme} {apis.keys['good']}")
        assert (await exchange(apis.urls[way], request("POST", "/v1/jobs", (JSON, key), GOOD))).status == 202


async def test_a_forwarded_address_is_nobodys_business(apis: PairedApis) -> None:
    for way in WAYS:
        headers = (
            JSON,
            _key(apis, "good"),
            ("X-Forwarded-For", "1.2.3.4"),
            ("X-Forwarded-Host", "evil.example"),
        )
        answer = await exchange(apis.urls[way], request("POST", "/v1/jobs", headers, GOOD))
        assert answer.status == 202
        assert answer.headers["location"].startswith("/v1/jobs/")
        assert b"evil" not in answer.body


@pytest.mark.parametrize("given", ["a b", "\x1b[31m", "x" * 10_000, "", "é"])
async def test_a_strange_request_id_is_replaced(apis: PairedApis, given: str) -> None:
    for way in WAYS:
        raw = request("GET", NOBODY, (_key(apis, "good"), ("X-Request-Id", given)))
        answer = await exchange(apis.urls[way], raw)
        assert answer.status in (400, 404)  # the parser refuses some of these before we see them
        if answer.status == 404:
            assert answer.headers["x-request-id"] != given
            assert len(answer.headers["x-request-id"]) < 64


async def test_a_client_that_leaves_in_the_middle_is_no_event(apis: PairedApis) -> None:
    for way in WAYS:
        parts = urlsplit(apis.urls[way])
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(request("POST", "/v1/jobs", (JSON, _key(apis, "good")), GOOD[:10], 100))
        await writer.drain()
        writer.transport.abort()
        await apis.warm(way)


async def test_after_all_this_nothing_unforeseen_was_logged_and_no_secret(apis: PairedApis) -> None:
    for api in apis.processes.values():
        log = api.log.read_text()
        assert "unforeseen" not in log
        assert "Traceback" not in log
        assert not [name for name, key in apis.keys.items() if key.split("_")[2] in log]
        assert all(orjson.loads(line) for line in log.splitlines())


async def test_nothing_unforeseen_was_counted(apis: PairedApis) -> None:
    async with httpx2.AsyncClient() as client:
        for api in apis.processes.values():
            figures = (await client.get(f"{api.private_url}/metrics")).text
            assert 'status="500"' not in figures
            assert "demo" not in "".join(line for line in figures.splitlines() if "http_request" in line)


def _key(apis: PairedApis, name: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {apis.keys[name]}")


def _crc(head: str) -> str:
    return f"{crc32(head.encode()):08x}"
