"""HTTP as dockerd speaks it: requests in a row and in pieces, heads, and connections."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import pytest

from tests.support.dockerd import (
    Driver,
    Engine,
    go_json,
    pool_request,
    request_bytes,
)
from tests.support.program import Program

pytestmark = pytest.mark.every_store

SPACES = '{"LocalDefaultAddressSpace":"local","GlobalDefaultAddressSpace":"global"}'


@pytest.fixture
def connection(shared_program: Program, shared_engine: Engine) -> Iterator[socket.socket]:
    """A connection to the running plugin."""
    connection = shared_engine.connect(shared_program.socket())
    yield connection
    connection.close()


def exchange(connection: socket.socket, request: bytes) -> tuple[list[str], str]:
    """Send a request; the lines of the response's head, and its body."""
    connection.sendall(request)
    answer = b""
    while not answer.endswith(b"}"):
        answer += connection.recv(65536)
    head, _, body = answer.decode().partition("\r\n\r\n")
    return head.split("\r\n"), body


def spaces_request(version: str = "1.1", connection: str | None = None) -> bytes:
    said = "" if connection is None else f"Connection: {connection}\r\n"
    return f"POST /IpamDriver.GetDefaultAddressSpaces HTTP/{version}\r\n{said}\r\n".encode()


def is_open(connection: socket.socket) -> bool:
    """Whether another request is answered."""
    connection.sendall(spaces_request())
    return connection.recv(65536) != b""


# Requests


def test_one_connection_serves_many_calls(driver: Driver) -> None:
    for _ in range(20):
        driver.announce()


def test_requests_can_be_pipelined(driver: Driver) -> None:
    request = request_bytes("POST", "/IpamDriver.GetDefaultAddressSpaces")
    driver.send(request * 3)

    for _ in range(3):
        assert driver.read().json()["LocalDefaultAddressSpace"] == "local"


def test_a_request_can_arrive_byte_by_byte(driver: Driver) -> None:
    for byte in request_bytes("POST", "/IpamDriver.GetDefaultAddressSpaces"):
        driver.send(bytes([byte]))

    assert driver.read().status == 200


def test_the_host_header_of_newer_engines_is_accepted(driver: Driver) -> None:
    request = request_bytes("POST", "/IpamDriver.GetDefaultAddressSpaces")
    driver.send(request.replace(b"Host: ", b"Host: plugin.moby.localhost"))

    assert driver.read().status == 200


# Responses and connections


def test_a_response_names_its_length_type_date_and_server(connection: socket.socket) -> None:
    head, body = exchange(connection, spaces_request())

    assert body == SPACES
    assert head[:3] == [
        "HTTP/1.1 200 OK",
        f"Content-Length: {len(SPACES)}",
        "Content-Type: application/json",
    ]
    assert re.fullmatch(r"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", head[3])
    assert head[4:] == ["Server: pyipam"]


def test_the_date_of_responses_advances(connection: socket.socket) -> None:
    before, _ = exchange(connection, spaces_request())
    time.sleep(1.01)
    after, _ = exchange(connection, spaces_request())

    assert parsedate_to_datetime(before[3][6:]) < parsedate_to_datetime(after[3][6:])


@pytest.mark.parametrize(
    ("version", "asked", "answered", "stays_open"),
    [
        ("1.1", None, None, True),
        ("1.1", "keep-alive", None, True),
        ("1.1", "close", "close", False),
        ("1.1", "Close", "close", False),
        ("1.0", None, "close", False),
        ("1.0", "close", "close", False),
        ("1.0", "keep-alive", "Keep-Alive", True),
        ("1.0", "Keep-Alive", "Keep-Alive", True),
    ],
)
def test_the_client_decides_whether_the_connection_stays_open(
    connection: socket.socket,
    version: str,
    asked: str | None,
    answered: str | None,
    stays_open: bool,
) -> None:
    # The answer to an earlier request must not show.
    exchange(connection, spaces_request())

    head, body = exchange(connection, spaces_request(version, asked))

    assert head[0] == f"HTTP/{version} 200 OK"
    assert body == SPACES
    said = [line for line in head if line.startswith("Connection")]
    assert said == ([] if answered is None else [f"Connection: {answered}"])
    if stays_open:
        assert is_open(connection)
    else:
        assert connection.recv(1) == b""


def test_requests_with_the_same_head_can_have_different_bodies(driver: Driver) -> None:
    for third in (1, 2, 3):
        subnet = f"100.64.16.{third}0/29"
        body = go_json(pool_request(subnet)).encode()
        driver.send(request_bytes("POST", "/IpamDriver.RequestPool", body))

    subnets = [driver.read().json()["Pool"] for _ in range(3)]
    assert subnets == ["100.64.16.8/29", "100.64.16.16/29", "100.64.16.24/29"]


def test_a_known_head_can_arrive_byte_by_byte(driver: Driver) -> None:
    shared = {"shared": "true"}
    body = go_json(pool_request("100.64.16.8/29", options=shared)).encode()
    request = request_bytes("POST", "/IpamDriver.RequestPool", body)
    driver.send(request)
    first = driver.read().json()
    for byte in request:
        driver.send(bytes([byte]))

    assert driver.read().json() == first


def test_a_response_to_a_head_request_has_no_body(connection: socket.socket) -> None:
    connection.sendall(b"HEAD /nothing HTTP/1.1\r\n\r\n")
    answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert answer.endswith(b"\r\n\r\n")
    assert is_open(connection)


def test_ten_thousand_header_lines_are_refused(
    shared_program: Program, shared_engine: Engine
) -> None:
    driver = shared_program.driver(shared_engine)
    driver.send(b"POST /Plugin.Activate HTTP/1.1\r\n" + b"a:\r\n" * 10_000 + b"\r\n")
    reply = driver.read()

    assert reply.status == 431
    assert "header" in reply.error().lower()
