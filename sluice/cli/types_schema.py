"""Types of Python for what a JSON Schema takes or shows, as text of a module.

A schema comes from a server, which may be a stranger's. Of its texts nothing becomes code but names that are made of letters and
digits; all else is in string literals.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, count
from keyword import iskeyword
from typing import Any
from urllib.parse import unquote

Schema = Mapping[str, Any]

_OTHERWISE = {"$ref", "enum", "const", "anyOf", "oneOf", "allOf"}
PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_BUILTINS = {*PLAIN.values(), "list", "dict", "tuple"}
WRITTEN = {"date-time": "datetime", "date": "date", "uuid": "UUID"}
"""Formats of texts, and the type that the client writes so."""
_QUOTABLE = re.compile(r"[ !#-&(-\[\]-~]*")
"""Texts that stand in a string within a string without an escape, which type checkers do not read there."""
MOST_NESTED = 40
MOST_TOLD = 500


class Names:
    """Names of classes, no two the same."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def __contains__(self, name: str) -> bool:
        return name in self._taken

    def make(self, *texts: str) -> str:
        """Make a name of the letters and digits of these texts."""
        words = re.findall("[A-Za-z0-9]+", " ".join(texts))
        plain = "".join(each[0].upper() + each[1:] for each in words)
        plain = plain if plain[:1].isalpha() else f"Kind{plain}"
        name = next(each for each in _numbered(plain) if each not in self._taken)
        self._taken.add(name)
        return name


def _numbered(name: str) -> Iterator[str]:
    return chain([name], (f"{name}{number}" for number in count(2)))


class SchemaTypes:
    """Writes the types of one schema, each once, as blocks of a module. Inputs may have what the client knows how to write."""

    def __init__(self, root: Schema, names: Names, name: str, told: str, *, is_input: bool) -> None:
        self.blocks: list[str] = []
        self._names, self._is_input = names, is_input
        self._defs: dict[str, Any] = _dict(root.get("$defs"))
        self._known: dict[str, str] = {"#": name}
        while isinstance(found := self._target(root), dict) and root["$ref"] not in self._known:
            self._known[root["$ref"]] = name
            root = found
        self.type = " | ".join(self._open(name, root))
        self.may_be_left_out = _is_object(root) and not root.get("required")
        self._todo = deque([(name, root, told)])
        while self._todo:
            self.blocks.append(self._define(*self._todo.popleft()))

    def _define(self, name: str, schema: Any, told: str = "") -> str:
        told = told or _text(schema, "description")
        if _is_object(schema):
            return self._typed_dict(name, schema, told)
        literals = _literals(schema)
        type_ = f"Literal[{', '.join(literals)}]" if literals else repr(self._shown(schema, name))
        return f"{name}: TypeAlias = {type_}\n{_doc(told)}"

    def _typed_dict(self, name: str, schema: Schema, told: str) -> str:
        required = _list(schema.get("required"))
        fields = {
            field: (self._shown(each, f"{name} {field}"), field in required, _text(each, "description"))
            for field, each in schema["properties"].items()
        }
        if all(map(self._is_plain, fields)):
            lines = [
                f"    {field}: {_needed(type_, needed)}\n{_doc(text, '    ')}"
                for field, (type_, needed, text) in fields.items()
            ]
            begin = _doc(told, "    ") or ("" if lines else "    pass\n")
            return f"class {name}(TypedDict):\n{begin}{''.join(lines)}"
        inner = [
            f"    {field!r}: {_needed(repr(type_), needed)},\n"
            for field, (type_, needed, _) in fields.items()
        ]
        return f"{name} = TypedDict({name!r}, {{\n{''.join(inner)}}})\n{_doc(told)}"

    def _is_plain(self, field: str) -> bool:
        """Tell whether a field may stand in a class: Python has no other meaning for its name there, and writes it as it is."""
        hides = field in _BUILTINS or field in self._names
        return (
            field.isascii()
            and field.isidentifier()
            and not (iskeyword(field) or field.startswith("__") or hides)
        )

    def _shown(self, schema: Any, place: str, depth: int = 0) -> str:
        """Return the type as it is written."""
        types = list(dict.fromkeys(self._types(schema, place, depth)))
        return "Any" if "Any" in types else " | ".join(sorted(types, key="None".__eq__))

    def _types(self, schema: Any, place: str, depth: int) -> Iterator[str]:
        """Yield the types that a value may have."""
        if schema is False:
            yield "Never"
        elif not isinstance(schema, dict) or depth > MOST_NESTED:
            yield "Any"
        elif "$ref" in schema:
            yield from self._named(schema)
        elif literals := _literals(schema):
            yield from self._literal(literals, schema, place)
        elif choices := _choices(schema):
            for each in choices:
                yield from self._types(each, place, depth + 1)
        else:
            for type_ in _type_names(schema):
                yield from self._of(type_, schema, place, depth + 1)

    def _of(self, type_: Any, schema: Schema, place: str, depth: int) -> Iterator[str]:
        if type_ == "array":
            yield from self._array(schema, place, depth)
        elif type_ == "object" and _is_object(schema):
            yield from self._later(place, schema)
        elif type_ == "object":
            yield f"dict[str, {self._shown(schema.get('additionalProperties', True), place, depth)}]"
        else:
            if type_ == "string" and self._is_input and (written := WRITTEN.get(str(schema.get("format")))):
                yield written
            yield PLAIN.get(type_, "Any") if isinstance(type_, str) else "Any"

    def _array(self, schema: Schema, place: str, depth: int) -> Iterator[str]:
        first = _list(schema.get("prefixItems"))
        rest = schema.get("items", not first)
        if first and not rest and self._is_input:
            yield f"tuple[{', '.join(self._shown(each, place, depth) for each in first)}]"
        yield f"list[{self._shown({'anyOf': [*first, rest] if rest else first}, place, depth)}]"

    def _literal(self, literals: list[str], schema: Schema, place: str) -> Iterable[str]:
        if all(_QUOTABLE.fullmatch(each.strip("'")) for each in literals):
            return [f"Literal[{', '.join(literals)}]"]
        return self._later(place, schema)

    def _named(self, schema: Schema) -> Iterable[str]:
        """Return the name of what a schema refers to, which is written later."""
        ref, target = schema["$ref"], self._target(schema)
        if not isinstance(ref, str) or self._is_endless(ref):
            return ["Any"]
        if ref in self._known:
            return self._open(self._known[ref], target)
        if not isinstance(target, dict):
            return ["Any"]
        name, *others = self._later(f"{self._known['#']} {_def_name(ref)}", target)
        self._known[ref] = name
        return [name, *others]

    def _later(self, place: str, schema: Schema) -> list[str]:
        name = self._names.make(place)
        self._todo.append((name, schema, ""))
        return self._open(name, schema)

    def _open(self, name: str, schema: Any) -> list[str]:
        """Let an input have fields that its schema allows without naming them."""
        has_more = self._is_input and _is_object(schema) and schema.get("additionalProperties")
        return [name, "dict[str, Any]"] if has_more else [name]

    def _target(self, schema: Schema) -> Any:
        ref = schema.get("$ref")
        return self._defs.get(_def_name(ref)) if isinstance(ref, str) and ref.startswith("#/$defs/") else None

    def _is_endless(self, ref: str) -> bool:
        """Tell whether it is nothing but a reference to itself, perhaps among others: no value is."""
        seen: set[str] = set()
        ahead = [ref]
        while ahead:
            target = self._target({"$ref": ahead.pop()})
            parts = [target, *_choices(_dict(target))]
            further = [each["$ref"] for each in parts if isinstance(_dict(each).get("$ref"), str)]
            if ref in further:
                return True
            ahead += [each for each in further if each not in seen]
            seen.update(further)
        return False


def _type_names(schema: Schema) -> list[Any]:
    given = schema.get("type")
    if given is None:
        given = "object" if "properties" in schema else "array" if "items" in schema else "any"
    return given or ["any"] if isinstance(given, list) else [given]


def _choices(schema: Schema) -> list[Any]:
    """Return the schemas of which one fits, or the only one that has to; two that have to are more than types can say."""
    for word in ("anyOf", "oneOf"):
        if found := _list(schema.get(word)):
            return found
    every = _list(schema.get("allOf"))
    return every if len(every) < 2 else [True]


def _is_object(schema: Any) -> bool:
    """Tell whether it is an object whose fields are known."""
    plain = isinstance(schema, dict) and not schema.keys() & _OTHERWISE
    return plain and isinstance(schema.get("properties"), dict) and schema.get("type", "object") == "object"


def _literals(schema: Any) -> list[str]:
    """Return the values that it names, as Python writes them; none if one of them is not what `Literal` takes."""
    known = _dict(schema)
    values = [known["const"]] if "const" in known else _list(known.get("enum"))
    good = all(each is None or isinstance(each, (str, int)) for each in values)
    return list(dict.fromkeys(map(repr, values))) if good else []


def _needed(type_: str, needed: bool) -> str:
    return type_ if needed else f"NotRequired[{type_}]"


def _doc(text: str, indent: str = "") -> str:
    told = " ".join(text.split())
    told = told if len(told) <= MOST_TOLD else f"{told[:MOST_TOLD]}…"
    return f"{indent}{told!r}\n" if told else ""


def _def_name(ref: str) -> str:
    return unquote(ref.removeprefix("#/$defs/")).replace("~1", "/").replace("~0", "~")


def _text(schema: Any, name: str) -> str:
    found = _dict(schema).get(name)
    return found if isinstance(found, str) else ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
