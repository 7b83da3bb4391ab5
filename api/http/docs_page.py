"""The pages for people: /docs with its own assets, and a greeting at the root."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import fastapi_offline
import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from api.http.asgi import Header
from api.http.openapi import TITLE
from api.http.prefix import prefix_of
from api.http.response import Reply, ReplyResponse, content_length
from sluice import __version__

ASSETS = Path(fastapi_offline.__file__).parent / "static"
HOUR: Header = (b"cache-control", b"public, max-age=3600")

# Everything the page runs comes from files of this origin, so that its policy can forbid scripts within the page.
PAGE = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sluice API</title>
<link rel="icon" href="docs/assets/favicon.png">
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
START = b"""SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
});
"""


def add_routes(app: FastAPI, document: bytes | None) -> None:
    """Add the greeting and, if there is an OpenAPI document to show, the document and its page."""
    links = {"kinds": "/v1/kinds"} | ({"docs": "/docs", "openapi": "/openapi.json"} if document else {})
    _add_json(app, "/", lambda prefix: _greeting(links, prefix))
    if document:
        _add_json(app, "/openapi.json", lambda prefix: _describe(document, prefix))
        _add_fixed(app, "/docs", "text/html; charset=utf-8", PAGE)
        _add_fixed(app, "/docs/start.js", "text/javascript; charset=utf-8", START)
        app.mount("/docs/assets", StaticFiles(directory=ASSETS), name="docs-assets")


def _greeting(links: Mapping[str, str], prefix: str) -> bytes:
    shown = {name: prefix + path for name, path in links.items()}
    return orjson.dumps({"name": TITLE, "version": __version__, "links": shown}, option=orjson.OPT_INDENT_2)


def _describe(document: bytes, prefix: str) -> bytes:
    return b'{"servers":[{"url":%b}],%b' % (orjson.dumps(prefix), document[1:]) if prefix else document


def _add_json(app: FastAPI, path: str, make: Callable[[str], bytes]) -> None:
    """Add a page that names paths. It is made once for clients that see no prefix, and anew for others."""
    usual = _reply("application/json", make(""))

    async def show(request: Request) -> Response:
        prefix = prefix_of(request.scope)
        return ReplyResponse(_reply("application/json", make(prefix)) if prefix else usual)

    app.add_api_route(path, show, methods=["GET"], include_in_schema=False)


def _reply(media_type: str, body: bytes) -> Reply:
    return Reply(200, [(b"content-type", media_type.encode()), content_length(body), HOUR], body)


def _add_fixed(app: FastAPI, path: str, media_type: str, body: bytes) -> None:
    reply = _reply(media_type, body)

    async def show(_: Request) -> Response:
        return ReplyResponse(reply)

    app.add_api_route(path, show, methods=["GET"], include_in_schema=False)
