"""What `sluice types` writes: mypy takes right uses and no wrong ones, and nothing that a server says becomes code."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ConfigDict, TypeAdapter, with_config

from sluice.cli.types_module import without_source, write_module
from sluice.client.documents import Kind, read_kind
from sluice.kind_schemas import input_schema, output_schema
from sluice.kinds.demo_sum import add_up
from tests.support.stack import ROOT
from tests.support.typed_kinds import KINDS, ROWS

NESTED = {
    "type": "object",
    "required": ["tree"],
    "properties": {
        "class": {"type": "string", "description": 'No """ ends it.\n\\'},
        "a-b": {"$ref": "#/$defs/Point"},
        "__private": {"type": "integer"},
        "str": {"type": "string"},
        "tree": {"$ref": "#/$defs/Tree"},
        "endless": {"$ref": "#/$defs/Endless"},
        "mark": {"enum": ["a'b", "\\", "é", None]},
        "either": {"type": ["integer", "null"]},
        "never": False,
        "anything": {},
        "inline": {"properties": {"x": {"type": "integer"}}},
    },
    "$defs": {
        "Point": {"type": "object", "properties": {"x": {"type": "number"}}},
        "Tree": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/Tree"}}, {"type": "integer"}]},
        "Endless": {"anyOf": [{"$ref": "#/$defs/Endless"}, {"type": "null"}]},
    },
}
POINT = {
    "properties": {"point": {"$ref": "#/$defs/Point"}, "x": {"type": "number"}},
    "$defs": {"Point": {"properties": {"y": {"type": "string"}}}},
}


def kind_of(name: str, input: Any = None, output: Any = None, description: str = "") -> Kind:
    """A kind as the API shows it."""
    return read_kind({"kind": name, "lane": "default", "version": 1, "description": description,
                      "input": input or {}, "output": output or {}})  # fmt: skip


def shown(kind: Any) -> Kind:
    """One of our own as the API shows it."""
    return kind_of(kind.kind, input_schema(kind.input_model), output_schema(kind.output_model))


OURS = [shown(each) for each in (add_up, *KINDS.values())]
ODD = [
    kind_of("odd.nested", NESTED, NESTED),
    kind_of("odd.a-b", POINT, POINT),
    kind_of("odd.a_b", POINT, POINT),
]

RIGHT = """
import asyncio
from datetime import UTC, datetime
from typing import assert_type
from uuid import UUID

import sluice.client
from pydantic import BaseModel
from sluice.client.testing import AsyncFakeSluice, FakeSluice
import kinds
from kinds import AsyncSluice, DemoSumOutput, OddABOutput2, OddABOutput, OddNestedInput, Sluice, typed

class Total(BaseModel):
    total: int

def plain(client: sluice.client.Sluice) -> None: ...

with Sluice("http://x", "slc_key") as client:
    assert_type(client, Sluice)
    plain(client)
    total = client.run("demo.sum", {"values": [1]}, timeout=5, tags=["nightly"], key="order-7")
    assert_type(total, DemoSumOutput)
    assert_type(total["total"], int)
    assert_type(client.run("demo.sum", {"values": [1]}, as_=Total), Total)
    job = client.submit("demo.sum", input={"values": [1]}, delay_s=2)
    assert_type(job, sluice.client.Job[DemoSumOutput])
    assert_type(job.result(timeout=3), DemoSumOutput)
    assert_type(job.result(as_=Total), Total)
    assert_type(job.retry().wait().result(), DemoSumOutput)
    for each in client.map("demo.sum", ({"values": [n]} for n in range(9)), batch=3):
        assert_type(each, DemoSumOutput)
    for either in client.map("demo.sum", [{"values": [1]}], return_exceptions=True):
        assert_type(either, DemoSumOutput | sluice.client.ClientError)
    for made in client.map("demo.sum", [{"values": [1]}], as_=Total):
        assert_type(made, Total)
    for done in client.as_completed([job]):
        assert_type(done.result(), DemoSumOutput)
    ended, open_ = client.wait([job])
    assert_type(ended[0].result(), DemoSumOutput)
    anything = client.job("x").result()
    anything.whatever()
    client.submit("typed.allowing", {"known": 1, "unknown": 2})
    odd: OddNestedInput = {"class": "a", "a-b": {"x": 1}, "__private": 2, "tree": [[1], 2], "mark": None, "inline": {"x": 1}}
    out = client.run("odd.nested", odd)
    assert_type(out["tree"], list["kinds.OddNestedOutputTree"] | int)
    assert_type(client.run("odd.a-b"), OddABOutput)
    assert_type(client.run("odd.a_b", {"point": {"y": "a"}}), OddABOutput2)

async def awaits() -> None:
    async with AsyncSluice("http://x", "slc_key") as client:
        assert_type(await client.run("demo.sum", {"values": [1]}), DemoSumOutput)
        assert_type(await client.run("demo.sum", {"values": [1]}, as_=Total), Total)
        job = await client.submit("demo.sum", {"values": [1]})
        assert_type(await job.result(), DemoSumOutput)
        async for each in client.map("demo.sum", [{"values": [1]}]):
            assert_type(each, DemoSumOutput)
        ended, open_ = await client.wait([job])
        assert_type(await ended[0].result(), DemoSumOutput)

assert_type(typed(FakeSluice()), Sluice)
assert_type(typed(AsyncFakeSluice()), AsyncSluice)
"""
WRONG = [
    'client.run("demo.sum", {"values": ["1"]})',
    'client.run("demo.sum", {"value": [1]})',
    'client.run("demo.sum", {"values": [1], "more": 1})',
    'client.run("demo.sum", {})',
    'client.run("demo.sum")',
    'client.run("demo.sums", {"values": [1]})',
    'client.run("demo.sum", {"values": [1]}, tagz=["a"])',
    'client.submit("demo.sum", [1])',
    'client.submit("demo.sum", {"values": [1]}, priority="urgent")',
    'client.submit("demo.sum", {"values": [1]}).result()["totl"]',
    'client.submit("demo.sum", {"values": [1]}).result()["total"].upper()',
    'client.map("demo.sum", [{"values": "1"}])',
    'client.map("demo.sum", {"values": [1]})',
    'client.submit("typed.pets", {"one": {"kind": "cat", "tricks": []}, "other": {"kind": "cat", "lives": 1}, "either": 1, "first": 1})',
    'client.submit("typed.aliases", {"Both": 1, "apart": 1, "choiceIn": 1, "inner": {}})',
    'client.run("odd.a_b", {"point": {"y": 1}})',
    'client.run("odd.nested", {"tree": ["a"]})',
]


IGNORED = {"typed.ignoring": "  # wrong"}
"""Rows with a field that the server takes and leaves alone: a mistake, more often than not."""


def write_uses(directory: Path) -> Path:
    """Write a program that uses the kinds, rightly and wrongly; wrong lines end with a mark."""
    (directory / "kinds.py").write_text(write_module([*OURS, *ODD], "http://127.0.0.1:8000"))
    rows = [f"client.submit({row.name!r}, {row.given!r}){IGNORED.get(row.name, '')}" for row in ROWS]
    wrong = [f"{line}  # wrong" for line in WRONG]
    awaited = [f"    await aclient.{line.removeprefix('client.')}  # wrong" for line in WRONG[:9]]
    asynchronous = ["async def wrong(aclient: AsyncSluice) -> None:", *awaited]
    program = directory / "uses.py"
    program.write_text("\n".join([RIGHT, *rows, *wrong, *asynchronous, ""]))
    return program


@pytest.mark.timeout(400)  # mypy reads all that the client needs, the first time
def test_mypy_takes_right_uses_and_no_wrong_ones(tmp_path: Path) -> None:
    program = write_uses(tmp_path)
    options = (
        "--strict",
        "--no-error-summary",
        "--config-file=",
        f"--cache-dir={ROOT / '.mypy_cache/types'}",
    )
    mypy = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "kinds.py", "uses.py"],
        cwd=tmp_path, env={"MYPYPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = set(re.findall(r"^(\w+\.py:\d+): error", mypy.stdout, re.MULTILINE))
    lines = program.read_text().splitlines()
    wanted = {f"uses.py:{number}" for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    errors = [line for line in mypy.stdout.splitlines() if ": error: " in line]
    assert found == wanted, "\n".join([*errors, mypy.stderr])


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The module, imported."""
    return load(write_module([*OURS, *ODD], "http://x"), tmp_path_factory.mktemp("module") / "made_kinds.py")


def load(text: str, path: Path) -> ModuleType:
    path.write_text(text, "utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = made  # where pydantic looks for names
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_inputs_and_answers_of_all_types_are_what_their_types_say(row: Any, module: ModuleType) -> None:
    name = row.name.title().replace(".", "")
    for suffix, value in (("Input", row.given), ("Output", row.answered)):
        type_ = getattr(module, name + suffix)
        assert TypeAdapter(type_).validate_json(json.dumps(value), strict=True) is not None


def test_fields_that_are_no_identifiers_are_fields_all_the_same(module: ModuleType) -> None:
    assert set(get_type_hints(module.OddNestedInput)) == set(NESTED["properties"])
    assert module.OddNestedInput.__required_keys__ == {"tree"}
    adapter = TypeAdapter(with_config(ConfigDict(extra="forbid"))(module.OddNestedOutputPoint))
    assert adapter.validate_python({"x": 1.5}) == {"x": 1.5}


@pytest.mark.parametrize("field", ["class", "a-b", "__private", "ﬁ", "", "1", "None", "a\nb", "str", "date"])
def test_a_field_may_have_any_name(field: str, tmp_path: Path) -> None:
    taken = {"properties": {field: {"type": "string"}, "other": {"type": "string", "format": "date"}}}
    made = load(write_module([kind_of("odd", taken)], "http://x"), tmp_path / "one_kind.py")
    assert set(get_type_hints(made.OddInput)) == {field, "other"}


def test_the_same_kinds_make_the_same_text_whatever_their_order_and_wherever_they_are() -> None:
    one = write_module([*OURS, *ODD], "http://one")
    assert one == write_module([*reversed(ODD), *reversed(OURS)], "http://one")
    other = write_module([*OURS, *ODD], "https://other/\n'''")
    assert one != other
    assert without_source(one) == without_source(other)
    assert "sluice types >kinds.py" in one


def test_without_kinds_it_is_a_module_all_the_same(tmp_path: Path) -> None:
    assert load(write_module([], "http://x"), tmp_path / "no_kinds.py").Sluice


HOSTILE = [
    '"""\nimport os; os.abort()\n"""', "'''", "\\", "\\'", "#", "\n", "\r", "\0", "\u2028", "\x0c", "\ud800", "\u202e", "{}", "{0}", "%s",
    "'+__import__('os').abort()+'", "]; import os; os.abort()", "os.abort()", "class", "None", "__x", "self", "T", "Any", "é", "ﬁ", "x: int", "",
]  # fmt: skip
TEXTS = st.sampled_from(HOSTILE) | st.text(max_size=8)
LEAVES: st.SearchStrategy[Any] = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
KEYS = ("type", "format", "title", "description", "default", "const", "enum", "items", "prefixItems", "anyOf", "oneOf", "allOf",
        "properties", "additionalProperties", "required", "$ref", "$defs", "customTypePath", "x-python-type")  # fmt: skip
TYPES = st.sampled_from(["object", "array", "string", "integer", "null", ["string", "null"], [], 7])
REFS = st.sampled_from(["#", "#/$defs/", "#/$defs/A", "#/$defs/B", "http://x", "#/$defs/a~1b%25"])


def schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Anything that looks like a schema, and need not be one."""
    named = st.dictionaries(TEXTS | st.sampled_from(["A", "B", "a/b%"]), inner, max_size=3)
    word = st.sampled_from(["properties", "$defs"])
    return st.one_of(
        st.dictionaries(st.sampled_from(KEYS), inner | TYPES | REFS, max_size=4),
        st.builds(
            lambda words, more: more | words,
            st.dictionaries(word, named, max_size=2),
            st.fixed_dictionaries({"type": TYPES}),
        ),
        st.lists(inner, max_size=3),
    )


SCHEMA = st.recursive(LEAVES, schemas, max_leaves=12).map(
    lambda each: each if isinstance(each, dict) else {"items": each}
)


@given(st.lists(st.tuples(TEXTS, SCHEMA, SCHEMA, TEXTS), max_size=3))
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_nothing_that_a_server_says_becomes_code(said: list[tuple[str, Any, Any, str]]) -> None:
    kinds = [kind_of(name, input, output, description) for name, input, output, description in said]
    text = write_module(kinds, "http://x")
    tree = ast.parse(text.encode("utf-8"))
    defined = {
        each.name
        for each in ast.walk(tree)
        if isinstance(each, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
    }
    defined |= {
        name.id for name in ast.walk(tree) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    }
    assert all(re.fullmatch(r"\w+", name, re.ASCII) for name in defined)
    for node in [*ast.walk(tree), *types_in_strings(tree)]:
        if isinstance(node, ast.Call):
            assert isinstance(node.func, ast.Name)
            assert node.func.id in ("TypedDict", "TypeVar")
        if isinstance(node, ast.Attribute):
            assert ast.unparse(node).startswith("sluice.client")
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store):
            assert node.id in defined | KNOWN, node.id
        assert not isinstance(node, (ast.Import, ast.ImportFrom)) or ast.unparse(node) in HEAD
    exec(compile(tree, "kinds", "exec"), {"__name__": "kinds"})  # noqa: S102  that it can be imported is what is asked


HEAD = write_module([], "http://x")
KNOWN = {*re.findall(r"\w+", HEAD), "str", "int", "float", "bool", "list", "dict", "tuple", "property"}


def types_in_strings(tree: ast.Module) -> Iterator[ast.AST]:
    """The types that stand in strings: aliases, and fields of classes that are calls."""
    for node in ast.walk(tree):
        alias = (
            node.value
            if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias"
            else None
        )
        fields = (
            node.args[1].values
            if isinstance(node, ast.Call) and len(node.args) == 2 and isinstance(node.args[1], ast.Dict)
            else []
        )
        for each in [alias, *fields]:
            found = (
                each.slice
                if isinstance(each, ast.Subscript) and ast.unparse(each.value) == "NotRequired"
                else each
            )
            if isinstance(found, ast.Constant) and isinstance(found.value, str):
                yield from ast.walk(ast.parse(found.value, mode="eval"))
