"""Malformed and unfinished requests are answered if they can be, and disturb nobody."""

from __future__ import annotations

import contextlib

import pytest

from tests.support.dockerd import (
    Driver,
    Engine,
    go_json,
    pool_request,
    request_bytes,
)
from tests.support.program import Program


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("POST", "/IpamDriver.Nonsense", 404),
        ("POST", "/", 405),
        ("POST", "/nonsense", 404),
        ("POST", "/NetworkDriver.CreateNetwork", 404),
        ("POST", "/v1/nonsense", 404),
        ("GET", "/v1/", 404),
        ("GET", "/IpamDriver.RequestPool", 405),
        ("DELETE", "/IpamDriver.ReleasePool", 405),
        ("POST", "/v1/status", 405),
        ("PUT", "/Plugin.Activate", 405),
    ],
)
def test_an_unknown_path_or_method_is_refused_with_both(
    unchanged: Driver, method: str, target: str, status: int
) -> None:
    reply = unchanged.raw(method, target)

    assert reply.status == status
    assert reply.error().startswith(f"{method} {target}: {status}")


@pytest.mark.parametrize(
    ("content", "status"),
    [
        pytest.param(b"nonsense\r\n\r\n", 400, id="not-a-request"),
        pytest.param(b"POST /IpamDriver.RequestPool\r\n\r\n", 400, id="no-version"),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400, id="invalid-length"),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, id="negative-length"),
        pytest.param(
            b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
            400,
            id="huge-length",
        ),
        pytest.param(b"POST http://[/ HTTP/1.1\r\n\r\n", 400, id="half-an-ipv6-address"),
        # These would keep the regular expressions of waitress busy for minutes.
        pytest.param(b"POST a://" + b"1" * 16_000 + b" x\r\n\r\n", 400, id="long-line"),
        pytest.param(b"POST / HTTP/1.1\r\nA:" + b" \t" * 8_000 + b"b\r\n\r\n", 400, id="blanks"),
        pytest.param(
            b"POST / HTTP/1.1\r\nA:b" + b"\r\n      " * 2_000 + b"b\r\n\r\n",
            400,
            id="folded-blanks",
        ),
        pytest.param(b"POST / HTTP/1.1\r\nno header\r\n\r\n", 400, id="invalid-header"),
        pytest.param(
            b"POST / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", 431, id="many-headers"
        ),
        pytest.param(b"POST /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n", 431, id="long-target"),
    ],
)
def test_malformed_http_is_answered_and_the_connection_closed(
    shared_program: Program,
    shared_engine: Engine,
    unchanged: Driver,
    content: bytes,
    status: int,
) -> None:
    stranger = shared_program.driver(shared_engine)
    # The plugin may answer, and close the connection, before all of it is sent.
    with contextlib.suppress(BrokenPipeError):
        stranger.send(content)

    reply = stranger.read()

    assert reply.status == status
    assert reply.error()
    with pytest.raises((EOFError, ConnectionError)):
        stranger.read()


@pytest.mark.parametrize("cut", [1, 20, 100, 170, -5, -1])
def test_an_unfinished_request_changes_nothing(
    shared_program: Program, shared_engine: Engine, unchanged: Driver, cut: int
) -> None:
    body = go_json(pool_request("100.64.9.0/24")).encode()
    request = request_bytes("POST", "/IpamDriver.RequestPool", body)
    stranger = shared_program.driver(shared_engine)

    stranger.send(request[:cut])
    stranger.close()

    assert unchanged.call("GetDefaultAddressSpaces").status == 200


def test_a_client_that_hangs_up_before_the_answer_disturbs_nobody(
    shared_program: Program, shared_engine: Engine, unchanged: Driver
) -> None:
    for _ in range(20):
        hasty = shared_program.driver(shared_engine)
        hasty.send(request_bytes("POST", "/IpamDriver.GetDefaultAddressSpaces") * 50)
        hasty.close()

    assert unchanged.call("GetDefaultAddressSpaces").status == 200
