"""What is found in an input to find its job by, and which fields cannot be searched by."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, RootModel, Secret, SecretStr

from sluice.handler import handler
from sluice.searchable import find_fields, tags_of


class Card(BaseModel):
    """How somebody pays."""

    number: SecretStr
    pin: Secret[int] | None = None
    brand: Literal["visa", "other"] = "other"


class Transfer(BaseModel):
    """Another way to pay."""

    model_config = ConfigDict(validate_by_name=True)

    iban: str = Field(alias="IBAN")
    brand: str = "bank"


class Customer(BaseModel):
    """Who orders."""

    email: str | None = None
    phone: str = Field("", validation_alias=AliasChoices("tel", "mobile", AliasPath("phones", 0)))
    ids: RootModel[str] | None = None


class Order(BaseModel):
    """An input with every sort of field."""

    order_id: int | str
    amount: Annotated[Decimal, Field(ge=0)] = Decimal(0)
    urgent: bool = False
    ref: UUID | None = None
    customer: Customer | None = None
    payment: Card | Transfer | None = None
    lines: list[Customer] = []
    labels: dict[str, str] = {}
    words: set[str] | None = None
    anything: Any = None


def tags(given: Any, *paths: str, model: type[BaseModel] = Order) -> list[str]:
    """Find the tags of an input of a kind with these searchable fields."""

    async def run(given: model) -> model:  # type: ignore[valid-type]  # read by the decorator alone
        return given

    run.__annotations__ = {"given": model, "return": model}
    return list(tags_of(handler("t.order", searchable=paths)(run), given))


@pytest.mark.parametrize(
    ("given", "path", "found"),
    [
        ({"order_id": 42}, "order_id", ["order_id=42"]),
        ({"order_id": "42"}, "order_id", ["order_id=42"]),
        ({"order_id": "a b=c, ü"}, "order_id", ["order_id=a b=c, ü"]),
        ({"order_id": "x" * 64}, "order_id", [f"order_id={'x' * 64}"]),
        ({"amount": 1.5}, "amount", ["amount=1.5"]),
        ({"urgent": True}, "urgent", ["urgent=true"]),
        ({"urgent": False}, "urgent", ["urgent=false"]),
        ({"order_id": 0}, "order_id", ["order_id=0"]),
        ({"customer": {"email": "a@b.example"}}, "customer.email", ["customer.email=a@b.example"]),
        ({"customer": {"tel": "1"}}, "customer.phone", ["customer.phone=1"]),
        ({"customer": {"mobile": "2"}}, "customer.phone", ["customer.phone=2"]),
        ({"customer": {"ids": "z"}}, "customer.ids", ["customer.ids=z"]),
        ({"payment": {"IBAN": "AT1"}}, "payment.iban", ["payment.iban=AT1"]),
        ({"payment": {"iban": "AT1"}}, "payment.iban", ["payment.iban=AT1"]),
        ({"payment": {"brand": "visa"}}, "payment.brand", ["payment.brand=visa"]),
        ({"anything": "x"}, "anything", ["anything=x"]),
    ],
)
def test_the_value_of_a_field_is_a_tag(given: Any, path: str, found: list[str]) -> None:
    assert tags(given, path) == found


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"customer": None},
        {"customer": {"email": None}},
        {"customer": {"email": ""}},
        {"customer": {"email": "x" * 65}},
        {"customer": {"email": "a\x1fb"}},
        {"customer": {"email": "a\nb"}},
        {"customer": "text"},
        {"customer": {"email": ["a"]}},
        {"customer": {"email": {"a": 1}}},
    ],
)
def test_what_is_no_short_text_is_no_tag(given: Any) -> None:
    assert tags(given, "customer.email") == []


def test_each_field_has_its_tag_in_order() -> None:
    given = {"urgent": True, "order_id": 7}
    assert tags(given, "order_id", "customer.email", "urgent") == ["order_id=7", "urgent=true"]
    assert tags(given) == []


def test_an_input_that_is_one_of_several_models_is_looked_into() -> None:
    class Either(RootModel[Card | Transfer]):
        """No object of its own."""

    assert tags({"IBAN": "AT1"}, "iban", model=Either) == ["iban=AT1"]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("total", "the input has no field 'total'; there are order_id"),
        ("order_ids", "do you mean order_id\\?"),
        ("", "the input has no field ''"),
        ("customer.mail", "'customer' has no field 'mail'; do you mean email\\?"),
        ("customer.email.x", "'customer.email' has no fields"),
        ("customer", "'customer' is no single text"),
        ("lines", "'lines' is no single text"),
        ("lines.email", "'lines' has no fields"),
        ("labels", "'labels' is no single text"),
        ("words", "'words' is no single text"),
        ("payment.number", "'payment.number' is a secret"),
        ("payment.pin", "'payment.pin' is a secret"),
        ("x" * 65, "longer than 64 characters"),
    ],
)
def test_a_path_that_leads_to_no_value_is_refused(path: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        find_fields(Order, (path,))


def test_too_many_fields_or_one_twice_are_refused() -> None:
    with pytest.raises(ValueError, match="up to 8 different fields"):
        find_fields(Order, ("order_id", "order_id"))
    with pytest.raises(ValueError, match="up to 8 different fields"):
        find_fields(Order, tuple("abcdefghi"))
