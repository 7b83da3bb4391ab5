"""The decorator `@handler`: it makes a kind from one typed function.

Handlers run at least once, normally once: write them so that running twice does no harm.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    Protocol,
    TypedDict,
    TypeVar,
    Unpack,
    get_args,
    get_type_hints,
    overload,
)

from sluice.context import Context
from sluice.errors import StartRefused
from sluice.retry import RetryPolicy
from sluice.searchable import find_fields
from sluice.spelling import nearest

if TYPE_CHECKING:
    from pydantic import BaseModel

I = TypeVar("I", bound="BaseModel")  # noqa: E741  the input model
O = TypeVar("O", bound="BaseModel")  # noqa: E741  the output model

RunsIn = Literal["loop", "thread", "process"]


@dataclass(frozen=True, slots=True)
class Handler(Generic[I, O]):
    """A kind: its function and its options."""

    kind: str
    function: Callable[..., O | Awaitable[O]]
    input_model: type[I]
    output_model: type[O]
    takes_context: bool
    runs_in: RunsIn
    lane: str
    lanes: tuple[str, ...] | None
    timeout_s: float
    retry: RetryPolicy
    cache_s: int
    keep_s: float | None
    max_input: int
    version: int
    aliases: tuple[str, ...]
    searchable: tuple[str, ...]

    @property
    def pure(self) -> bool:
        """True if a cache time was declared: equal input gives equal output, so results may be reused."""
        return self.cache_s > 0

    @property
    def where(self) -> str:
        """File and line of the function."""
        return _place(self.function)

    def __call__(self, *args: Any) -> O | Awaitable[O]:
        return self.function(*args)


AnyHandler = Handler[Any, Any]


class Options(TypedDict, total=False):
    """The options of a kind.

    `lane`: where its jobs queue (default: `heavy` for processes, else `default`). `lanes`: into which others clients may put
    them (default: any). `runs_in`: `loop` (the default of `async def`), `thread` (the default of `def`) or `process` (which
    alone can be stopped by force). `timeout_s`: seconds one attempt may take. `retry`: attempts and back-off. `cache_s`: how
    long a result may answer equal inputs; declaring it says that the kind is pure. `keep_s`: how long a finished job is kept
    (default: the setting `SLUICE_KEEP_S`). `max_input`: bytes of input taken. `version`: raise it when equal input no longer
    gives equal output. `aliases`: former names. `searchable`: fields of the input, such as `customer.email`, by whose values
    lists find its jobs.
    """

    lane: str
    lanes: tuple[str, ...]
    runs_in: RunsIn
    timeout_s: float
    retry: RetryPolicy
    cache_s: int
    keep_s: float
    max_input: int
    version: int
    aliases: tuple[str, ...]
    searchable: tuple[str, ...]


class Decorator(Protocol):
    """Turns a function into its Handler, keeping the types of input and output."""

    @overload
    def __call__(self, function: Callable[[I], Awaitable[O]], /) -> Handler[I, O]: ...
    @overload
    def __call__(self, function: Callable[[I, Context], Awaitable[O]], /) -> Handler[I, O]: ...
    @overload
    def __call__(self, function: Callable[[I], O], /) -> Handler[I, O]: ...
    @overload
    def __call__(self, function: Callable[[I, Context], O], /) -> Handler[I, O]: ...


def handler(kind: str, **options: Unpack[Options]) -> Decorator:
    """Declare a kind: the function takes its Input model (and a Context) and returns its Output model.

    Raises StartRefused if the name, an option or an annotation is wrong.
    """

    if not isinstance(kind, str):
        raise StartRefused(
            f"@handler needs the name of a kind, not {getattr(kind, '__name__', repr(kind))}: write @handler('some.name')"
        )

    def decorate(function: Callable[..., Any], /) -> Handler[Any, Any]:
        if inspect.isfunction(function):
            _check_options(kind, function, options)
        return _build(kind, function, options)

    return decorate


KIND_NAME = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*")
DEFAULT_TIMEOUT_S = 300.0
DEFAULT_MAX_INPUT = 256 * 1024
LARGEST_INPUT = 32 * 1024 * 1024
LARGEST_INTEGER = 2**31 - 1
LONGEST_KEEP_S = 100 * 365 * 86_400.0


def _build(kind: str, function: Callable[..., Any], options: Options) -> Handler[Any, Any]:
    if not inspect.isfunction(function):
        raise StartRefused(f"kind {kind!r}: decorate a plain function, not {type(function).__name__}")
    input_model, output_model, takes_context = _signature(kind, function)
    runs_in = options.get("runs_in") or ("loop" if inspect.iscoroutinefunction(function) else "thread")
    lane = options.get("lane", "heavy" if runs_in == "process" else "default")
    built = Handler(
        kind=kind,
        function=function,
        input_model=input_model,
        output_model=output_model,
        takes_context=takes_context,
        runs_in=runs_in,
        lane=lane,
        lanes=_with_own(lane, options.get("lanes")),
        timeout_s=options.get("timeout_s", DEFAULT_TIMEOUT_S),
        retry=options.get("retry", RetryPolicy()),
        cache_s=options.get("cache_s", 0),
        keep_s=options.get("keep_s"),
        max_input=options.get("max_input", DEFAULT_MAX_INPUT),
        version=options.get("version", 1),
        aliases=tuple(options.get("aliases", ())),
        searchable=tuple(options.get("searchable", ())),
    )
    for wrong, remedy in _checks(built):
        if wrong:
            raise _refused(kind, function, remedy)
    try:
        find_fields(input_model, built.searchable)
    except ValueError as error:
        raise _refused(kind, function, str(error)) from None
    return built


def _with_own(lane: str, others: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if others is None else (lane, *(each for each in others if each != lane))


_NUMBER = (int, float)
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "lane": ((str,), "a name"),
    "lanes": ((tuple, list), "names of lanes in brackets, such as ('bulk',)"),
    "runs_in": ((str,), "'loop', 'thread' or 'process'"),
    "timeout_s": (_NUMBER, "a number of seconds"),
    "retry": ((RetryPolicy,), "a RetryPolicy, such as RetryPolicy(max_attempts=3)"),
    "cache_s": ((int,), "a whole number of seconds"),
    "keep_s": ((*_NUMBER, type(None)), "a number of seconds"),
    "max_input": ((int,), "a whole number of bytes"),
    "version": ((int,), "a whole number"),
    "aliases": ((tuple, list), "names in brackets, such as ('old.name',)"),
    "searchable": ((tuple, list), "fields of its input in brackets, such as ('order_id', 'customer.email')"),
}
"""What each option is, and in words: mypy says so to whoever runs it."""


def _check_options(kind: str, function: Callable[..., Any], options: Options) -> None:
    """Raise StartRefused for a name that is no option, or a value of another type."""
    for name, value in options.items():
        if name not in _TYPES:
            like = nearest(name, _TYPES)
            advice = f"do you mean {like}?" if like else f"there are {', '.join(_TYPES)}"
            raise _refused(kind, function, f"{name[:64]!r} is no option; {advice}")
        types, words = _TYPES[name]
        if not isinstance(value, types) or isinstance(value, bool):
            raise _refused(kind, function, f"{name} is {words}, not {type(value).__name__}")


def _checks(built: AnyHandler) -> tuple[tuple[bool, str], ...]:
    """List what could be wrong, each with a remedy."""
    names = (built.kind, *built.aliases)
    return (
        (
            not all(isinstance(name, str) and _is_name(name) for name in names),
            "its name and aliases must be lower-case words with dots, such as 'image.thumbnail'",
        ),
        (
            (built.runs_in == "loop") != inspect.iscoroutinefunction(built.function),
            "runs_in='loop' needs 'async def'; a thread or a process needs 'def'",
        ),
        (
            inspect.isgeneratorfunction(built.function) or inspect.isasyncgenfunction(built.function),
            "a handler returns its output, once: use 'return' instead of 'yield'",
        ),
        (built.runs_in not in get_args(RunsIn), "runs_in is 'loop', 'thread' or 'process'"),
        (not 0 < built.timeout_s < math.inf, "timeout_s must be a number of seconds above 0"),
        (
            not 0 <= built.cache_s <= LONGEST_KEEP_S,
            "cache_s must be between 0 and a hundred years, in seconds",
        ),
        (
            built.keep_s is not None and not 0 < built.keep_s <= LONGEST_KEEP_S,
            "keep_s must be a number of seconds above 0, and at most a hundred years",
        ),
        (
            not 0 < built.max_input <= LARGEST_INPUT,
            f"max_input must be between 1 and {LARGEST_INPUT} bytes",
        ),
        (not 1 <= built.version <= LARGEST_INTEGER, f"version counts from 1 to {LARGEST_INTEGER}"),
        (
            not all(isinstance(lane, str) and lane.isidentifier() for lane in built.lanes or (built.lane,)),
            "a lane's name is a word of letters, digits and _",
        ),
        (
            not all(isinstance(path, str) for path in built.searchable),
            "searchable has names of fields of its input, such as ('order_id', 'customer.email')",
        ),
    )


def _is_name(name: str) -> bool:
    return KIND_NAME.fullmatch(name) is not None and len(name) <= 64


def _signature(kind: str, function: Callable[..., Any]) -> tuple[type[BaseModel], type[BaseModel], bool]:
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError) as error:
        raise _refused(kind, function, f"an annotation cannot be read: {error}") from error
    parameters = list(inspect.signature(function).parameters.values())
    names = [each.name for each in parameters if each.kind in _POSITIONAL]
    if len(names) != len(parameters) or len(names) not in (1, 2):
        raise _refused(kind, function, "it takes its Input and, if it wants, a Context")
    if len(names) == 2 and hints.get(names[1]) is not Context:
        raise _refused(kind, function, f"annotate {names[1]!r} with Context")
    for name in (names[0], "return"):
        if not _is_model(hints.get(name)):
            raise _refused(kind, function, f"annotate {name!r} with a pydantic model")
    return hints[names[0]], hints["return"], len(names) == 2


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _is_model(hint: Any) -> bool:
    from pydantic import BaseModel  # here, so that `import sluice` does not wait for pydantic

    return inspect.isclass(hint) and issubclass(hint, BaseModel) and hint is not BaseModel


def _refused(kind: str, function: Callable[..., Any], remedy: str) -> StartRefused:
    return StartRefused(f"kind {kind!r} ({_place(function)}): {remedy}")


def _place(function: Callable[..., Any]) -> str:
    code = function.__code__
    return f"{code.co_filename}:{code.co_firstlineno}"
