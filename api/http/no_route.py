"""Answer where there is no route for a path, or none with this method: say which there is.

Nothing is redirected: many clients drop the body of a redirected POST, or its key.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount

from api.http.asgi import Header
from api.http.edge import request_id_of
from api.http.prefix import prefix_of
from api.http.problems import http_problem
from api.http.response import Reply, ReplyResponse

VERSION = "/v1"


async def show_http_error(request: Request, error: Exception) -> Response:
    """Answer an error that has only a status; OPTIONS is answered with the allowed methods."""
    assert isinstance(error, HTTPException)  # noqa: S101  it is registered for nothing else
    detail, headers = str(error.detail), list[Header]()
    if error.status_code == 405:
        allow = _allowed_methods(request)
        if request.method == "OPTIONS":
            return ReplyResponse(Reply(204, [(b"allow", allow.encode())], b""))
        detail, headers = f"This path takes {allow}.", [(b"allow", allow.encode())]
    elif error.status_code == 404:
        detail = _advise(request)
    return ReplyResponse(http_problem(error.status_code, detail, headers, request_id_of(request.scope)))


def is_written_out(request: Request) -> bool:
    """Say whether this very path is another route, with another method: `/v1/jobs/poll` is no job."""
    path, own = request.scope["path"], request.scope["route"].path
    return own != path and any(getattr(route, "path", None) == path for route in request.app.routes)


def _allowed_methods(request: Request) -> str:
    """List the methods that this path takes. A path that is written out in a route is that route's alone."""
    found = _routes_of(request, request.scope["path"])
    own = [route for route in found if "{" not in getattr(route, "path", "{")] or found
    methods = {"OPTIONS"}.union(*map(_methods_of, own))
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


def _methods_of(route: BaseRoute) -> set[str]:
    return {"GET"} if isinstance(route, Mount) else set(getattr(route, "methods", None) or ())


def _routes_of(request: Request, path: str) -> list[BaseRoute]:
    scope = dict(request.scope, path=path, root_path="")  # a mount has put itself there
    return [route for route in request.app.routes if route.matches(scope)[0] is not Match.NONE]


def _advise(request: Request) -> str:
    """Name the path that was probably meant."""
    for path in _likely(request.scope["path"]):
        if _routes_of(request, path):
            return f"There is nothing at this path, but there is at {prefix_of(request.scope)}{quote(path)}"
    return "There is nothing at this path."


def _likely(path: str) -> Iterator[str]:
    """Make paths without empty steps: `/v1/jobs/` and `//v1/jobs` are none of ours; and with the version that was left out."""
    plain = "/" + "/".join(filter(None, path.split("/")))
    if plain not in (path, "/"):
        yield plain
    if not plain.startswith(VERSION):
        yield VERSION + plain
