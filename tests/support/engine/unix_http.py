"""HTTP over a UNIX socket whose path may exceed the 108 bytes of a socket address."""

import http.client
import json
import os
import socket
from pathlib import Path
from typing import IO, Any


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        directory = os.open(self._path.parent, os.O_PATH)
        try:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(f"/proc/self/fd/{directory}/{self._path.name}")
        finally:
            os.close(directory)


class HttpError(AssertionError):
    """The answer was not a success; the message contains it."""


def request(
    path: Path,
    method: str,
    target: str,
    body: bytes | IO[bytes] | None = None,
    *,
    content_type: str = "application/json",
    timeout: float = 180,
) -> bytes:
    """Send a request over the socket at that path; the body of the answer. Raises HttpError."""
    connection = _UnixConnection(path, timeout)
    try:
        connection.request(method, target, body, {"Content-Type": content_type})
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    if response.status >= 300:
        raise HttpError(f"{method} {target}: {response.status} {answer.decode().strip()}")
    return answer


def get_json(path: Path, target: str) -> Any:
    """The JSON at the target. Raises HttpError."""
    return json.loads(request(path, "GET", target))
