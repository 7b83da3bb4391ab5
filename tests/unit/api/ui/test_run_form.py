"""Forms made from schemas."""

from __future__ import annotations

from typing import Any

import pytest

from api.ui.exact_json import MOST, indent_json
from api.ui.rendering import unwrap
from api.ui.run_form import fill, make_form, other_flaws, read_form
from sluice.core.errors import Flaw, Invalid

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["name", "size"],
    "properties": {
        "name": {"type": "string", "title": "Name", "description": "What it is called"},
        "size": {"type": "integer", "minimum": 1, "examples": [3]},
        "fast": {"type": "boolean", "default": False},
        "shape": {"enum": ["round", 4, None]},
        "parts": {"type": "array"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "a/b": {"type": "number"},
    },
}


def test_each_field_gets_a_control() -> None:
    fields = make_form(SCHEMA)
    assert fields
    assert [field.shape for field in fields] == [
        "text",
        "number",
        "choice",
        "choice",
        "json",
        "json",
        "number",
    ]
    assert [field.value for field in fields] == ["", "3", "false", "", "", "", ""]


def test_what_is_typed_is_what_is_sent_digit_by_digit() -> None:
    fields = make_form(SCHEMA) or []
    typed = {
        "f.name": 'a "b"',
        "f.size": "9007199254740991",
        "f.shape": '"round"',
        "f.a/b": "1.10",
        "f.note": "null",
    }
    assert (
        read_form(fields, typed)
        == b'{"name":"a \\"b\\"","size":9007199254740991,"shape":"round","note":null,"a/b":1.10}'
    )
    assert read_form(fields, {}) == b'{"name":""}'


@pytest.mark.parametrize("typed", ["1,2", "1}", '1,"x":2', "[", "NaN", "9007199254740993"])
def test_no_field_can_write_another(typed: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_form(make_form(SCHEMA) or [], {"f.size": typed})
    assert [flaw.pointer for flaw in refused.value.flaws] == ["/size"]


def test_flaws_stand_at_their_fields() -> None:
    fields = make_form(SCHEMA) or []
    flaws = [
        Flaw("/size", "c", "too small"),
        Flaw("/parts/0/x", "c", "wrong"),
        Flaw("/a~1b", "c", "odd"),
        Flaw("", "c", "all"),
    ]
    shown = {field.name: field.flaw for field in fill(fields, {}, flaws) if field.flaw}
    assert shown == {"size": "too small", "parts": "/0/x: wrong", "a/b": "odd"}
    assert other_flaws(fields, flaws) == [flaws[3]]


@pytest.mark.parametrize(
    ("schema", "given"),
    [
        ({"type": "array"}, None),
        ({"type": "object"}, None),
        ({"type": "object", "properties": {str(each): {} for each in range(41)}}, None),
        (SCHEMA, {"other": 1}),
        (SCHEMA, [1]),
    ],
)
def test_what_is_no_plain_object_is_a_text(schema: dict[str, Any], given: Any) -> None:
    assert make_form(schema, given) is None


def test_an_input_fills_the_form() -> None:
    fields = make_form(SCHEMA, {"name": "x", "parts": [1], "fast": None}) or []
    assert [field.value for field in fields] == ["x", "", "", "", "[1]", "", ""]


def test_json_is_indented_as_it_is() -> None:
    assert indent_json(b'{"a":[1,{}],"b":"\\"{,"}') == (
        '{\n  "a": [\n    1,\n    {}\n  ],\n  "b": "\\"{,"\n}',
        False,
    )
    assert indent_json(b'"' + b"x" * MOST + b'"')[1]
    assert len(indent_json(b"[" * 5_000)[0]) < 500_000


def test_a_text_that_may_be_a_file_gets_lines_and_keeps_them() -> None:
    texts = {"csv": {"type": "string", "maxLength": 8_388_608}, "name": {"type": "string", "maxLength": 200}}
    fields = make_form({"type": "object", "required": ["csv"], "properties": texts})
    assert fields
    assert [field.is_long for field in fields] == [True, False]
    assert read_form(fields, {"f.csv": "a,b\r\n1,2\r\n"}) == b'{"csv":"a,b\\n1,2\\n"}'


def test_what_is_broken_for_the_source_is_joined() -> None:
    text = "Sum up.\n\nRows may come in any\norder:\n- one\n- two\n    indented"
    assert unwrap(text) == "Sum up.\n\nRows may come in any order:\n- one\n- two\n    indented"
