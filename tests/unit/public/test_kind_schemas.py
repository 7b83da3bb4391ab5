"""The schemas of a kind, and the models for which there can be none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from fractions import Fraction
from math import inf
from typing import Annotated, Any, Literal

import orjson
import pytest
from jsonschema_rs import is_valid
from pydantic import (
    AliasChoices,
    AliasPath,
    Base64Bytes,
    Base64Str,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    Json,
    PostgresDsn,
    Secret,
    SecretBytes,
    SecretStr,
    StringConstraints,
    UrlConstraints,
    create_model,
)
from pydantic.dataclasses import dataclass
from typing_extensions import TypedDict

from sluice.errors import BadInput, BadOutput, StartRefused
from sluice.handler import AnyHandler, handler
from sluice.handler_io import check_input, write_output
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


class NumberedKeys(BaseModel):
    many: list[dict[Literal[1, 2], int]]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (kind_of(Calls), "no JSON schema can be made for its input: .*Callable"),
        (kind_of(Arbitrary), "no JSON schema can be made for its input"),
        (kind_of(Nothing, Arbitrary), "no JSON schema can be made for its output"),
        (kind_of(Unwritable), "no JSON schema can be made for its input: .*Decimal"),
        (kind_of(Lazy), "Iterable .* make it a list"),
        (kind_of(Hidden), "no Literal.* of an Enum"),
        (kind_of(NumberedKeys), "no key of JSON is one of a Literal.* of numbers"),
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
    config: int = 0


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
    ratio: Fraction = Fraction(1, 2)
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
    taken = input_schema(Odd)["properties"]["ratio"]["anyOf"]
    assert [each["type"] for each in taken] == ["integer", "string"]
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


def bounded(type_: Any, least: int | None = None, most: int | None = None) -> Any:
    """This type with bounds of its length."""
    return Annotated[type_, Field(min_length=least, max_length=most)]


BASE64 = ConfigDict(val_json_bytes="base64", ser_json_bytes="base64")
HEX = ConfigDict(val_json_bytes="hex", ser_json_bytes="hex")
MIXED = ConfigDict(val_json_bytes="base64")
STRIPPED = ConfigDict(str_strip_whitespace=True)


@pytest.mark.parametrize(
    ("type_", "config", "given", "written"),
    [
        (bounded(bytes, 3, 3), {}, "abc", "abc"),
        (bounded(bytes, 4, 4), {}, "\u00e9\u00e9", "\u00e9\u00e9"),
        (bounded(bytes, 8, 8), {}, "\U0001f600\U0001f600", "\U0001f600\U0001f600"),
        (bounded(bytes, 3, 3), BASE64, "YWJj", "YWJj"),
        (bounded(bytes, 1, 1), BASE64, "YQ", "YQ=="),
        (bounded(bytes, 4, 4), BASE64, "YWJjZA==", "YWJjZA=="),
        (bounded(bytes, 3, 3), HEX, "616263", "616263"),
        (bounded(bytes, 3, 3), MIXED, "YWJj", "abc"),
        (dict[Annotated[bytes, Field(max_length=3)], int], BASE64, {"YWJj": 1}, {"YWJj": 1}),
        (bounded(Base64Bytes, 3, 3), {}, "YWJj", "YWJj"),
        (bounded(Base64Str, 3, 3), {}, "YWJj", "YWJj"),
        (bounded(SecretStr, 4, 4), {}, "abcd", "*" * 10),
        (bounded(SecretStr, 11), {}, "abcdefghijk", "*" * 10),
        (bounded(SecretStr, 0, 4), {}, "", ""),
        (bounded(SecretBytes, 4, 4), {}, "\u00e9\u00e9", "*" * 10),
        (Secret[Annotated[str, Field(max_length=4)]], {}, "abcd", "*" * 10),
        (Secret[int], {}, 1, "*" * 10),
        (list[Annotated[SecretStr, Field(max_length=4)] | None], {}, ["abcd", None], ["*" * 10, None]),
        (Annotated[HttpUrl, UrlConstraints(max_length=13)], {}, "https://ab.cd", "https://ab.cd/"),
        (bounded(HttpUrl, None, 14), {}, "https://ab.cd:443/", "https://ab.cd/"),
        (
            Annotated[PostgresDsn, UrlConstraints(max_length=16)],
            {},
            "postgres://a@\u00e9/",
            "postgres://a@%C3%A9/",
        ),
        (bounded(Json[list[int]], 2, 3), {}, "[1,2,3]", [1, 2, 3]),
        (bounded(str, 3, 3), STRIPPED, "  abc ", "abc"),
        (Annotated[str, StringConstraints(strip_whitespace=True, max_length=3)], {}, " abc ", "abc"),
    ],
)
def test_a_length_is_that_of_the_text_in_json(type_: Any, config: Any, given: Any, written: Any) -> None:
    model = create_model("Given", __config__=config, v=(type_, ...))
    kind = kind_of(model, model)
    taken = check_input(kind, orjson.dumps({"v": given}))
    raw = write_output(kind, taken)
    assert orjson.loads(raw) == {"v": written}
    assert is_valid(input_schema(model), {"v": given})
    assert is_valid(output_schema(model), {"v": written})


@pytest.mark.parametrize(
    ("type_", "config", "given", "value"),
    [
        (bounded(bytes, None, 3), {}, "abcd", b"abcd"),
        (bounded(bytes, 5), {}, "a", b"a"),
        (bounded(bytes, None, 3), BASE64, "YWJjZA", b"abcd"),
        (bounded(bytes, 4), BASE64, "YWJj", b"abc"),
        (bounded(bytes, 3, 3), HEX, "6162", b"ab"),
        (bounded(bytes, 3, 3), HEX, "61626364", b"abcd"),
        (bounded(str, None, 3), {}, "abcd", "abcd"),
    ],
)
def test_a_length_that_no_text_of_a_value_has_is_not_in_the_schema(
    type_: Any, config: Any, given: Any, value: Any
) -> None:
    model = create_model("Given", __config__=config, v=(type_, ...))
    assert not is_valid(input_schema(model), {"v": given})
    with pytest.raises(BadInput):
        check_input(kind_of(model), orjson.dumps({"v": given}))
    with pytest.raises(BadOutput):
        write_output(kind_of(Nothing, model), model.model_construct(v=value))


def test_the_length_of_a_secret_is_shown_to_whoever_sends_it() -> None:
    model = create_model("Given", v=(bounded(SecretStr, 4, 6), ...), extra=(bounded(str, 4, 6), ""))
    sent, got = (describe(model)["properties"] for describe in (input_schema, output_schema))
    assert (sent["v"]["minLength"], sent["v"]["maxLength"]) == (4, 6)
    assert got["v"] == {"format": "password", "title": "V", "type": "string", "writeOnly": True}
    assert (got["extra"]["minLength"], got["extra"]["maxLength"]) == (4, 6)


def test_bytes_are_described_as_they_are_sent_and_as_they_are_written() -> None:
    model = create_model("Given", __config__=MIXED, v=(bytes, ...))
    assert input_schema(model)["properties"]["v"]["format"] == "base64url"
    assert output_schema(model)["properties"]["v"]["format"] == "binary"
