"""The pages for people: /docs with its own assets, and a greeting at the root."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import fastapi_offline
import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from api.http.asgi import Header
from api.http.openapi import TITLE, Json
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


def add_routes(app: FastAPI, document: Json | None) -> None:
    """Add the greeting and, if there is an OpenAPI document to show, the document and its page."""
    links = {"kinds": "/v1/kinds"} | ({"docs": "/docs", "openapi": "/openapi.json"} if document else {})
    _add_fixed(app, "/", "application/json", _greeting(links))
    if document:
        body = orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS)
        _add_fixed(app, "/openapi.json", "application/json", body)
        _add_fixed(app, "/docs", "text/html; charset=utf-8", PAGE)
        _add_fixed(app, "/docs/start.js", "text/javascript; charset=utf-8", START)
        app.mount("/docs/assets", StaticFiles(directory=ASSETS), name="docs-assets")


def _greeting(links: Mapping[str, str]) -> bytes:
    return orjson.dumps({"name": TITLE, "version": __version__, "links": links}, option=orjson.OPT_INDENT_2)


def _add_fixed(app: FastAPI, path: str, media_type: str, body: bytes) -> None:
    headers = [(b"content-type", media_type.encode()), content_length(body), HOUR]
    reply = Reply(200, headers, body)

    async def show(_: Request) -> Response:
        return ReplyResponse(reply)

    app.add_api_route(path, show, methods=["GET"], include_in_schema=False)
