"""Who may speak to whom, by the chart's network policies."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest

from infra.checks.manifests import Manifest
from tests.infra.rendered import SETS, chart, chart_with, component, of_kind, selects, templates

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
