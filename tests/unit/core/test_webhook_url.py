"""Where webhooks may go: the corpus of addresses that lead somewhere else than they seem to."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from sluice.core.webhook_url import LONGEST_URL, Refused, Target, check_addresses, read_url

NAME = "https://hooks.example.com/a"
UNREADABLE = [
    "", "hooks.example.com", "//hooks.example.com/", "ftp://hooks.example.com/", "file:///etc/passwd", "gopher://hooks.example.com:25/",
    "HTTPS://hooks.example.com/", "https://HOOKS.example.com/", "https://LOCALHOST./", "https://hooks.example.com./", "https://hooks..example/",
    "https://good@127.0.0.1/", "https://user:word@hooks.example.com/", "https://127.0.0.1#@good.example/", "https://good.example\\@127.0.0.1/",
    "https://good.example/#a", "https://good.exa\tmple/", "https://good.example\n/", "https://good.example/a b", "https://good.example/\x00",
    "https://good.example/ä", "https://①②⑦.⓪.⓪.①/", "https://gööd.example/", "https://-a.example/", "https://a_b.example/",
    "https://127.1/", "https://0/", "https://0x7f000001/", "https://0x7f.1/", "https://0177.0.0.1/", "https://2130706433/", "https://127.0.0.01/",
    "https://[::1%25eth0]/", "https://[::1%eth0]/", "https://[0:0:0:0:0:0:0:1]/", "https://[::FFFF:7f00:1]/", "https://[::1/", "https://::1/",
    "https://good.example:0/", "https://good.example:65536/", "https://good.example:/", "https://good.example:0443/", "https://good.example?a=b",
    "https:///a", "https://" + "a" * 64 + ".example/", "https://good.example/" + "a" * LONGEST_URL,
]  # fmt: skip
PRIVATE = [
    "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.0.0.1", "100.64.0.1", "169.254.169.254", "172.16.0.1", "192.0.0.8", "192.88.99.1", "192.168.1.1",  # noqa: S104  to refuse, not to listen on
    "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8",
    "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "100::1", "2001::7f00:1", "2001:db8::1", "2002:7f00:1::", "5f00::1", "fc00::1", "fd00:ec2::254",
    "fe80::1", "fec0::1", "ff02::1",
]  # fmt: skip
PUBLIC = ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"]

ALLOWED = [ip_network("10.1.0.0/16"), ip_network("fd00::/8")]


def test_an_ordinary_url_is_read() -> None:
    assert read_url(NAME) == Target("https", "hooks.example.com", 443, "/a")
    assert read_url("https://xn--gd-wka.example:8443") == Target("https", "xn--gd-wka.example", 8443, "/")
    assert read_url("http://10.1.2.3/a?b=c&d=[e]|^") == Target("http", "10.1.2.3", 80, "/a?b=c&d=[e]|^")
    assert read_url("http://[fd00::1]:81/").origin == "[fd00::1]:81"
    assert [read_url(each).origin for each in (NAME, "http://a.example:80/")] == [
        "hooks.example.com",
        "a.example",
    ]


def test_whatever_two_programs_could_read_differently_is_refused() -> None:
    for url in UNREADABLE:
        with pytest.raises(Refused):
            pytest.fail(f"{url!r} is read as {read_url(url)}")


def test_no_address_that_is_not_public_is_reached() -> None:
    target = read_url(NAME)
    for address in PRIVATE:
        for found in ([address], [*PUBLIC, address]):
            with pytest.raises(Refused, match="public"):
                check_addresses(target, found, [])
    check_addresses(target, PUBLIC, [])
    with pytest.raises(Refused, match="no address"):
        check_addresses(target, [], ALLOWED)


def test_addresses_other_ports_and_plain_http_are_refused_anywhere() -> None:
    for url in (
        "http://a.example/", "https://a.example:22/", "https://a.example:25/", "https://a.example:80/", "https://a.example:6379/",
        "https://93.184.216.34/", "https://[2606:2800:220:1:248:1893:25c8:1946]/",
    ):  # fmt: skip
        with pytest.raises(Refused):
            check_addresses(read_url(url), PUBLIC, ALLOWED)


def test_all_of_that_may_go_to_networks_that_are_allowed_and_to_no_others() -> None:
    for url in ("http://10.1.2.3:6379/", "https://inside.example:22/", "http://inside.example/"):
        check_addresses(read_url(url), ["10.1.2.3", "fd00::1"], ALLOWED)
        for other in ("10.2.0.1", "::1", "::ffff:10.1.2.3"):
            with pytest.raises(Refused):
                check_addresses(read_url(url), ["10.1.2.3", other], ALLOWED)
