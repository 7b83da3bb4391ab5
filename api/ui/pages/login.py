"""Log in with a key or a link, log out, choose light or dark."""

from __future__ import annotations

from starlette.responses import Response

from api.http.prefix import peer_of
from api.keys.keyring import Identity, Keyring, Unauthorized
from api.ui.same_origin import PLAIN, SECURE, is_https, is_loopback
from api.ui.session import SESSION_S
from api.ui.view import THEME, THEMES, Pages, View, read_next

PAGES = Pages()
YEAR_S = 31_536_000
NOT_SAFE = "Keys are taken over https, or on the machine itself: here somebody between could read yours."


@PAGES.get("/login", None)
async def ask(view: View) -> Response:
    """Ask for a key."""
    return _show_form(view, "")


@PAGES.act("/login", None)
async def log_in(view: View) -> Response:
    """Exchange a key for a cookie."""
    if not (is_https(view.request) or is_loopback(view.request)):
        return _show_form(view, NOT_SAFE, 403)
    key = view.form.get("key", "").strip().encode("ascii", "replace")
    try:
        caller = await view.parts[Keyring].check([b"Bearer " + key], peer=peer_of(view.request.scope))
    except Unauthorized:
        return _show_form(view, "This key is not valid.", 401)
    return _start_session(view, caller, read_next(view.form.get("next", "")))


@PAGES.get("/enter/{token}", None)
async def enter(view: View) -> Response:
    """Log in by a link that is good once, on the machine that has made it."""
    key_id = view.shared.sessions.use_link(view.param("token")) if is_loopback(view.request) else None
    if key_id is None:
        return _show_form(view, "This link is used up, or more than a minute old.", 401)
    return _start_session(view, await view.parts[Keyring].check_id(key_id), "")


@PAGES.act("/logout", None)
async def log_out(view: View) -> Response:
    """Forget the session."""
    answer = view.go("/login")
    for name in (SECURE, PLAIN):
        answer.delete_cookie(name, path="/", secure=name == SECURE, httponly=True, samesite="strict")
    return answer


@PAGES.act("/theme", None)
async def choose_theme(view: View) -> Response:
    """Keep how the pages shall look."""
    theme = view.form.get("theme", "")
    answer = view.go(read_next(view.form.get("next", "")).partition("?")[0])
    if theme in THEMES:
        answer.set_cookie(THEME, theme, YEAR_S, path="/", secure=is_https(view.request), samesite="strict")
    return answer


def _start_session(view: View, caller: Identity, back: str) -> Response:
    view.let_in(caller)
    path, _, query = (back or view.home).partition("?")
    answer = view.go(path)
    if query:
        answer.headers["location"] += f"?{query}"
    safe = is_https(view.request)
    answer.set_cookie(
        SECURE if safe else PLAIN, view.shared.sessions.make(caller.key_id), SESSION_S,
        path="/", secure=safe, httponly=True, samesite="strict",
    )  # fmt: skip
    return answer


def _show_form(view: View, wrong: str, status: int = 200) -> Response:
    back = read_next(view.form.get("next", "") or view.query("next"))
    return view.show("login.html", status, page="", wrong=wrong, next=back)
