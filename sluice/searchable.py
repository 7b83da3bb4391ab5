"""Searchable fields of an input: each job has their values as tags, by which lists find it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from inspect import isclass
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_origin

import orjson

from sluice.spelling import nearest

if TYPE_CHECKING:
    from pydantic import BaseModel

    from sluice.handler import AnyHandler

MOST_FIELDS = 8
"""Searchable fields of a kind."""
LONGEST_PATH = 64
LONGEST_VALUE = 64
LONGEST_TAG = LONGEST_PATH + 1 + LONGEST_VALUE

Keys = tuple[str, ...]
"""The names under which JSON may have a field."""


class SearchableField(NamedTuple):
    """A field by its path, and how to come to it from the input: at each step by one of some names."""

    path: str
    steps: tuple[Keys, ...]


def tags_of(handler: AnyHandler, value: Any) -> Iterator[str]:
    """Yield `path=value` for each searchable field of a kind that an input (as JSON has it) has a value for.

    Texts of more than LONGEST_VALUE characters, or with some that cannot be printed, are left out.
    """
    for field in find_fields(handler.input_model, handler.searchable):  # type: ignore[arg-type]  # a class can be hashed
        if text := _text(_value_at(value, field.steps)):
            yield f"{field.path}={text}"


@cache
def find_fields(model: type[BaseModel], paths: tuple[str, ...]) -> tuple[SearchableField, ...]:
    """Find fields of a model. Raises ValueError, which says what is wrong, for a path that leads to no single value."""
    if len(set(paths)) > MOST_FIELDS or len(set(paths)) < len(paths):
        raise ValueError(f"searchable has up to {MOST_FIELDS} different fields")
    return tuple(SearchableField(path, _steps(model, path)) for path in paths)


def _steps(model: type[BaseModel], path: str) -> tuple[Keys, ...]:
    if len(path) > LONGEST_PATH:
        raise ValueError(f"searchable: {path[:LONGEST_PATH]!r}… is longer than {LONGEST_PATH} characters")
    steps, found, before = [], list(_models(model)), ""
    for name in path.split("."):
        fields = [each.model_fields[name] for each in found if name in each.model_fields]
        if not fields:
            raise ValueError(_missing(before, name, found))
        keys = (key for each in found if name in each.model_fields for key in _keys(each, name))
        steps.append(tuple(dict.fromkeys(keys)))
        before = f"{before}.{name}" if before else name
        annotations = [each.annotation for each in fields]
        found = [each for annotation in annotations for each in _models(annotation)]
    for each in annotations:
        _refuse_what_is_no_value(path, each)
    return tuple(steps)


def _keys(model: type[BaseModel], name: str) -> Iterator[str]:
    """Yield the names under which this field is read."""
    alias, config = model.model_fields[name].validation_alias, model.model_config
    if alias is None or config.get("validate_by_name") or config.get("populate_by_name"):
        yield name
    for choice in getattr(alias, "choices", [alias]):
        if isinstance(choice, str):
            yield choice


def _models(annotation: Any, within: tuple[Any, ...] = ()) -> Iterator[type[BaseModel]]:
    """Yield the models that a value of this type may be. `within` are root models that have it as a choice, perhaps itself."""
    from pydantic import BaseModel, RootModel  # here, so that `import sluice` does not wait for pydantic

    if isclass(annotation) and issubclass(annotation, RootModel):
        if annotation not in within:
            yield from _models(annotation.model_fields["root"].annotation, (*within, annotation))
    elif isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) not in _MANY:
        for each in get_args(annotation):
            yield from _models(each, within)


_MANY = (list, set, frozenset, tuple, dict)


def _missing(before: str, name: str, models: list[type[BaseModel]]) -> str:
    known = [each for model in models for each in model.model_fields]
    like = nearest(name, known)
    where = f"{before!r}" if before else "the input"
    if not known:
        return f"searchable: {where} has no fields, so there is no {name!r} in it"
    advice = f"do you mean {like}?" if like else f"there are {', '.join(known)}"
    return f"searchable: {where} has no field {name!r}; {advice}"


def _refuse_what_is_no_value(path: str, annotation: Any) -> None:
    from pydantic import Secret, SecretBytes, SecretStr

    kinds = [get_origin(each) or each for each in (annotation, *_parts(annotation))]
    if any(isclass(each) and issubclass(each, SecretStr | SecretBytes | Secret) for each in kinds):
        raise ValueError(f"searchable: {path!r} is a secret, and tags are shown to whoever may read jobs")
    if any(_models(annotation)) or any(each in _MANY for each in kinds):
        raise ValueError(f"searchable: {path!r} is no single text, number or truth value: name a field in it")


def _parts(annotation: Any) -> Iterator[Any]:
    for each in get_args(annotation):
        yield each
        yield from _parts(each)


def _value_at(value: Any, steps: tuple[Keys, ...]) -> Any:
    for keys in steps:
        if type(value) is not dict:
            return None
        value = next((value[key] for key in keys if key in value), None)
    return value


def _text(value: Any) -> str:
    if isinstance(value, bool | int | float):
        return orjson.dumps(value).decode()
    is_word = isinstance(value, str) and len(value) <= LONGEST_VALUE and value.isprintable()
    return value if is_word else ""
