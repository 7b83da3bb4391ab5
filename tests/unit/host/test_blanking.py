"""Blanking secrets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.keys.api_key import make_key
from sluice.host.blanking import blank_secrets, names_secret

SECRET = "hunter2Hunter2hunter2"
PLACES = [
    "postgresql://u:{}@db/x",
    "postgresql+asyncpg://u:p@{}@db/x",
    "redis://:{}@r:6379/0",
    "amqp://u:a%40{}@h/v",
    "postgresql://u:a/{}@db/x",
    "back to postgresql%3A%2F%2Fu%3A{}%40db%2Fx",
    "https://{}@github.com/x.git",
    "hosts a://u:{0}@h,b://u:{0}@h",
    "password={}",
    "PASSWORD = '{}'",
    "password: {}",
    'password: "with space {}"',
    "host=db password={} dbname=x",
    "{{'password': '{}', 'n': 1}}",
    '{{"password":"{}","user":"bob"}}',
    '"{{\\"password\\":\\"{}\\",\\"u\\":1}}"',
    "{{'passwords': ['a', '{}']}}",
    "connect(host='x', password='{}')",
    "connect(password=b'{}')",
    'password: str = "{}"',
    "('password', '{}')",
    "['--password', '{}']",
    "--api-key {} run",
    "--token={}",
    "os.environ['API_KEY'] = '{}'",
    "DB_PASS={}",
    "MYSQL_PWD={}",
    "aws_secret_access_key = {}",
    "client_secret={}",
    "https://x/?access_token={}&page=1",
    "https://x/?X-Amz-Signature={}",
    "X-Api-Key: {}",
    "Authorization: Bearer {}",
    "authorization: Basic {}",
    "Proxy-Authorization: {}",
    "{{'Authorization': 'Token {}'}}",
    "(b'authorization', b'Bearer {}')",
    "curl -H 'Authorization: Bearer {}' http://x",
    "sent the bearer {}",
    "Cookie: a=1; sid={}",
    "Set-Cookie: sid={}; Secure",
    "ghp_{0}{0}",
    "sk-proj-{0}{0}",
    "eyJ{0}.eyJ{0}.{0}",
    "-----BEGIN RSA PRIVATE KEY-----\n{0}\n{0}\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\n{0}",
    "İ password={}",
]
HARMLESS = [
    "max_tokens=512 prompt_tokens: 3",
    "secretary: Bob, author=Ann",
    "http://host:8000/users/@me from me@x.y",
    "ftp://anonymous@host/",
    "postgresql://db:5432/x",
    "KeyError: 'x', monkey: 5, key=7",
    "passed=3 failed=1, pass: 7",
    "invalid password for bob",
    "the password of bob",
    "oauth2 login at 10:00",
]


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_is_blanked_wherever_it_stands(place: str) -> None:
    blanked = blank_secrets(f"before {place.format(SECRET)}")
    assert SECRET not in blanked
    assert "***" in blanked
    assert blanked.startswith("before ")


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text: str) -> None:
    assert blank_secrets(text) == text


def test_what_stands_around_a_secret_stays() -> None:
    assert blank_secrets("a postgresql://u:x@db/n b") == "a postgresql://u:***@db/n b"
    assert blank_secrets("{'password': 'x', 'n': 1}") == "{'password': ***, 'n': 1}"
    assert blank_secrets("GET /?token=x&page=2 200") == "GET /?token=***&page=2 200"


def test_of_a_key_of_ours_its_name_stays() -> None:
    _, name, secret, *_ = (key := make_key()).split("_")
    assert secret not in blank_secrets(f"who sent {key}?")
    assert name in blank_secrets(f"who sent {key}?")


@pytest.mark.parametrize(
    "name", ["password", "DB_PASSWORD", "apiKey", "x-api-key", "token", "password_hash", "secret2"]
)
def test_a_name_tells_a_secret(name: str) -> None:
    assert names_secret(name)


@pytest.mark.parametrize(
    "name", ["tokens", "token_count", "passed", "key", "author", "job_id", "password_age"]
)
def test_other_names_tell_none(name: str) -> None:
    assert not names_secret(name)


@given(st.text(), st.text())
def test_any_text_is_read(before: str, after: str) -> None:
    assert SECRET not in blank_secrets(f"{before} password={SECRET} {after}")


@pytest.mark.parametrize(
    "text",
    ["://:", "://:@", "password", 'password="', "password=\\'", "--p", "a:%40", "api ", "eyJ", "-----BEGIN "],
)
@pytest.mark.timeout(5)
def test_no_text_takes_long(text: str) -> None:
    blank_secrets(text * (40_000 // len(text)))


@pytest.mark.timeout(5)
def test_no_quoted_text_takes_long() -> None:
    blank_secrets('pwd=\\"' + "\\" * 200_000)
