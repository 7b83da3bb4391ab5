"""Models that all features share: times, problems, and how a model refuses a value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    ValidationError,
)
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_core.core_schema import CoreSchema, custom_error_schema

from sluice.core.errors import Flaw, Invalid
from sluice.input_guards import is_written

M = TypeVar("M", bound=BaseModel)

_NUMBER = re.compile(r"[1-9]\d{0,3}", re.ASCII)


def _refuse_number(value: Any) -> Any:
    """Refuse a time that is not written as in RFC 3339: digits alone could be seconds or milliseconds."""
    if not isinstance(value, str) or not is_written("datetime", value):
        raise ValueError("a time is a string such as 2030-01-31T12:00:00Z")
    return value


def _to_utc(value: datetime) -> datetime:
    """Convert to UTC. A time that it has no year for would be refused by the record alone, and with it all that is written together."""
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("this time is out of range") from None


Time = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_refuse_number), AfterValidator(_to_utc)]


class Written(NamedTuple):
    """How a text has to be written: a pattern for programs, and words for who is refused.

    A pattern alone would be told as it is, which few can read. A text of any other type is refused in these words, too.
    """

    pattern: str
    words: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        text = handler(Annotated[source, Field(pattern=f"^{self.pattern}$")])
        return custom_error_schema(text, custom_error_type="wrong-format", custom_error_message=self.words)


def whole_number_to(most: int) -> BeforeValidator:
    """Make what reads a `page_size` of a query: digits alone, from 1 to `most`. pydantic would take `+1`, ` 1` and `1_0` as well."""

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if not _NUMBER.fullmatch(value) or int(value) > most:
            raise PydanticCustomError("out-of-bounds", f"page_size is a whole number from 1 to {most}")
        return int(value)

    return BeforeValidator(read)


class ProblemFlaw(BaseModel):
    """One thing wrong with a request."""

    pointer: str = Field(description="RFC 6901 pointer into the body", examples=["/input/width"])
    code: str = Field(examples=["greater_than"])
    detail: str


class Problem(BaseModel):
    """Why a request was refused (RFC 9457)."""

    type: str = Field(description="A stable word to decide by", examples=["invalid"])
    title: str
    status: int
    detail: str
    errors: list[ProblemFlaw]
    request_id: str
    retryable: bool = Field(description="The same request may succeed later; see Retry-After")


def validate(model: type[M], value: Any, within: str = "") -> M:
    """Check a value against a model. Raises Invalid, with pointers that begin at `within`."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Invalid(flaws_of(error, within, value)) from None


def flaws_of(error: ValidationError, within: str, value: Any) -> list[Flaw]:
    """List what pydantic found wrong with a value of JSON, as flaws whose pointers begin at `within`."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        Flaw(within + pointer(_resolve(each, value)), each["type"], _words(each["msg"])) for each in found
    ]


def _resolve(flaw: ErrorDetails, value: Any) -> Iterator[int | str]:
    """Leave out what pydantic adds to a path, such as which member of a union it tried."""
    for step in flaw["loc"]:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            continue
        yield step
    if flaw["type"] == "missing":
        yield flaw["loc"][-1]


def query_flaws(errors: Iterable[Mapping[str, Any]]) -> list[Flaw]:
    """List what FastAPI found wrong with a query, as flaws that name its parameters."""
    return [Flaw("?" + pointer(each["loc"][1:])[1:], each["type"], _words(each["msg"])) for each in errors]


def _words(message: str) -> str:
    """Leave out what pydantic puts before the words of a validator."""
    return message.removeprefix("Value error, ")


def pointer(path: Iterable[int | str]) -> str:
    """Write the RFC 6901 pointer of a path."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
