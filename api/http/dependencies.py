"""FastAPI dependencies for routes: a part of the application by its class, the caller, the body, how long to wait.

A part is given to the application once (`provide`), so that a feature's routes import no other feature. Everything here
that reads a request depends on `Caller`: nothing in a request is checked before its key.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Any, TypeVar

from fastapi import Depends, FastAPI
from starlette.requests import Request

from api.http.auth import authenticate
from api.http.body import ENVELOPE, BodyLimits, read_json_body
from api.http.edge import request_id_of
from api.http.held_bytes import HeldBody, HeldBytes
from api.http.prefix import prefix_of
from api.http.rate_limits import CHARGED, Charged, RateLimits, charge
from api.http.request import ServerTiming, WaitRequest, read_wait
from api.keys.keyring import Identity, Keyring
from sluice.core.access import Actor
from sluice.core.runtime.settings import Settings
from sluice.core.strict_json import Raw

P = TypeVar("P")


class Parts:
    """The parts of an application, each by its class: `parts[Lookup]`."""

    __slots__ = ("_parts",)

    def __init__(self, parts: Iterable[object]) -> None:
        self._parts: dict[type[Any], Any] = {type(part): part for part in parts}

    def __getitem__(self, kind: type[P]) -> P:
        part: P = self._parts[kind]
        return part


def provide(app: FastAPI, parts: Iterable[object]) -> None:
    """Let the routes of this application find these parts."""
    app.state.parts = Parts(parts)


def parts_of(request: Request) -> Parts:
    """Find the parts of the application that a request came to."""
    parts: Parts = request.app.state.parts
    return parts


def provided(kind: type[Any]) -> Any:
    """Make the dependency on the part of this class: `Annotated[Listing, provided(Listing)]`."""

    async def find(request: Request) -> object:
        return parts_of(request)[kind]

    return Depends(find)


Rates = Annotated[RateLimits, provided(RateLimits)]


async def check_caller(
    request: Request, keyring: Annotated[Keyring, provided(Keyring)], rates: Rates
) -> Identity:
    """Check the key of a request against the scope of its route."""
    caller = await authenticate(request, keyring)
    request.scope[CHARGED] = Charged(rates.submits, caller.key_id, shown=False)
    return caller


Caller = Annotated[Identity, Depends(check_caller)]
"""Whose key the request came with; the key has the scope of the route."""


async def charge_submit(request: Request, caller: Caller, rates: Rates) -> Identity:
    """Count the request as a submit of its key."""
    await charge(request.scope, rates.submits, caller.key_id, shown=True)
    return caller


async def charge_poll(request: Request, caller: Caller, rates: Rates) -> Identity:
    """Count the request as a poll of its key."""
    await charge(request.scope, rates.polls, caller.key_id)
    return caller


Submitter = Annotated[Identity, Depends(charge_submit)]
Poller = Annotated[Identity, Depends(charge_poll)]
"""Whose key the request came with; it counts against the key's limit of submits, or of polls."""


async def name_actor(request: Request, caller: Caller) -> Actor:
    """Say who asks, for what is written down of it."""
    return Actor(caller.key_id, request_id_of(request.scope))


By = Annotated[Actor, Depends(name_actor)]


async def read_prefix(request: Request) -> str:
    """Read under which prefix the client sees the api."""
    return prefix_of(request.scope)


async def start_timing(request: Request) -> ServerTiming:
    """Start measuring where the request's time goes."""
    return ServerTiming(request)


async def read_wait_request(
    request: Request, _: Caller, settings: Annotated[Settings, provided(Settings)]
) -> WaitRequest:
    """Read how long the request wants to wait."""
    return read_wait(request, settings.wait_cap_s)


async def hold_body(
    caller: Caller, held: Annotated[HeldBytes, provided(HeldBytes)]
) -> AsyncIterator[HeldBody]:
    """Count the bytes of the request's body until it is answered."""
    with HeldBody(held, caller.tenant) as body:
        yield body


Held = Annotated[HeldBody, Depends(hold_body)]
Limits = Annotated[BodyLimits, provided(BodyLimits)]


async def read_submit_sized(request: Request, held: Held, limits: Limits) -> Raw:
    """Read a JSON body that may be as large as that of any submit."""
    return await read_json_body(request, limits.largest, limits.timeout_s, held)


async def read_small(request: Request, held: Held, limits: Limits) -> Raw:
    """Read a JSON body that holds no input."""
    return await read_json_body(request, ENVELOPE, limits.timeout_s, held)


Timing = Annotated[ServerTiming, Depends(start_timing)]
Prefix = Annotated[str, Depends(read_prefix)]
Wait = Annotated[WaitRequest, Depends(read_wait_request)]
JsonBody = Annotated[Raw, Depends(read_submit_sized)]
SmallJsonBody = Annotated[Raw, Depends(read_small)]
