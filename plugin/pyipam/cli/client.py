"""The views of a plugin (docs/views.md), read over its UNIX socket or its listener on TCP."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from pyipam.cli.refusal import CommandRefused

_TIMEOUT_SECONDS = 30.0
_NOT_FOUND = 404
# A call was read, and refused for what it asks: pyipam/api/app.py.
_REFUSALS = (400, _NOT_FOUND, 409, 422)
# What fits into sun_path (unix(7)) with the zero at its end.
_LONGEST_SOCKET_PATH = 107


class Answer(dict[str, Any]):
    """An object of an answer. A member that is missing is named."""

    def __missing__(self, name: str) -> Any:
        raise CommandRefused(
            f"the plugin's answer has no {name!r}: is the plugin of another version than this "
            "command? pyipam version shows both"
        )


class Source(NamedTuple):
    """Where views are read: a socket, or a host and a port; `name` is for messages."""

    name: str
    socket: Path | None = None
    host: str = ""
    port: int = 0


class Reply(NamedTuple):
    """What a plugin has answered: the HTTP status, the headers and the body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Done(NamedTuple):
    """What a plugin has answered to a call that it has carried out."""

    answer: Answer


class Refused(NamedTuple):
    """Why a plugin has refused a call."""

    why: str


class _UnixConnection(HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("pyipam", timeout=_TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_TIMEOUT_SECONDS)
        if len(os.fsencode(self._path)) <= _LONGEST_SOCKET_PATH:
            self.sock.connect(str(self._path))
            return
        folder = os.open(self._path.parent, os.O_PATH)
        try:
            self.sock.connect(f"/proc/self/fd/{folder}/{self._path.name}")
        finally:
            os.close(folder)


def source_of_url(url: str) -> Source:
    """The listener at http://HOST:PORT, or HOST:PORT alone. Raises CommandRefused."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme != "http" or not host:
        raise CommandRefused(
            f"--url {url} is not the address of a listener: write http://HOST:PORT"
        )
    return Source(url, host=host, port=port or 80)


class Client:
    """Asks one plugin for its views."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def get(self, view: str, **parameters: object) -> Any:
        """What a view answers. A parameter that is None or empty is left out. Raises
        CommandRefused."""
        given = {name: value for name, value in parameters.items() if value not in (None, "")}
        # What is not UTF-8 is sent as it is, and the plugin refuses it.
        query = urlencode(given, errors="surrogateescape")
        path = f"/v1/{view}" + (f"?{query}" if given else "")
        status, content = self._exchange("GET", path)
        if status == 200:
            return content
        reason = content.get("Err") if isinstance(content, Answer) else None
        if status == _NOT_FOUND and not reason:
            raise self._not_pyipam(path, status)
        if status == _NOT_FOUND and str(reason).startswith("GET "):
            raise self._too_old(view)
        raise CommandRefused(str(reason or f"{path} is answered with HTTP status {status}"))

    def call(self, name: str, body: Mapping[str, Any]) -> Done | Refused:
        """Ask the plugin to change something. Raises CommandRefused if it cannot be asked, or
        cannot answer now."""
        path = f"/Pyipam.{name}"
        status, content = self._exchange("POST", path, json.dumps(body).encode())
        if status == 200 and isinstance(content, Answer):
            return Done(content)
        reason = content.get("Err") if isinstance(content, Answer) else None
        if not reason or status not in _REFUSALS:
            raise CommandRefused(str(reason or f"{path} is answered with HTTP status {status}"))
        if status == _NOT_FOUND and reason.startswith("POST "):
            raise CommandRefused("the plugin is older than this command; upgrade the plugin")
        return Refused(str(reason))

    def change(self, name: str, body: Mapping[str, Any]) -> Answer:
        """The answer to a call that is not to be refused. Raises CommandRefused."""
        result = self.call(name, body)
        if isinstance(result, Refused):
            raise CommandRefused(result.why)
        return result.answer

    def items(self, view: str, **parameters: object) -> Iterator[Answer]:
        """Every item of a list, page by page. Raises CommandRefused."""
        after = None
        while True:
            page = self.get(view, after=after, limit=500, **parameters)
            if not isinstance(page, Answer):
                raise self._too_old(view)
            yield from page["items"]
            before, after = after, page["next"]
            if after is None:
                return
            if after == before:
                raise self._endless(view)

    def items_at_once(self, view: str) -> list[Answer]:
        """Every item of a list that comes as one page. Raises CommandRefused."""
        page = self.get(view)
        if not isinstance(page, Answer):
            raise self._too_old(view)
        if page["next"] is not None:
            raise self._endless(view)
        items: list[Answer] = page["items"]
        return items

    def fetch(self, path: str) -> Reply:
        """What the plugin answers to GET of a path, whatever it is. Raises CommandRefused."""
        return self._send("GET", path, b"")

    def _too_old(self, view: str) -> CommandRefused:
        return CommandRefused(
            f"the plugin is older than this command and cannot show /v1/{view} as it is asked for; "
            "upgrade the plugin"
        )

    def _not_pyipam(self, path: str, status: int) -> CommandRefused:
        return CommandRefused(
            f"{self.source.name} answers {path} with HTTP status {status}, and not as pyipam does: "
            "is it the socket or the listener of the plugin?"
        )

    def _endless(self, view: str) -> CommandRefused:
        return CommandRefused(f"{self.source.name} answers /v1/{view} without an end")

    def _exchange(self, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
        status, _, answer = self._send(method, path, body)
        try:
            return status, json.loads(answer, object_hook=Answer)
        except (ValueError, RecursionError):
            raise self._not_pyipam(path, status) from None

    def _send(self, method: str, path: str, body: bytes) -> Reply:
        source = self.source
        connection = (
            _UnixConnection(source.socket)
            if source.socket is not None
            else HTTPConnection(source.host, source.port, timeout=_TIMEOUT_SECONDS)
        )
        try:
            connection.request(method, path, body or None)
            response = connection.getresponse()
            return Reply(response.status, response.getheaders(), response.read())
        except PermissionError:
            raise CommandRefused(_no_permission(source)) from None
        except FileNotFoundError:
            raise CommandRefused(
                f"there is no socket {source.name}: the plugin is not enabled, or its engine runs "
                "on another host; run pyipam there"
            ) from None
        except ConnectionRefusedError:
            raise CommandRefused(
                f"nobody listens at {source.name}: is the plugin enabled? (docker plugin ls)"
            ) from None
        except TimeoutError:
            raise CommandRefused(
                f"{source.name} has not answered within {_TIMEOUT_SECONDS:g} seconds"
            ) from None
        except HTTPException as error:
            raise CommandRefused(
                f"{source.name} broke its answer off ({type(error).__name__}); ask again"
            ) from None
        except OSError as error:
            raise CommandRefused(
                f"{source.name} cannot be read: {error.strerror or error}"
            ) from None
        except UnicodeError:
            # From the encoding of a host name for DNS.
            raise CommandRefused(f"{source.host!r} is not the name of a host") from None
        finally:
            connection.close()


def _no_permission(source: Source) -> str:
    plugin_id = source.socket.parent.name if source.socket is not None else "ID"
    return (
        f"only root may open {source.name}: use sudo; or set STATUS_ADDR of the plugin "
        "(docs/monitoring) and ask with --url; or, without installing anything, run the "
        "command inside the plugin as root: runc --root "
        f"/run/docker/runtime-runc/plugins.moby exec {plugin_id} /usr/bin/python3 -I -m pyipam "
        "status"
    )
