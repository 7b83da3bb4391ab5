"""What every page is made with: who looks, what they may do, and the answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from api.http.auth import ROUTE_SCOPES
from api.http.body import BodyLimits, read_body
from api.http.dependencies import Parts, parts_of
from api.http.edge import ROUTE, request_id_of
from api.http.errors import Forbidden
from api.http.held_bytes import HeldBody, HeldBytes
from api.http.prefix import prefix_of
from api.http.problems import describe_problem
from api.http.rate_limits import RateLimits, charge
from api.keys.keyring import Identity, Keyring, Unauthorized
from api.ui.navigation import LINKS, Link
from api.ui.rendering import render
from api.ui.same_origin import OtherOrigin, check_same_origin, session_cookie
from api.ui.shared import Shared
from sluice import __version__
from sluice.core.access import PAYLOADS, Actor
from sluice.core.errors import Flaw, Invalid
from sluice.core.runtime.settings import Settings
from sluice.errors import SluiceError

THEMES = ("auto", "light", "dark")
THEME = "sluice-theme"
MOST_FIELDS = 200
LOGIN = 4_096
"""Bytes of a form that anybody may send."""
FORM = 1024 * 1024
"""Bytes of a form that a key may send; what is longer is for the API."""

Needs = tuple[str, str]
"""A route of the API, by method and template: a page needs the scope of the route whose flow it uses."""


class View:
    """A request for a page, by a key that may see it. `form` is what a form has sent."""

    def __init__(self, request: Request, shared: Shared) -> None:
        self.request, self.shared = request, shared
        self._caller: Identity | None = None
        self.parts: Parts = parts_of(request)
        self.form: dict[str, str] = {}

    @property
    def caller(self) -> Identity:
        """Whose key it is. Raises Unauthorized on pages that are shown to anybody."""
        if self._caller is None:
            raise Unauthorized
        return self._caller

    def let_in(self, caller: Identity) -> None:
        """Take a key for whose it is: from now on, a page that says what went wrong has the links of that key as well."""
        self._caller = caller

    @property
    def by(self) -> Actor:
        """Who acts, for what is written down of it."""
        return Actor(self.caller.key_id, request_id_of(self.request.scope))

    @property
    def base(self) -> str:
        """The path of the dashboard, as the browser sees it."""
        return prefix_of(self.request.scope) + "/ui"

    def param(self, name: str) -> str:
        """Return a part of the path."""
        return str(self.request.path_params[name])

    def query(self, name: str) -> str:
        """Return a parameter of the query, without what surrounds it; empty if there is none."""
        return self.request.query_params.get(name, "").strip()

    def may(self, method: str, route: str) -> bool:
        """Say whether the key may use this route of the API; only such acts are shown."""
        return self._caller is not None and ROUTE_SCOPES[method, route] in self._caller.scopes

    @property
    def links(self) -> list[Link]:
        """List the pages that the key may see."""
        return [link for link in LINKS if self.may("GET", link.route)]

    @property
    def home(self) -> str:
        """Return the path of the first of them: a key without `read` has no overview."""
        return next((link.path for link in self.links), "")

    @property
    def sees_payloads(self) -> bool:
        """Say whether the key may see inputs and results."""
        return self._caller is not None and PAYLOADS in self._caller.scopes

    def url(self, path: str = "", **query: str | list[str] | None) -> str:
        """Write the address of a page, with a query of what is not empty."""
        given = [(name, value) for name, value in query.items() if value]
        return f"{self.base}{quote(path)}" + (f"?{urlencode(given, doseq=True)}" if given else "")

    def show(self, template: str, status: int = 200, **context: Any) -> Response:
        """Answer with a page."""
        settings = self.parts[Settings]
        theme = self.request.cookies.get(THEME, "auto")
        common = {
            "view": self, "base": self.base, "version": __version__, "env": settings.ui_env,
            "theme": theme if theme in THEMES else "auto", "who": self._caller, "may": self.may,
            "api": prefix_of(self.request.scope) + "/v1", "done": self.query("done"),
        }  # fmt: skip
        body = render(template, common | context)
        headers = {"cache-control": "no-store", "vary": "cookie"}
        return Response(body, status, headers, media_type="text/html; charset=utf-8")

    def go(self, path: str, **query: str) -> Response:
        """Send the browser on to a page, after an act."""
        return RedirectResponse("/ui" + quote(path) + (f"?{urlencode(query)}" if query else ""), 303)


Show = Callable[[View], Awaitable[Response]]


class Page(NamedTuple):
    """A page: where it is, whose scope it needs (None: it is shown to anybody), and what makes it."""

    method: str
    path: str
    needs: Needs | None
    show: Show


class Pages(list[Page]):
    """The pages of one feature."""

    def get(self, path: str, needs: Needs | None) -> Callable[[Show], Show]:
        """Make what declares a page."""
        return partial(self._add, "GET", path, needs)

    def act(self, path: str, needs: Needs | None) -> Callable[[Show], Show]:
        """Make what declares an act."""
        return partial(self._add, "POST", path, needs)

    def _add(self, method: str, path: str, needs: Needs | None, show: Show) -> Show:
        self.append(Page(method, "/ui" + path, needs, show))
        return show


def route_of(page: Page, shared: Shared) -> Route:
    """Make the route of a page: whatever is refused is answered with a page as well."""

    async def answer(request: Request) -> Response:
        request.scope[ROUTE] = page.path
        view = View(request, shared)
        try:
            return await _answer(page, view)
        except Unauthorized:
            return _to_login(view)
        except SluiceError as error:
            return show_error(view, error)

    return Route(page.path, answer, methods=[page.method])


def show_error(view: View, error: SluiceError) -> Response:
    """Answer with a page that says what went wrong."""
    row, detail = describe_problem(error)
    flaws = error.flaws if isinstance(error, Invalid) else []
    title = "This came from another site" if isinstance(error, OtherOrigin) else row.title
    shown = {"title": title, "detail": detail, "flaws": flaws, "retryable": row.retry_s is not None}
    return view.show("error.html", row.status, problem=shown, page="")


async def _answer(page: Page, view: View) -> Response:
    request = view.request
    if page.method == "POST":
        check_same_origin(request)
    if page.needs is None:
        view.form = await _read_form(view, "") if page.method == "POST" else {}
        return await page.show(view)
    key_id = view.shared.sessions.read(session_cookie(request))
    if key_id is None:
        raise Unauthorized
    view.let_in(await view.parts[Keyring].check_id(key_id))
    if not view.may(*page.needs):
        raise Forbidden(ROUTE_SCOPES[page.needs])
    if page.method == "POST":
        view.form = await _read_form(view, view.caller.tenant)
    else:
        await charge(request.scope, view.parts[RateLimits].polls, view.caller.key_id)
    return await page.show(view)


async def _read_form(view: View, tenant: str) -> dict[str, str]:
    """Read a form as browsers send it. Raises TooLarge, RequestTimeout, Invalid."""
    limits = view.parts[BodyLimits]
    most = FORM if tenant else LOGIN
    with HeldBody(view.parts[HeldBytes], tenant) as held:
        body = await read_body(view.request.receive, most, limits.timeout_s, held)
    try:
        return dict(
            parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
        )
    except ValueError:
        raise Invalid([Flaw("", "form", "This is no form of the dashboard.")]) from None


def _to_login(view: View) -> Response:
    request = view.request
    back = request.url.path.removeprefix("/ui") if request.method == "GET" else ""
    query = f"?{request.url.query}" if request.url.query and back else ""
    return view.go("/login", **({"next": back + query} if back.strip("/") else {}))


def read_next(text: str) -> str:
    """Return a path within the dashboard, or none: nobody is sent to another site."""
    plain = text.isascii() and text.isprintable() and "\\" not in text
    return text if plain and text.startswith("/") and not text.startswith("//") else ""


def say(value: Any) -> str:
    """Write a value of a document in words: a list by its members, an object by its names and values."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return "; ".join(
            f"{name.replace('_', ' ')} {say(each) if isinstance(each, list) else each}"
            for name, each in listed(value)
        )
    return str(value)


def listed(rows: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """List the entries that have a value."""
    return [(name, value) for name, value in rows.items() if value not in (None, "", [])]
