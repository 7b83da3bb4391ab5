"""Addresses of servers: what is wrong with one, and those that name several hosts (`scheme://user:password@a:1,b:2/path`).

Nothing here repeats an address: it holds a password.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from sluice.spelling import nearest

Check = Callable[[str], bool]
"""Whether a value of an option is good."""


def _is_text(value: str) -> bool:
    return bool(value)


def _is_file(value: str) -> bool:
    return Path(value).is_file()


def _is_number(value: str) -> bool:
    return value.isdecimal() and value.isascii()


def _is_port(value: str) -> bool:
    return _is_number(value) and 0 < int(value[:9]) < 65_536


def _one_of(*words: str) -> Check:
    return lambda value: value in words


class Form(NamedTuple):
    """How addresses of one kind of server look. Options that are `ours` are set by Sluice itself.

    Where `more_options` are taken, others are passed on to the server, which knows what it takes.
    """

    example: str
    schemes: tuple[str, ...]
    options: Mapping[str, Check]
    ours: tuple[str, ...]
    more_options: bool = False
    several_hosts: bool = True


_SSL_FILES = dict.fromkeys(("sslcert", "sslkey", "sslrootcert", "sslcrl", "passfile"), _is_file)
_TLS = _one_of("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
POSTGRES = Form(
    "postgresql://user:password@host:port/database",
    ("postgresql", "postgres"),
    {
        **dict.fromkeys(
            ("host", "user", "password", "sslpassword", "dbname", "database", "service"), _is_text
        ),
        **_SSL_FILES,
        "port": lambda value: all(map(_is_port, value.split(","))),
        "sslmode": _one_of("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
        "sslnegotiation": _one_of("postgres", "direct"),
        "ssl_min_protocol_version": _TLS,
        "ssl_max_protocol_version": _TLS,
        "target_session_attrs": _one_of(
            "any", "primary", "standby", "read-write", "read-only", "prefer-standby"
        ),
        "krbsrvname": _is_text,
        "gsslib": _one_of("gssapi", "sspi"),
    },
    # Options of libpq and of other drivers, which the server would refuse.
    (
        *("connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
        *(
            "command_timeout",
            "statement_cache_size",
            "prepared_statement_cache_size",
            "pool_size",
            "pgbouncer",
        ),
    ),
    more_options=True,
)
_REDIS_TLS = {
    **dict.fromkeys(("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"), _is_file),
    **dict.fromkeys(("ssl_ca_path", "ssl_ca_data"), _is_text),
    "ssl_password": _is_text,
    "ssl_ciphers": _is_text,
    "ssl_cert_reqs": _one_of("none", "optional", "required"),
    "ssl_check_hostname": _one_of("true", "false", "True", "False", "1", "0", "yes", "no"),
}
REDIS = Form(
    "redis://:password@host:port/0",
    ("redis", "rediss", "redis+sentinel", "rediss+sentinel", "unix"),
    {"db": _is_number, "username": _is_text, "password": _is_text, **_REDIS_TLS},
    (
        *("socket_timeout", "socket_connect_timeout", "socket_keepalive", "retry_on_timeout", "timeout"),
        *("max_connections", "health_check_interval", "protocol", "client_name", "decode_responses"),
    ),
    several_hosts=False,
)
RABBITMQ = Form(
    "amqp://user:password@host:port/",
    ("amqp", "amqps"),
    {
        **dict.fromkeys(("cafile", "certfile", "keyfile"), _is_file),
        **dict.fromkeys(("capath", "cadata"), _is_text),
        "no_verify_ssl": _one_of("0", "1"),
        "auth": _one_of("plain", "PLAIN", "external", "EXTERNAL"),
    },
    ("heartbeat", "timeout", "name", "connection_timeout", "connection_attempts", "channel_max", "frame_max"),
)
OTLP = Form("http://host:4318", ("http", "https"), {}, (), several_hosts=False)
SENTINEL = "+sentinel"
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+(?:%25\w+)?\]|[^:\[\]]*)(?::(?P<port>.*))?", re.DOTALL)
_SPECIAL = "a character such as / ? # @ : % in a user or password is written as %2F %3F %23 %40 %3A %25"


def describe_flaw(address: str, form: Form) -> str:
    """Say what is wrong with an address, or return nothing. What it says holds no part that could be a password."""
    return next(_flaws(address, form), "")


def _flaws(address: str, form: Form) -> Iterator[str]:
    scheme, mark, rest = address.partition("://")
    if not mark or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        yield f"this is no address: it has the form {form.example}"
    elif scheme.lower() not in form.schemes:
        yield f"an address with {scheme}:// cannot be used here: it has the form {form.example}"
    elif re.search(r"[\s\x00-\x1f\x7f]", rest):
        yield "it has a blank or control character in it; in a user or password a blank is written as %20"
    elif "#" in rest:
        yield f"it has a # in it; {_SPECIAL}"
    else:
        yield from _flaws_of_parts(address, form)


def _flaws_of_parts(address: str, form: Form) -> Iterator[str]:
    try:
        parts = split_address(address)
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        yield f"its host or its options cannot be read; {_SPECIAL}"
    else:
        yield from _flaws_of_what_was_read(parts, options, form)


def _flaws_of_what_was_read(
    parts: SplitResult, options: Sequence[tuple[str, str]], form: Form
) -> Iterator[str]:
    if parts.netloc.count("@") > 1:
        yield f"it has more than one @; {_SPECIAL}"
    if parts.scheme == "unix":
        hosts_needed = False
        if not parts.path.strip("/"):
            yield "it names no socket: unix:///path/of/socket"
    else:
        hosts_needed = not {"host", "service"} & dict(options).keys()
    yield from _flaws_of_hosts(parts, form, hosts_needed)
    if "@" in parts.path + parts.query:
        yield f"it has an @ after its host; {_SPECIAL}"
    yield from _flaws_of_path(parts)
    for name, value in options:
        yield from _flaws_of_option(name, value, parts, form)


def _flaws_of_hosts(parts: SplitResult, form: Form, needed: bool) -> Iterator[str]:
    hosts = parts.netloc.rpartition("@")[2]
    if not hosts:
        if needed:
            yield f"it names no host: it has the form {form.example}"
        return
    several = hosts.split(",")
    if len(several) > 1 and not form.several_hosts and not parts.scheme.endswith(SENTINEL):
        yield "it names several hosts, which only redis+sentinel:// may"
    for each in several:
        found = _HOST.fullmatch(each)
        if found is None or not _is_host(found["host"]):
            yield f"its host cannot be one; {_SPECIAL}"
        elif found["port"] is not None and not _is_port(found["port"]):
            yield f"its port is no number from 1 to 65535; {_SPECIAL}"


def _is_host(host: str) -> bool:
    if host.startswith(("[", "%2F", "%2f")):  # the latter is a directory with PostgreSQL's socket
        return True
    try:
        return bool(re.fullmatch(rb"[A-Za-z0-9._-]+", unquote(host).encode("idna")))
    except UnicodeError:
        return False


def _flaws_of_path(parts: SplitResult) -> Iterator[str]:
    names = parts.path.removeprefix("/").split("/")
    if parts.scheme in ("postgres", "postgresql") and len(names) > 1:
        yield "the name of its database has a / in it, which is written as %2F"
    elif parts.scheme.endswith(SENTINEL):
        if not names[0] or len(names) > 2 or not _is_number(names[1] if len(names) > 1 else "0"):
            yield "it ends in the name of the master and the number of the database: redis+sentinel://host:port/mymaster/0"
    elif parts.scheme in ("redis", "rediss") and not (names == [""] or _is_number("/".join(names))):
        yield "the number of its database is none: it ends in /0, say"


def _flaws_of_option(name: str, value: str, parts: SplitResult, form: Form) -> Iterator[str]:
    if parts.scheme.endswith(SENTINEL):
        yield f"with Sentinels it takes no option: take {name[:64]!r} out"
    elif name in form.ours:
        yield f"its option {name} has no effect here, as Sluice sets its own: take it out"
    elif name in form.options:
        if not form.options[name](value):
            yield (
                f"its option {name} names no file that is here"
                if form.options[name] is _is_file
                else f"its option {name} has a value that it cannot have"
            )
        elif name in _REDIS_TLS and parts.scheme != "rediss":
            yield f"its option {name} needs rediss://"
    elif like := nearest(name, form.options):
        yield f"its option {name[:64]!r} is unknown: do you mean {like}?"
    elif not form.more_options or not value:
        yield f"its option {name[:64]!r} is unknown: take it out"


def split_address(url: str) -> SplitResult:
    """Split an address as urlsplit does, which in many a Python refuses several hosts if one of them is in brackets."""
    scheme, mark, rest = url.partition("://")
    netloc, place, behind = re.match(r"([^/?#]*)([/?#]?)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]  # it matches all
    return urlsplit(scheme + mark + place + behind)._replace(netloc=netloc)


def split_hosts(url: str) -> list[str]:
    """Return an address for each host, the same but for that; an address with one host as it is."""
    parts = split_address(url)
    account, at, hosts = parts.netloc.rpartition("@")
    if "," not in hosts:
        return [url]
    return [parts._replace(netloc=account + at + host).geturl() for host in hosts.split(",")]


def host_of(url: str) -> str:
    """Return host and port as they are written, without user and password."""
    return urlsplit(url).netloc.rpartition("@")[2]
