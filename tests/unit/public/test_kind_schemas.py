"""The schemas of a kind, and the models for which there can be none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from math import inf
from typing import Any, Literal

import orjson
import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field
from pydantic.dataclasses import dataclass
from typing_extensions import TypedDict

from sluice.errors import StartRefused
from sluice.handler import AnyHandler, handler
from sluice.handler_io import write_output
from sluice.kind_schemas import input_schema, output_schema, refuse_what_cannot_be_described


class Nothing(BaseModel):
    """An output."""


def kind_of(given: type[BaseModel], returned: type[BaseModel] = Nothing) -> AnyHandler:
    """A kind with this input and output."""

    def work(given: Any) -> Any:
        """Do nothing."""

    work.__annotations__ = {"given": given, "return": returned}
    return handler("t.kind")(work)


A_DECIMAL: Any = Decimal(1)


class Own:
    """Nothing that pydantic knows."""


class Calls(BaseModel):
    call: Callable[[], int]


class Arbitrary(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    own: Own


class Unwritable(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [A_DECIMAL]})


class Lazy(BaseModel):
    numbers: Iterable[int]


class ByPath(BaseModel):
    first: int = Field(validation_alias=AliasPath("deep", 0))


class Nested(BaseModel):
    inside: list[ByPath | None]


@dataclass
class Data:
    first: int = Field(validation_alias=AliasChoices(AliasPath("deep", 0), AliasPath("deeper", 0)))


class WithData(BaseModel):
    data: Data


class Colour(Enum):
    RED = "red"


class Hidden(BaseModel):
    many: list[Literal[Colour.RED]]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (kind_of(Calls), "no JSON schema can be made for its input: .*Callable"),
        (kind_of(Arbitrary), "no JSON schema can be made for its input"),
        (kind_of(Nothing, Arbitrary), "no JSON schema can be made for its output"),
        (kind_of(Unwritable), "no JSON schema can be made for its input: .*Decimal"),
        (kind_of(Lazy), "Iterable .* make it a list"),
        (kind_of(Hidden), "no Literal.* of an Enum"),
        (kind_of(ByPath), "'first' of its input is read by an AliasPath"),
        (kind_of(Nested), "'first' of its input is read by an AliasPath"),
        (kind_of(WithData), "'first' of its input is read by an AliasPath"),
    ],
)
def test_a_kind_that_no_schema_describes_is_refused(kind: AnyHandler, words: str) -> None:
    with pytest.raises(StartRefused, match=words) as refused:
        refuse_what_cannot_be_described(kind)
    assert f"{__file__}:" in str(refused.value)


class AlsoByName(BaseModel):
    model_config = ConfigDict(validate_by_name=True)
    first: int = Field(validation_alias=AliasPath("deep", 0))


class AlsoByAlias(BaseModel):
    first: int = Field(validation_alias=AliasChoices(AliasPath("deep", 0), "first_in"))


class Typed(TypedDict):
    number: int


class Odd(BaseModel):
    """Has what JSON has not."""

    large: int = Field(2**70, le=10**400)
    endless: float = inf
    typed: Typed | None = None
    exact: Decimal = Field(Decimal(1), gt=0)
    nothing: Any = Own()


@pytest.mark.parametrize("model", [AlsoByName, AlsoByAlias, Odd, Nothing])
def test_any_other_is_not(model: type[BaseModel]) -> None:
    refuse_what_cannot_be_described(kind_of(model, model))


def test_a_schema_holds_what_json_can() -> None:
    properties = input_schema(Odd)["properties"]
    assert properties["large"] == {"default": float(2**70), "title": "Large", "type": "integer"}
    assert "default" not in properties["endless"]
    assert orjson.loads(orjson.dumps(output_schema(Odd))) == output_schema(Odd)


def test_a_decimal_is_taken_as_a_string_or_a_whole_number_and_given_as_a_string() -> None:
    taken = input_schema(Odd)["properties"]["exact"]["anyOf"]
    assert [each["type"] for each in taken] == ["integer", "string"]
    assert taken[0]["exclusiveMinimum"] == 0
    assert output_schema(Odd)["properties"]["exact"]["type"] == "string"


class Level(IntEnum):
    LOW = 1


class Word(StrEnum):
    A = "a"


class Rights(Flag):
    READ = 1
    WRITE = 2


class Keyed(BaseModel):
    """Has keys that JSON writes as strings, and flags that add up."""

    by_level: dict[Level, int] = {Level.LOW: 1}
    by_word: dict[Word, int] = {Word.A: 1}
    rights: Rights = Rights.READ | Rights.WRITE
    level: Literal[Level.LOW] = Level.LOW
    propertyNames: Level = Level.LOW  # noqa: N815  a word of JSON Schema that may be a name as well
    type: Literal["object"] = "object"


def test_keys_and_flags_are_described_as_json_has_them() -> None:
    for schema in (input_schema(Keyed), output_schema(Keyed)):
        assert "propertyNames" not in schema["properties"]["by_level"]
        assert schema["properties"]["by_word"]["propertyNames"] == {"$ref": "#/$defs/Word"}
        assert schema["$defs"]["Rights"]["type"] == "integer"
        assert "enum" not in schema["$defs"]["Rights"]
        assert "propertyNames" in schema["properties"]
    refuse_what_cannot_be_described(kind_of(Keyed, Keyed))
    raw = write_output(kind_of(Keyed, Keyed), Keyed())
    assert Keyed.model_validate_json(raw, strict=True) == Keyed()
