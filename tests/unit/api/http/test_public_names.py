"""No name that a client may rely on vanishes from `/v1`, and no more is asked of clients than when they were written."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.unit.api.http.public_names import PROMISED, Json, compare, names_of


def test_every_promised_name_is_there(document: dict[str, Any]) -> None:
    gone = compare(PROMISED.read_text().splitlines(), document).gone
    assert not gone, "a client of /v1 may rely on these: take another prefix, or add beside them"


def test_nothing_more_is_asked_of_clients(document: dict[str, Any]) -> None:
    asked = compare(PROMISED.read_text().splitlines(), document).asked
    assert not asked, "clients do not send these, as they were written before: give them a default"


def test_what_is_new_is_promised_too(document: dict[str, Any]) -> None:
    new = compare(PROMISED.read_text().splitlines(), document).new
    assert not new, "once they are as they shall stay, `make public-names` promises these"


def small() -> Json:
    """A document with one route, what it takes and what it answers."""
    job = {
        "properties": {
            "state": {"enum": ["queued"]},
            "cache": {"anyOf": [{"const": "use"}, {"type": "null"}]},
            "events": {"items": {"enum": ["job.failed"]}},
        },
        "required": ["state"],
    }
    operation = {
        "operationId": "submit_job",
        "parameters": [{"in": "query", "name": "wait"}],
        "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Submit"}}}},
        "responses": {"200": {"headers": {"ETag": {}}, "content": {"application/json": {}}}, "404": {}},
    }
    submit = {"properties": {"options": {"$ref": "#/components/schemas/Options"}}}
    schemas = {"Job": job, "Submit": submit, "Options": {"properties": {"lane": {}}}}
    return {"paths": {"/v1/jobs": {"post": operation}}, "components": {"schemas": schemas}}


def test_these_are_names() -> None:
    assert [each for each in names_of(small()) if not each.startswith("problem ")] == [
        "Job has always state",
        "Job has cache = use",
        "Job has events = job.failed",
        "Job has maybe cache",
        "Job has maybe events",
        "Job has state = queued",
        "Options has maybe lane",
        "POST /v1/jobs answers 200",
        "POST /v1/jobs answers 200 as application/json",
        "POST /v1/jobs answers 200 with ETag",
        "POST /v1/jobs answers 404",
        "POST /v1/jobs is submit_job",
        "POST /v1/jobs query wait",
        "POST /v1/jobs takes application/json",
        "Submit has maybe options",
    ]
    assert "problem invalid" in names_of(small())


@pytest.mark.parametrize(
    ("place", "gone"),
    [
        (("components", "schemas", "Job", "properties", "state"), "Job has always state"),
        (("components", "schemas", "Job", "required"), "Job has always state"),
        (("components", "schemas", "Job", "properties", "events", "items"), "Job has events = job.failed"),
        (("paths", "/v1/jobs", "post", "responses", "200", "headers"), "POST /v1/jobs answers 200 with ETag"),
        (("paths", "/v1/jobs"), "POST /v1/jobs answers 404"),
    ],
)
def test_a_name_that_vanishes_is_found(place: tuple[str, ...], gone: str) -> None:
    changed = small()
    inner = changed
    for step in place[:-1]:
        inner = inner[step]
    del inner[place[-1]]
    assert gone in compare(names_of(small()), changed).gone


@pytest.mark.parametrize("schema", ["Submit", "Options"])
def test_a_field_that_clients_do_not_know_is_not_asked_for(schema: str) -> None:
    changed = small()
    changed["components"]["schemas"][schema] |= {"required": ["shade"]}
    changed["components"]["schemas"][schema]["properties"]["shade"] = {}
    found = compare(names_of(small()), changed)
    assert (found.gone, found.asked, found.new) == ([], [f"{schema} has always shade"], [])


def test_a_parameter_that_clients_do_not_know_is_not_asked_for() -> None:
    changed = small()
    changed["paths"]["/v1/jobs"]["post"]["parameters"].append(
        {"in": "query", "name": "shade", "required": True}
    )
    assert compare(names_of(small()), changed).asked == ["POST /v1/jobs needs query shade"]


def test_additions_are_new_and_nothing_else() -> None:
    changed = deepcopy(small())
    changed["components"]["schemas"]["Job"]["required"].append("shade")
    changed["components"]["schemas"]["Job"]["properties"]["shade"] = {}
    changed["components"]["schemas"]["Options"]["properties"]["shade"] = {}
    changed["components"]["schemas"]["Other"] = {"properties": {"name": {}}, "required": ["name"]}
    found = compare(names_of(small()), changed)
    assert (found.gone, found.asked) == ([], [])
    assert found.new == ["Job has always shade", "Options has maybe shade", "Other has always name"]
