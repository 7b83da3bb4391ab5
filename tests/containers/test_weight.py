"""Work in a consumer's container leaves those alone who look something up: how much that is, `make bench` measures."""

from __future__ import annotations

import re

from tests.containers.composed import Composed

LEAST_TIMES = 5
"""As much as a consumer, each other container gets of a processor that both want."""


def test_a_consumer_says_that_control_groups_decide(composed: Composed) -> None:
    look = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8002/check').read().decode())"
    said = composed.inside("consumer", "python", "-c", look)
    assert "control groups decide: this one has cpu." in said
    assert "evenly" not in said
    weight = re.search(r"this one has cpu\.\w+ (\d+) \(usual: (\d+)\)", said)
    assert weight is not None, said
    own, usual = map(int, weight.groups())
    assert own * LEAST_TIMES <= usual
