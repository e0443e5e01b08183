"""The page for people: files of `pyipam/page`, which read `/v1` and nothing else."""

from __future__ import annotations

from importlib.resources import files
from pathlib import PurePath

import falcon

# Everything comes from here, scripts and styles only as files: a name that somebody gave to a
# network is never run.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
_TYPES = {
    ".html": falcon.MEDIA_HTML,
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
# A browser asks for the icon anew at each step.
_OFTEN_ASKED_FOR, _KEPT = ".svg", "max-age=86400"
_START = "index.html"


class Page:
    """One resource for the files of the page. They are read once, when the first is asked for."""

    # The paths under which it answers.
    ROUTES = ("/", "/page/{name}")

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def on_get_file(
        self, request: falcon.Request, response: falcon.Response, name: str = _START
    ) -> None:
        if not self._files:
            self._files = {
                entry.name: entry.read_bytes()
                for entry in files("pyipam").joinpath("page").iterdir()
            }
        content = self._files.get(name)
        if content is None:
            raise falcon.HTTPNotFound
        response.data = content
        suffix = PurePath(name).suffix
        response.content_type = _TYPES[suffix]
        response.set_headers(_HEADERS)
        if suffix == _OFTEN_ASKED_FOR:
            response.cache_control = [_KEPT]
