"""The module that `sluice types` writes: types of inputs and outputs, and clients whose methods know which belongs to which kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sluice.cli.formats import printable
from sluice.cli.types_schema import Names, SchemaTypes
from sluice.client.documents import Kind

FROM = "# From "
"""What the line begins with that says which server was asked."""

_HEAD = '''"""The kinds of work that a Sluice server takes, for editors and type checkers.

`sluice types` has written it, and writes it anew when they have changed; changes of yours would be lost.

    sluice types >kinds.py
    sluice types --check kinds.py
"""

'''
_BEGIN = """
# ruff: noqa
# fmt: off
# mypy: disable-error-code="override"
# pyright: reportIncompatibleMethodOverride=false, reportUnusedImport=false

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal, Never, TypeAlias, TypeVar, Unpack, overload
from uuid import UUID

import sluice.client
from typing_extensions import NotRequired, TypedDict

T = TypeVar("T")


"""
_TAKEN = {"sluice", "typed", "Sluice", "AsyncSluice", *re.findall(r"\w+", _BEGIN)}
_TYPED = '''
@overload
def typed(client: sluice.client.Sluice) -> Sluice: ...
@overload
def typed(client: sluice.client.AsyncSluice) -> AsyncSluice: ...
def typed(client: Any) -> Any:
    """Return the same client, for type checkers as one that knows these kinds: a FakeSluice, for example."""
    return client
'''


class _Typed(NamedTuple):
    """A kind, and how its input and its output are written. `optional`: the input may be left out."""

    kind: str
    input: str
    optional: bool
    output: str

    @property
    def first(self) -> str:
        """The arguments of a submit that every way to submit has."""
        input = f"{self.input} | None = None" if self.optional else self.input
        return f"kind: Literal[{self.kind!r}], input: {input}"


def write_module(found: Iterable[Kind], url: str) -> str:
    """Write the module for these kinds, as the API shows them. Kinds that are the same make the same text, but for the line of `url`."""
    names = Names(_TAKEN)
    blocks: list[str] = []
    kinds: list[_Typed] = []
    for each in sorted(found, key=lambda kind: kind.kind):
        told = f"Input of {each.kind}. {each.description or ''}"
        input = SchemaTypes(each.input, names, names.make(each.kind, "Input"), told, is_input=True)
        output = SchemaTypes(
            each.output, names, names.make(each.kind, "Output"), f"Output of {each.kind}.", is_input=False
        )
        blocks += [*input.blocks, *output.blocks]
        kinds.append(_Typed(each.kind, input.type, input.may_be_left_out, output.type))
    body = "\n\n".join(
        [*blocks, *(_client(name, kinds) for name in ("Sluice", "AsyncSluice")), _TYPED.lstrip("\n")]
    )
    return f"{_HEAD}{FROM}{printable(url)}\n{_BEGIN}{body}"


def without_source(module: str) -> list[str]:
    """Return the lines of a module without the one that says which server was asked."""
    return [line for line in module.splitlines() if not line.startswith(FROM)]


def _client(name: str, kinds: list[_Typed]) -> str:
    is_async = name.startswith("Async")
    job = "sluice.client.AsyncJob" if is_async else "sluice.client.Job"
    iterable = "Iterable[{0}] | AsyncIterable[{0}]" if is_async else "Iterable[{0}]"
    iterator = "AsyncIterator" if is_async else "Iterator"
    call = "async def" if is_async else "def"
    methods = [
        *_overloads(f"{call} submit", [way for kind in kinds for way in _submits(kind, job)]),
        *_overloads(f"{call} run", [way for kind in kinds for way in _runs(kind)]),
        *_overloads(
            "def map", [way for kind in kinds for way in _maps(kind, iterable.format(kind.input), iterator)]
        ),
    ]
    begin = f'class {name}(sluice.client.{name}):\n    """The client, whose methods take these kinds alone for type checkers."""\n'
    return begin + ("\n    if TYPE_CHECKING:\n\n" + "".join(methods) if methods else "")


def _overloads(method: str, ways: list[str]) -> Iterator[str]:
    """Write a method that may be called in these ways."""
    if len(ways) == 1:  # one alone is none to choose from
        yield f"        {method}({ways[0]}: ...\n"
        return
    yield from (f"        @overload\n        {method}({way}: ...\n" for way in ways)
    if ways:
        yield f"        {method}(self, *args: Any, **options: Any) -> Any: ...\n"


_OPTIONS = "**options: Unpack[sluice.client.SubmitOptions]"
_AS = "as_: Callable[[Any], T] | type[T]"


def _submits(kind: _Typed, job: str) -> Iterator[str]:
    yield f"self, {kind.first}, *, key: str | None = ..., {_OPTIONS}) -> {job}[{kind.output}]"


def _runs(kind: _Typed) -> Iterator[str]:
    more = f"timeout: float | None = ..., cancel_on_timeout: bool = ..., key: str | None = ..., {_OPTIONS}"
    yield f"self, {kind.first}, *, {more}) -> {kind.output}"
    yield f"self, {kind.first}, *, {_AS}, {more}) -> T"


def _maps(kind: _Typed, inputs: str, iterator: str) -> Iterator[str]:
    first = f"self, kind: Literal[{kind.kind!r}], inputs: {inputs}, *"
    more = f"batch: int = ..., in_flight: int = ..., {_OPTIONS}"
    either = f"{kind.output} | sluice.client.ClientError"
    yield f"{first}, return_exceptions: Literal[False] = ..., {more}) -> {iterator}[{kind.output}]"
    yield f"{first}, return_exceptions: bool, {more}) -> {iterator}[{either}]"
    yield f"{first}, {_AS}, return_exceptions: bool = ..., {more}) -> {iterator}[T]"
