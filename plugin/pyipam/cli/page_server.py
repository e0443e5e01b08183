"""The page of a plugin, handed on from its socket to a browser on this host.

The socket belongs to root, and a browser cannot open it. The link of the page has a token in its
path, so that nobody else on the host can read it; the token ends with the server.
"""

from __future__ import annotations

import hmac
import json
import secrets
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pyipam.cli.client import Client, Reply
from pyipam.cli.refusal import CommandRefused

_HOST = "127.0.0.1"
_JSON = "application/json"
# What the page is made of: see api/page.py.
_PARTS = ("/page/", "/v1/")
# Said by the server itself.
_OWN_HEADERS = {"connection", "content-length", "date", "server", "transfer-encoding", "via"}


class PageServer(ThreadingHTTPServer):
    """Serves the page of one plugin on the loopback interface, at `link`."""

    daemon_threads = True

    def __init__(self, client: Client, port: int) -> None:
        """Listen on this port; 0 is any. Raises CommandRefused."""
        try:
            super().__init__((_HOST, port), _Handler)
        except OSError as error:
            raise CommandRefused(
                f"port {port} cannot be listened on ({error.strerror}); choose another one"
            ) from None
        self.client = client
        self.token = secrets.token_urlsafe(18)

    @property
    def link(self) -> str:
        """Where the page is."""
        return f"http://{_HOST}:{self.server_port}/{self.token}/"

    def reply_to(self, host: str, path: str) -> Reply:
        """What is answered to GET of a path, under the name of a host."""
        if host not in (f"{_HOST}:{self.server_port}", f"localhost:{self.server_port}"):
            return _refusal(421, f"this is {_HOST}:{self.server_port}, and not {host}")
        _, token, rest = (*path.split("/", 2), "", "")[:3]
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return _refusal(403, "use the link that pyipam ui has printed")
        wanted = f"/{rest}"
        if wanted != "/" and not wanted.startswith(_PARTS):
            return _refusal(404, f"there is no {wanted} here")
        try:
            return self.client.fetch(wanted)
        except CommandRefused as error:
            return _refusal(503, str(error))


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        reply = self.server.reply_to(self.headers.get("Host", ""), self.path)
        self.send_response(reply.status)
        for name, value in reply.headers:
            if name.lower() not in _OWN_HEADERS:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(reply.body)

    def log_message(self, *_: object) -> None:
        """Nothing: the terminal belongs to the command."""


def _refusal(status: int, message: str) -> Reply:
    return Reply(status, [("Content-Type", _JSON)], json.dumps({"Err": message}).encode())
