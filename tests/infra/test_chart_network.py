"""Who may speak to whom, by the chart's network policies."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from itertools import chain
from pathlib import Path

import pytest

from infra.checks.manifests import Manifest, Refused
from sluice.core import webhook_url
from tests.infra.rendered import SETS, chart, chart_with, component, of_kind, one, selects, templates

with_policies = pytest.mark.parametrize("name", [name for name in SETS if name != "httproute"])


def policies_of(name: str, of: str) -> list[Manifest]:
    """The specs of the policies that select the pods of a component."""
    labels = next(each for each in templates(chart(name)) if component(each) == of)["metadata"]["labels"]
    specs = [each["spec"] for each in of_kind(chart(name), "NetworkPolicy")]
    return [spec for spec in specs if selects(spec["podSelector"], labels)]


def allowed(name: str, of: str, direction: str) -> set[tuple[str, int]]:
    """Peers and ports that a component may reach (`egress`), or be reached from (`ingress`)."""
    rules = chain.from_iterable(spec.get(direction, []) for spec in policies_of(name, of))
    side = {"egress": "to", "ingress": "from"}[direction]
    return {(describe(peer), port["port"]) for rule in rules for peer in rule[side] for port in rule["ports"]}


def describe(peer: Manifest) -> str:
    """A peer in a few words."""
    ((kind, selector),) = peer.items()
    if kind == "ipBlock":
        return str(selector["cidr"])
    labels = selector["matchLabels"]
    return str(labels.get("app.kubernetes.io/component") or next(iter(labels.values())))


@with_policies
def test_what_is_not_allowed_is_denied_both_ways_for_every_pod(name: str) -> None:
    for of in {component(each) for each in templates(chart(name))}:
        assert any(sorted(spec["policyTypes"]) == ["Egress", "Ingress"] for spec in policies_of(name, of))


@with_policies
def test_no_rule_is_for_everybody_or_for_every_port(name: str) -> None:
    for each in of_kind(chart(name), "NetworkPolicy"):
        rules = [*each["spec"].get("egress", []), *each["spec"].get("ingress", [])]
        assert all(rule["ports"] and (rule.get("to") or rule.get("from")) for rule in rules)


def test_processes_reach_their_servers_and_names() -> None:
    dns = {("kube-system", 53)}
    servers = {("postgres", 5432), ("redis", 6379), ("rabbitmq", 5672)}
    assert allowed("minimal", "api", "egress") == servers | dns
    assert allowed("minimal", "consumer", "egress") == servers | dns
    assert allowed("minimal", "migrate", "egress") == {("postgres", 5432)} | dns


def test_only_handlers_reach_what_else_was_allowed() -> None:
    assert ("0.0.0.0/0", 443) in allowed("full", "consumer", "egress")
    assert ("0.0.0.0/0", 443) not in allowed("full", "api", "egress")
    assert {("10.1.2.0/24", 6379), ("10.1.2.0/24", 26379)} <= allowed("full", "consumer", "egress")


def test_the_smoke_test_reaches_the_api_and_nothing_else() -> None:
    assert allowed("full", "smoke-test", "egress") == {("api", 8000), ("kube-system", 53)}
    assert allowed("full", "smoke-test", "ingress") == set()


def test_clients_reach_the_public_port_and_monitoring_the_private_ones() -> None:
    smoke = {("smoke-test", 8000)}
    assert allowed("full", "api", "ingress") == {("ingress-nginx", 8000), ("monitoring", 8001)} | smoke
    assert allowed("full", "consumer", "ingress") == {("monitoring", 8002)}
    assert allowed("minimal", "api", "ingress") == smoke
    assert allowed("minimal", "consumer", "ingress") == set()


def test_keda_reaches_the_private_port_of_the_api_alone() -> None:
    assert ("keda", 8001) in allowed("keda", "api", "ingress")
    assert allowed("keda", "consumer", "ingress") == set()


def test_without_rabbitmq_nothing_reaches_for_it() -> None:
    assert {peer for peer, _ in allowed("hpa", "consumer", "egress")} == {"postgres", "redis", "kube-system"}


def test_without_anybody_who_answers_names_nobody_is_asked(tmp_path: Path) -> None:
    for each in of_kind(chart_with(tmp_path, {"networkPolicy": {"dns": []}}), "NetworkPolicy"):
        rules = each["spec"].get("egress", [])
        assert all(rule["to"] for rule in rules)
        assert {53} & {port["port"] for rule in rules for port in rule["ports"]} == set()


def test_policies_can_be_left_out() -> None:
    assert of_kind(chart("httproute"), "NetworkPolicy") == []


def lets_out(name: str, of: str, address: str, port: int) -> bool:
    """Whether a component may connect to an address outside the cluster."""
    rules = chain.from_iterable(spec.get("egress", []) for spec in policies_of(name, of))
    blocks = [
        peer["ipBlock"]
        for rule in rules
        if port in {each["port"] for each in rule["ports"]}
        for peer in rule["to"]
        if "ipBlock" in peer
    ]
    return any(
        ip_address(address) in ip_network(block["cidr"])
        and not any(ip_address(address) in ip_network(each) for each in block.get("except", []))
        for block in blocks
    )


def edges() -> Iterator[str]:
    """The ends of every block of the policy and of every network that webhooks never reach, and their neighbours outside."""
    (rule,) = [
        rule
        for spec in policies_of("keda", "consumer")
        for rule in spec.get("egress", [])
        if {"port": 8443} in rule["ports"]
    ]
    blocks = [peer["ipBlock"] for peer in rule["to"]]
    said = [each for block in blocks for each in [block["cidr"], *block["except"]]]
    for network in [*map(ip_network, said), *webhook_url._FORBIDDEN]:
        for address in (network[0], network[-1]):
            around = range(max(0, int(address) - 1), min(int(address) + 2, 1 << address.max_prefixlen))
            yield from (str(type(address)(each)) for each in around)


def is_taken(address: str) -> bool:
    """Whether a webhook would be sent to a name with this address."""
    try:
        webhook_url.check_addresses(webhook_url.read_url("https://example.com/"), [address], [])
    except webhook_url.Refused:
        return False
    return True


def test_webhooks_leave_for_public_addresses_once_they_are_wanted() -> None:
    for address in (
        "1.1.1.1",
        "9.255.255.255",
        "93.184.215.14",
        "172.15.0.1",
        "172.32.0.1",
        "2606:4700::1111",
    ):
        assert is_taken(address)
        for port in webhook_url.PORTS:
            assert lets_out("keda", "consumer", address, port)
            assert not lets_out("minimal", "consumer", address, port)
            assert not lets_out("keda", "api", address, port)
            assert not lets_out("keda", "migrate", address, port)
        assert not lets_out("keda", "consumer", address, 80)


def test_no_consumer_leaves_for_an_address_to_which_no_webhook_would_be_sent() -> None:
    private = [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.100.100.200",
        "fd00:ec2::254",
        "::1",
    ]
    among = [*private, *edges()]
    refused = [address for address in among if not is_taken(address)]
    assert set(private) <= set(refused)
    assert len(refused) > 100
    assert [each for each in refused if lets_out("keda", "consumer", each, 443)] == []


def test_webhooks_can_ask_for_names_or_are_refused(tmp_path: Path) -> None:
    assert ("kube-system", 53) in allowed("keda", "consumer", "egress")
    with pytest.raises(Refused, match=r"networkPolicy\.dns is empty, so nobody would answer"):
        chart_with(tmp_path, {"networkPolicy": {"webhooks": True, "dns": []}})


def test_webhooks_take_no_rule_away(tmp_path: Path) -> None:
    own = {"to": [{"ipBlock": {"cidr": "10.9.0.0/16"}}], "ports": [{"port": 8080}]}
    objects = chart_with(tmp_path, {"networkPolicy": {"webhooks": True, "consumerEgress": [own]}})
    rules = one(objects, "NetworkPolicy", "sluice-consumer")["spec"]["egress"]
    assert len(rules) == 2
    assert own in rules


def test_spans_leave_api_and_consumers_and_nothing_else_does(tmp_path: Path) -> None:
    collector = {"to": [{"podSelector": {"matchLabels": {"app": "otel"}}}], "ports": [{"port": 4318}]}
    values = {"networkPolicy": {"egress": [collector]}, "config": {"SLUICE_OTLP_URL": "http://otel:4318"}}
    objects = chart_with(tmp_path, values)
    for template in templates(objects):
        labels = template["metadata"]["labels"]
        specs = [each["spec"] for each in of_kind(objects, "NetworkPolicy")]
        rules = [
            rule for spec in specs if selects(spec["podSelector"], labels) for rule in spec.get("egress", [])
        ]
        assert (collector in rules) is (component(template) in ("api", "consumer"))
