"""Addresses of servers: what is wrong with one, and those that name several hosts."""

from __future__ import annotations

from random import Random

import pytest

from sluice.core.addresses import POSTGRES, RABBITMQ, REDIS, Form, describe_flaw, host_of, split_hosts


@pytest.mark.parametrize(
    ("url", "each"),
    [
        (
            "postgresql://u:p%2C@a:1,[::1]:2/d?x=1,2",
            ["postgresql://u:p%2C@a:1/d?x=1,2", "postgresql://u:p%2C@[::1]:2/d?x=1,2"],
        ),
        ("amqp://u:p@a,b:2/", ["amqp://u:p@a/", "amqp://u:p@b:2/"]),
        (
            "redis+sentinel://[::1]:1,[::2]:2/m/0",
            ["redis+sentinel://[::1]:1/m/0", "redis+sentinel://[::2]:2/m/0"],
        ),
        ("redis+sentinel://a:1,b:2/m/0", ["redis+sentinel://a:1/m/0", "redis+sentinel://b:2/m/0"]),
        ("postgresql:///d?host=/tmp", ["postgresql:///d?host=/tmp"]),
        ("nonsense", ["nonsense"]),
    ],
)
def test_there_is_an_address_for_each_host(url: str, each: list[str]) -> None:
    assert split_hosts(url) == each


def test_a_host_is_named_without_its_password() -> None:
    assert host_of("postgresql://u:p@a:1/d") == "a:1"


GOOD = [
    (POSTGRES, "postgresql://u:p%40%2F@h-1.example_x:5432/d"),
    (
        POSTGRES,
        "postgres://u@[::1]:5432,b/d?sslmode=verify-full&application_name=x&target_session_attrs=primary",
    ),
    (POSTGRES, "postgresql:///d?host=/run/postgresql&port=5433"),
    (POSTGRES, "postgresql://u@%2Frun%2Fpostgresql/d"),
    (POSTGRES, "postgresql://h/d?synchronous_commit=off"),
    (POSTGRES, "postgresql://bücher.example/d"),
    (REDIS, "redis://:p@h:6379/0"),
    (REDIS, "redis://h"),
    (REDIS, "redis://h/?db=3"),
    (REDIS, "unix:///run/redis.sock?db=1"),
    (REDIS, f"rediss://u:p@h:6379/1?ssl_cert_reqs=required&ssl_ca_certs={__file__}"),
    (REDIS, "redis+sentinel://:p@a:26379,b/mymaster/0"),
    (REDIS, "rediss+sentinel://a/mymaster"),
    (RABBITMQ, "amqp://u:p@h:5672/"),
    (RABBITMQ, f"amqps://u:p@a,b:5671/%2F?cafile={__file__}&no_verify_ssl=0"),
]
WRONG = [
    (POSTGRES, "", "form postgresql://user:password@host:port/database"),
    (POSTGRES, "127.0.0.1:5432/d", "no address"),
    (POSTGRES, "postgresql+asyncpg://u:p@h/d", "postgresql+asyncpg://"),
    (POSTGRES, "mysql://h/d", "mysql://"),
    (POSTGRES, "postgresql:///d", "no host"),
    (POSTGRES, "postgresql://u:p@h:port/d", "port is no number"),
    (POSTGRES, "postgresql://u:p@h:99999/d", "from 1 to 65535"),
    (POSTGRES, "postgresql://u:p@h:0/d", "from 1 to 65535"),
    (POSTGRES, "postgresql://u:p@h:/d", "port is no number"),
    (POSTGRES, "postgresql://u:p@h:٣/d", "port is no number"),
    (POSTGRES, "postgresql://u:p@a,,b/d", "host cannot be one"),
    (POSTGRES, "postgresql://u:p@" + "a" * 64 + "/d", "host cannot be one"),
    (POSTGRES, "postgresql://u:p@[::1/d", "its host cannot be one"),
    (POSTGRES, "postgresql://u:p@h/d/e", "%2F"),
    (POSTGRES, "postgresql://u:se cret@h/d", "%20"),
    (POSTGRES, "postgresql://u:se#cret@h/d", "%23"),
    (POSTGRES, "postgresql://u:p@h/d#x", "a # in it"),
    (POSTGRES, "postgresql://u:se/cret@h/d", "%2F"),
    (POSTGRES, "postgresql://u:se@cret@h/d", "%40"),
    (POSTGRES, "postgresql://u:12?se=cret@h/d", "%3F"),
    (POSTGRES, "postgresql://h/d?sslmod=require", "do you mean sslmode?"),
    (POSTGRES, "postgresql://h/d?sslmode=on", "sslmode has a value"),
    (POSTGRES, "postgresql://h/d?sslmode=", "sslmode has a value"),
    (POSTGRES, "postgresql://h/d?port=x", "port has a value"),
    (POSTGRES, "postgresql://h/d?connect_timeout=5", "take it out"),
    (POSTGRES, "postgresql://h/d?sslmode", "cannot be read"),
    (REDIS, "localhost:6379", "no address"),
    (REDIS, "http://h/", "redis://:password@host:port/0"),
    (REDIS, "redis://h:6379/zero", "number of its database"),
    (REDIS, "redis://h:6379/0/1", "number of its database"),
    (REDIS, "redis://h:6379/-1", "number of its database"),
    (REDIS, "redis://h?db=one", "db has a value"),
    (REDIS, "redis://a,b/0", "only redis+sentinel://"),
    (REDIS, "redis://h?socket_timeout=60", "no effect"),
    (REDIS, f"redis://h?ssl_ca_certs={__file__}", "needs rediss://"),
    (POSTGRES, "postgresql://h/d?sslmode=verify-ca&sslrootcert=/no/such", "sslrootcert names no file"),
    (RABBITMQ, "amqps://h/?cafile=/no/such", "cafile names no file"),
    (REDIS, "rediss://h?ssl_cert_req=none", "do you mean ssl_cert_reqs?"),
    (REDIS, "redis://h?nonsense=1", "take it out"),
    (REDIS, "unix://", "names no socket"),
    (REDIS, "redis+sentinel://a:1", "name of the master"),
    (REDIS, "redis+sentinel://a:1/mymaster/x", "name of the master"),
    (REDIS, "redis+sentinel://a:1/m/0?ssl_ca_certs=/ca.pem", "take 'ssl_ca_certs' out"),
    (RABBITMQ, "rabbit:5672", "no address"),
    (RABBITMQ, "http://h/", "amqp://"),
    (RABBITMQ, "amqp://h:port/", "port is no number"),
    (RABBITMQ, "amqp://h/?heartbeat=60", "no effect"),
    (RABBITMQ, "amqps://h/?cafil=/ca.pem", "do you mean cafile?"),
]


@pytest.mark.parametrize(("form", "address"), GOOD)
def test_a_good_address_has_no_flaw(form: Form, address: str) -> None:
    assert describe_flaw(address, form) == ""


@pytest.mark.parametrize(("form", "address", "words"), WRONG)
def test_a_wrong_address_is_described_in_one_line_without_what_it_holds(
    form: Form, address: str, words: str
) -> None:
    said = describe_flaw(address, form)
    assert words in said
    assert "cret" not in said
    assert "\n" not in said


def test_an_address_of_any_characters_is_judged() -> None:
    random = Random(7)
    characters = "postgresqlredisamqp:///@#?&=%[],. 12\x00é٣\ud800"
    for _ in range(3_000):
        address = "".join(random.choice(characters) for _ in range(random.randrange(40)))
        for form in (POSTGRES, REDIS, RABBITMQ):
            for scheme in ("", f"{form.schemes[0]}://"):
                describe_flaw(scheme + address, form)
