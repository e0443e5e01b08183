"""Badly behaved clients. None of them requests anything that would be held."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.dockerd import CALL_TIMEOUT_SECONDS, Driver, request_bytes

SPACES = request_bytes("POST", "/IpamDriver.GetDefaultAddressSpaces")
VIEWS = ["/v1/status", "/v1/scopes", "/v1/pools", "/v1/leases", "/v1/plan", "/v1/nodes"]
TEN_MEGABYTES = 10 * 1024 * 1024


class Mischief:
    """Misuses one socket, over and over. Every choice comes from the seed."""

    def __init__(self, path: Path, seed: int) -> None:
        self._path = path
        self._choose = random.Random(seed)
        self._left_open: list[socket.socket] = []
        self._ways: list[Callable[[], None]] = [
            self.send_a_byte_now_and_then,
            self.disconnect_during_a_request,
            self.disconnect_during_an_answer,
            self.leave_half_a_request,
            self.request_much_and_read_nothing,
            self.send_ten_megabytes,
            self.send_ten_megabytes_in_chunks,
            self.send_ten_thousand_header_lines,
            self.send_many_requests_at_once,
            self.send_garbage,
        ]

    def misbehave_until(self, end: float) -> None:
        """Misbehave in one way after the other, in random order, until that time (monotonic)."""
        while time.monotonic() < end:
            self._choose.choice(self._ways)()

    def close(self) -> None:
        """Close the connections that were left open."""
        for connection in self._left_open:
            connection.close()
        self._left_open.clear()

    def send_a_byte_now_and_then(self) -> None:
        with self._connection() as connection:
            for byte in SPACES:
                connection.sendall(bytes([byte]))
                time.sleep(0.005)
            self._read_spaces(Driver(connection), 1)

    def disconnect_during_a_request(self) -> None:
        body = b'{"AddressSpace":"local","Pool":"","SubPool":"","Options":{},"V6":false}\n'
        request = request_bytes("POST", "/IpamDriver.RequestPool", body)
        with self._connection() as connection:
            connection.sendall(request[: self._choose.randrange(1, len(request))])

    def disconnect_during_an_answer(self) -> None:
        with self._connection() as connection:
            connection.sendall(self._views(20) + SPACES * 20)
            with contextlib.suppress(ConnectionError):
                connection.recv(self._choose.randrange(1, 2000))

    def leave_half_a_request(self) -> None:
        request = request_bytes("POST", "/IpamDriver.ReleasePool", b"{}" * 100_000, 256 * 1024)
        self._leave_open(request[: self._choose.choice([1, 50, 200, 100_000, len(request)])])

    def request_much_and_read_nothing(self) -> None:
        self._leave_open(self._views(30) + SPACES * 30)

    def send_ten_megabytes(self) -> None:
        head = request_bytes("POST", "/IpamDriver.RequestPool", length=TEN_MEGABYTES)
        self._send_too_much(head, b" " * 65536)

    def send_ten_megabytes_in_chunks(self) -> None:
        head = b"POST /IpamDriver.RequestPool HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        self._send_too_much(head, b"10000\r\n" + b" " * 65536 + b"\r\n")

    def send_ten_thousand_header_lines(self) -> None:
        line = self._choose.choice(
            [b"X: y\r\n", b"a:\r\n", b" folded\r\n", b"Content-Length: 0\r\n"]
        )
        self._refused(b"POST /IpamDriver.RequestPool HTTP/1.1\r\n" + line * 10_000 + b"\r\n")

    def send_many_requests_at_once(self) -> None:
        with self._connection() as connection:
            driver = Driver(connection)
            driver.send(SPACES * 50)
            self._read_spaces(driver, 50)
            views = [self._choose.choice(VIEWS) for _ in range(20)]
            driver.send(b"".join(request_bytes("GET", view) + SPACES for view in views))
            for _ in views:
                assert isinstance(driver.read().json(), dict)
                self._read_spaces(driver, 1)

    def send_garbage(self) -> None:
        content = self._choose.randbytes(self._choose.choice([1, 100, 50_000]))
        self._refused(content + b"\r\n\r\n")

    def _connection(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(CALL_TIMEOUT_SECONDS)
        connection.connect(str(self._path))
        return connection

    def _leave_open(self, content: bytes) -> None:
        if len(self._left_open) >= 5:
            self._left_open.pop(0).close()
        connection = self._connection()
        with contextlib.suppress(ConnectionError):
            connection.sendall(content)
        self._left_open.append(connection)

    def _views(self, count: int) -> bytes:
        return b"".join(request_bytes("GET", self._choose.choice(VIEWS)) for _ in range(count))

    def _read_spaces(self, driver: Driver, count: int) -> None:
        for _ in range(count):
            assert driver.read().json()["LocalDefaultAddressSpace"] == "local"

    def _send_too_much(self, head: bytes, piece: bytes) -> None:
        with self._connection() as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(head)
                for _ in range(TEN_MEGABYTES // 65536):
                    connection.sendall(piece)
            for status in _statuses(connection):
                assert status in (400, 413), status

    def _refused(self, content: bytes) -> None:
        with self._connection() as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(content)
                connection.shutdown(socket.SHUT_WR)
            for status in _statuses(connection):
                assert 400 <= status < 500, status


def _statuses(connection: socket.socket) -> Iterator[int]:
    """The statuses of the answers, until the connection ends. There may be none."""
    driver = Driver(connection)
    with contextlib.suppress(ConnectionError, EOFError):
        while True:
            reply = driver.read()
            assert reply.error()
            yield reply.status
