"""Where the secrets of an input are, and that nothing of them is left once they are hidden."""

from __future__ import annotations

from typing import Annotated, Any, NewType

import orjson
import pytest
from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel, Secret, SecretBytes, SecretStr
from typing_extensions import TypeAliasType

from sluice.errors import StartRefused
from sluice.handler import AnyHandler, handler
from sluice.secret_fields import DOTS, find_secrets, hide, refuse_searchable_secrets


class Login(BaseModel):
    """Has a secret under an alias, which may be given by name as well."""

    model_config = ConfigDict(validate_by_name=True)

    user: str = ""
    password: SecretStr | None = Field(None, alias="pass~/word")


class Nest(RootModel["Nest | list[SecretStr]"]):
    """Secrets, or a choice that says nothing more."""


class Job(BaseModel):
    """Has secrets of every sort, in places of every sort."""

    text: SecretStr = SecretStr("")
    raw: SecretBytes | None = None
    pin: Secret[int] | None = None
    marked: Annotated[str, Field(json_schema_extra={"secret": True})] = ""
    marked_whole: Login | None = Field(None, json_schema_extra={"secret": True})
    login: Login | None = None
    many: list[SecretStr] = []
    pair: tuple[str, SecretStr] | None = None
    named: dict[str, Login] = {}
    either: Login | list[Login] | str = ""
    guess: SecretStr | Login = SecretStr("")
    nest: Nest | None = None
    inner: Job | None = None
    plain: str = ""


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"text": "S"}, ["/text"]),
        ({"raw": "S"}, ["/raw"]),
        ({"pin": 1234567}, ["/pin"]),
        ({"marked": "S"}, ["/marked"]),
        ({"marked_whole": {"user": "S"}}, ["/marked_whole"]),
        ({"login": {"pass~/word": "S", "user": "u"}}, ["/login/pass~0~1word"]),
        ({"login": {"password": "S"}}, ["/login/password"]),
        ({"many": ["S", "S"]}, ["/many/0", "/many/1"]),
        ({"pair": ["a", "S"]}, ["/pair/1"]),
        ({"named": {"a": {"pass~/word": "S"}}}, ["/named/a/pass~0~1word"]),
        ({"either": {"pass~/word": "S"}}, ["/either/pass~0~1word"]),
        ({"either": [{"pass~/word": "S"}]}, ["/either/0/pass~0~1word"]),
        ({"guess": {"pass~/word": "S"}}, ["/guess"]),
        ({"nest": ["S", "S"]}, ["/nest/0", "/nest/1"]),
        ({"inner": {"inner": {"text": "S"}}}, ["/inner/inner/text"]),
        ({"pin": None, "plain": "text", "either": "text"}, []),
    ],
)
def test_secrets_are_found_and_hidden(given: dict[str, Any], where: list[str]) -> None:
    found = find_secrets(Job, given)
    assert sorted(found) == where
    assert set(map(str, found.values())) <= {"S", "1234567", "{'user': 'S'}", "{'pass~/word': 'S'}"}
    shown = orjson.dumps(hide(given, found)).decode()
    assert '"S"' not in shown
    assert "1234567" not in shown
    assert shown.count(DOTS) == len(where)
    assert "text" in shown or where


def test_an_input_that_is_a_secret_itself_is_hidden() -> None:
    class Whole(RootModel[SecretStr]):
        """A secret."""

    found = find_secrets(Whole, "S")
    assert (found, hide("S", found)) == ({"": "S"}, DOTS)


def test_what_is_shown_of_a_model_without_secrets_is_all_of_it() -> None:
    class Plain(BaseModel):
        """No secrets."""

        model_config = ConfigDict(extra="allow")

        values: list[int]

    given = {"values": [1], "more": {"a": [1, None]}}
    assert hide(given, find_secrets(Plain, given)) == {"values": [1], "more": {"a": [1, None]}}


Token = NewType("Token", SecretStr)
Alias = TypeAliasType("Alias", SecretStr | None)


class Key(RootModel[SecretStr]):
    """A secret alone."""


class Number(RootModel["Number | int"]):
    """A number, or a choice that says nothing more."""


class Account(BaseModel):
    """Has secrets whose types do not say so, and a model that is one as a whole."""

    token: Token | None = None
    alias: Alias = None
    key: Key | None = None
    marked: Annotated[str, Field(json_schema_extra={"secret": True})] = ""
    login: Secret[Login] | None = None
    marked_login: Login | None = Field(None, json_schema_extra={"secret": True})
    plain_login: Login | None = None
    parent: Account | None = None
    number: Number | None = None
    anything: JsonValue = None


@pytest.mark.parametrize(
    "path", ["token", "alias", "key", "marked", "login.user", "marked_login.user", "parent.parent.marked"]
)
def test_what_is_secret_by_any_name_cannot_be_searchable(path: str) -> None:
    with pytest.raises(StartRefused, match=f"searchable: '{path}' is a secret"):
        refuse_searchable_secrets(kind_of(path))


def test_what_is_beside_a_secret_is_searchable() -> None:
    refuse_searchable_secrets(kind_of("plain_login.user", "parent.plain_login.user", "anything", "number"))


def kind_of(*paths: str) -> AnyHandler:
    """A kind with these searchable fields."""

    @handler("t.account", searchable=paths)
    async def work(given: Account) -> Account:
        return given

    return work
