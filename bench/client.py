"""A client that costs almost nothing: prepared bytes over UNIX sockets.

What it sends is what dockerd sends: no host, no content type, one line of JSON.
"""

from __future__ import annotations

import json
import os
import select
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_HEAD = (
    "POST /{path} HTTP/1.1\r\nHost: \r\nUser-Agent: Go-http-client/1.1\r\n"
    "Content-Length: {length}\r\nAccept: application/vnd.docker.plugins.v1.2+json\r\n\r\n"
)
# A view of the plugin, which is answered once the stored records have been read.
STATUS = b"GET /v1/status HTTP/1.1\r\nHost: \r\n\r\n"
_SUCCESS = b"HTTP/1.1 200"
_LARGEST_READ = 65536


class CallFailed(Exception):
    """A call did not get the answer that it should; the message contains the answer."""


def request_bytes(path: str, body: Any = None) -> bytes:
    """A request as the bytes that are sent."""
    content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode() + b"\n"
    return _HEAD.format(path=path, length=len(content)).encode() + content


def request_address(pool_id: str) -> bytes:
    """The request of a container for any address of the pool."""
    body = {"PoolID": pool_id, "Address": "", "Options": None}
    return request_bytes("IpamDriver.RequestAddress", body)


def release_address(pool_id: str, address: str) -> bytes:
    """The request that releases the address of a container."""
    body = {"PoolID": pool_id, "Address": address}
    return request_bytes("IpamDriver.ReleaseAddress", body)


def request_pool(tags: str, label: str = "") -> bytes:
    """The request of a network for a block from a scope with these tags."""
    options = {"scope_filter_tags": tags, **({"id": label} if label else {})}
    body = {"AddressSpace": "local", "Pool": "", "SubPool": "", "Options": options, "V6": False}
    return request_bytes("IpamDriver.RequestPool", body)


def release_pool(pool_id: str) -> bytes:
    """The request that releases the pool of a removed network."""
    return request_bytes("IpamDriver.ReleasePool", {"PoolID": pool_id})


def connect(path: Path) -> socket.socket:
    """A blocking connection."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(str(path))
    return connection


class Connection:
    """One kept-alive connection, one request at a time."""

    def __init__(self, path: Path) -> None:
        self._socket = connect(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()

    def timed(self, request: bytes) -> tuple[float, bytes]:
        """The seconds from the first byte sent to the last byte of the answer, and the answer."""
        begun = time.perf_counter_ns()
        self._socket.sendall(request)
        answer = self._socket.recv(_LARGEST_READ)
        while not _is_whole(answer):
            more = self._socket.recv(_LARGEST_READ)
            if not more:
                raise CallFailed(f"the connection ended after {answer!r}")
            answer += more
        seconds = (time.perf_counter_ns() - begun) / 1e9
        if not answer.startswith(_SUCCESS):
            raise CallFailed(answer.decode())
        return seconds, answer

    def call(self, request: bytes) -> dict[str, Any]:
        """The JSON object that answers the request."""
        answer: dict[str, Any] = json.loads(_body(self.timed(request)[1]))
        return answer


def _body(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def _is_whole(answer: bytes) -> bool:
    # Every body is a JSON object, and no header ends like one.
    return answer.endswith(b"}")


def object_of(answer: bytes) -> dict[str, Any]:
    """The JSON object of an answer."""
    found: dict[str, Any] = json.loads(_body(answer))
    return found


@dataclass(frozen=True)
class Flood:
    """The outcome of many requests over several connections at once."""

    answered: int
    seconds: float
    own_seconds: float

    @property
    def rate(self) -> float:
        """Requests answered per second."""
        return self.answered / self.seconds

    @property
    def own_share(self) -> float:
        """How much of one processor the client used. Near 1, the client is the bottleneck."""
        return self.own_seconds / self.seconds


def flood(
    path: Path,
    requests: Iterable[bytes],
    connections: int,
    keep: Callable[[bytes], None] | None = None,
) -> Flood:
    """Send all requests, as fast as they are answered, with this many in flight at once.

    `keep` is handed every answer.
    """
    pending = iter(requests)
    sockets = {connection.fileno(): connection for connection in _connections(path, connections)}
    poll = select.epoll()
    for descriptor in sockets:
        poll.register(descriptor, select.EPOLLIN)
    begun, begun_own = time.perf_counter(), time.process_time()
    try:
        answered = _exchange(poll, list(sockets), pending, keep)
    finally:
        seconds, own = time.perf_counter() - begun, time.process_time() - begun_own
        poll.close()
        for connection in sockets.values():
            connection.close()
    return Flood(answered, seconds, own)


def _connections(path: Path, count: int) -> list[socket.socket]:
    return [connect(path) for _ in range(count)]


def _exchange(
    poll: select.epoll,
    descriptors: list[int],
    pending: Iterable[bytes],
    keep: Callable[[bytes], None] | None,
) -> int:
    answered = under_way = 0
    for descriptor, request in zip(descriptors, pending, strict=False):
        os.write(descriptor, request)
        under_way += 1
    while under_way:
        for descriptor, _ in poll.poll():
            answer = os.read(descriptor, _LARGEST_READ)
            if not answer.startswith(_SUCCESS) or not _is_whole(answer):
                raise CallFailed(answer.decode() or "the connection ended")
            if keep is not None:
                keep(answer)
            answered += 1
            under_way -= 1
            for request in pending:
                os.write(descriptor, request)
                under_way += 1
                break
    return answered
