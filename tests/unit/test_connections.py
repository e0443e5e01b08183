"""Connections: heads that are known, and clients that stop in the middle."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waitress.adjustments import Adjustments
from waitress.channel import ClientDisconnected
from waitress.parser import HTTPRequestParser
from waitress.task import WSGITask

from pyipam.api.app import REFUSALS
from pyipam.api.engine import ENGINE
from pyipam.errors import StoreFailure
from pyipam.serving.channel import PROGRESS_TIMEOUT_SECONDS, Channel, Request
from pyipam.serving.loop import close_without_progress

ADJUSTMENTS = Adjustments(listen="")
MORE = PROGRESS_TIMEOUT_SECONDS + 1

HEAD = b"POST /IpamDriver.RequestPool HTTP/1.1\r\nHost: \r\nContent-Length: 2\r\n\r\n"
targets = st.sampled_from(["/IpamDriver.RequestPool", "/v1/leases?pool=x", "//x", "/%0a", "*", ""])
headers = st.sampled_from(
    [
        "Host: ",
        "Content-Length: 2",
        "Content-Length: 02",
        "content-length: x",
        "Connection: close",
        "Connection: keep-alive",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip",
        "Expect: 100-continue",
        "a_b: c",
        "A: 1",
        "A: 2",
        " folded",
        "no header",
    ]
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    method = draw(st.sampled_from(["POST", "GET", "HEAD", "post"]))
    version = draw(st.sampled_from(["1.1", "1.0", "0.9", ""]))
    lines = [f"{method} {draw(targets)} HTTP/{version}", *draw(st.lists(headers, max_size=5))]
    body = draw(st.sampled_from(["", "{}", "2\r\n{}\r\n0\r\n\r\n"]))
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def read(kind: type[HTTPRequestParser], content: bytes) -> dict[str, Any]:
    """Everything that a request of this kind has when these bytes have come."""
    request = kind(ADJUSTMENTS)
    while content and not request.completed:
        content = content[request.received(content) :]
    found = dict(vars(request))
    for ours in ("begun", "environments", "path_served"):
        found.pop(ours, None)
    receiver = found.pop("body_rcv", None)
    found["error"] = None if request.error is None else (request.error.code, request.error.body)
    found["body"] = None if receiver is None else request.get_body_stream().read()
    return found | {
        name: getattr(request, name)
        for name in ("completed", "empty", "connection_close", "content_length", "version")
    }


@given(requests())
def test_a_known_head_is_read_as_waitress_parses_it(content: bytes) -> None:
    expected = read(HTTPRequestParser, content)

    assert read(Request, content) == expected
    assert read(Request, content) == expected


def is_known(head: bytes) -> bool:
    """Whether the head was known until now."""
    request = Request(ADJUSTMENTS)
    request.received(head)
    return request.environments is not None


def test_the_number_of_known_heads_is_bounded() -> None:
    heads = [b"POST /%d HTTP/1.1\r\n\r\n" % number for number in range(2_000)]
    for head in heads:
        is_known(head)

    # The latest first: a head that is read again may take the place of others.
    assert 0 < sum(map(is_known, reversed(heads))) <= 256


def test_a_long_head_does_not_become_known() -> None:
    head = b"POST /" + b"x" * 2_000 + b" HTTP/1.1\r\n\r\n"

    assert [is_known(head), is_known(head)] == [False, False]


class Server:
    """What a connection needs of its server: what came whole, and what the application saw."""

    def __init__(self, name: str = "") -> None:
        self.adj = ADJUSTMENTS
        self.server_name, self.effective_port = "pyipam", name
        self.active_channels: dict[int, Channel] = {}
        self.tasks: list[Channel] = []
        self.seen: list[dict[str, Any]] = []
        self.loop_thread = threading.get_ident()

    def add_task(self, channel: Channel) -> None:
        self.tasks.append(channel)

    def pull_trigger(self) -> None:
        """Nothing waits to be woken."""

    def application(self, environment: dict[str, Any], start_response: Any) -> list[bytes]:
        body = environment.pop("wsgi.input").read()
        self.seen.append({**environment, "body": body})
        environment["HTTP_FORGED"] = "must not be there for the next"
        start_response("200 OK", [])
        return [b"{}"]


class Connected:
    """A connection, and its client's end."""

    def __init__(self, server: Server | None = None) -> None:
        ours, self.client = socket.socketpair()
        self.server = server or Server()
        self.channels: dict[int, Any] = {}
        self.channel = Channel(self.server, ours, ("", None), ADJUSTMENTS, map=self.channels)

    def environment_of(self, content: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the application sees of a request, and what waitress alone would show it."""
        self.client.sendall(content)
        self.channel.handle_read()
        request = self.channel.requests[0]
        expected: dict[str, Any] = WSGITask(self.channel, request).get_environment()
        del expected["wsgi.input"]
        body = content.partition(b"\r\n\r\n")[2]
        expected |= {"body": body, ENGINE: self.channel.engine, REFUSALS: []}
        self.channel.prepare()
        self.channel.service()
        self.client.recv(65536)
        return self.server.seen[-1], expected

    def close(self) -> None:
        self.client.close()
        if self.channels:
            self.channel.handle_close()

    def is_closed_after(self, seconds: float) -> bool:
        """Whether it is closed by checks now and after this many seconds."""
        for now in (time.monotonic(), time.monotonic() + seconds):
            close_without_progress(self.channels, now)
        return not self.channels


@pytest.fixture
def connected() -> Iterator[Connected]:
    connected = Connected()
    yield connected
    connected.close()


def test_a_known_head_makes_the_environment_that_waitress_makes() -> None:
    servers = Server("one"), Server("two")
    connections = [Connected(server) for server in (*servers, *servers)]
    for connected in connections * 2:
        seen, expected = connected.environment_of(HEAD + b"%02d" % (id(connected) % 100))
        assert seen == expected
    for connected in connections:
        connected.close()


def test_an_idle_connection_stays_open(connected: Connected) -> None:
    connected.client.sendall(HEAD + b"{}")
    connected.channel.handle_read()

    assert connected.server.tasks
    assert not connected.is_closed_after(MORE)


@pytest.mark.parametrize("begun", [HEAD[:1], HEAD[:-1], HEAD, HEAD + b"{"])
def test_a_connection_is_closed_when_the_rest_of_a_request_does_not_come(
    connected: Connected, begun: bytes
) -> None:
    connected.client.sendall(begun)
    connected.channel.handle_read()

    assert not connected.is_closed_after(PROGRESS_TIMEOUT_SECONDS / 2)
    assert connected.is_closed_after(MORE)


def test_a_connection_is_closed_when_its_client_does_not_read(connected: Connected) -> None:
    connected.channel.write_at_once(b"x" * 10_000_000)

    assert not connected.is_closed_after(PROGRESS_TIMEOUT_SECONDS / 2)
    assert connected.is_closed_after(MORE)


def test_a_connection_stays_open_while_its_client_reads_slowly(connected: Connected) -> None:
    connected.channel.write_at_once(b"x" * 10_000_000)
    begun = time.monotonic()
    for turn in range(5):
        close_without_progress(connected.channels, begun + turn * PROGRESS_TIMEOUT_SECONDS / 2)
        connected.client.recv(1_000_000)
        connected.channel.handle_write()

    assert connected.channels


@pytest.mark.parametrize("computed", [True, False])
def test_a_refused_call_is_not_made_again(connected: Connected, computed: bool) -> None:
    """Nor made at all if its answer was never computed: it would be a call outside of a commit."""
    connected.client.sendall(b"POST / HTTP/1.1\r\n\r\n")
    connected.channel.handle_read()
    if computed:
        connected.channel.prepare()
        connected.server.seen.clear()

    connected.channel.refuse(StoreFailure("the database is away"))
    connected.channel.service()

    assert connected.client.recv(65536).endswith(b'{"Err":"the database is away"}')
    assert connected.server.seen == []


def test_what_the_socket_does_not_take_is_sent_later_in_order(connected: Connected) -> None:
    content = bytes(range(256)) * 10_000
    connected.channel.write_at_once(content)
    connected.channel.write_at_once(b"end")
    received = b""
    while len(received) < len(content) + 3:
        received += connected.client.recv(65536)
        connected.channel.handle_write()

    assert received == content + b"end"


def test_the_loop_never_waits_for_a_client_that_does_not_read(connected: Connected) -> None:
    """It is the loop that sends, so it would wait for itself."""
    much = b"x" * (ADJUSTMENTS.outbuf_high_watermark + 1_000_000)

    def answer() -> None:
        connected.server.loop_thread = threading.get_ident()
        connected.channel.write_at_once(much)
        connected.channel.write_at_once(b"more")

    loop = threading.Thread(target=answer, daemon=True)
    loop.start()
    loop.join(60)

    assert not loop.is_alive()


@pytest.mark.parametrize("target", ["/v1/status", "//v1/status", "///", "http://pyipam"])
def test_the_path_of_a_request_is_the_one_that_the_application_gets(
    connected: Connected, target: str
) -> None:
    connected.client.sendall(f"GET {target} HTTP/1.1\r\nHost: \r\n\r\n".encode())
    connected.channel.handle_read()
    path = connected.channel.path
    connected.channel.service()

    assert connected.server.seen[-1]["PATH_INFO"] == path


def test_a_thread_waits_until_the_client_has_read(connected: Connected) -> None:
    much = b"x" * (ADJUSTMENTS.outbuf_high_watermark + 1_000_000)

    def answer() -> None:
        with suppress(ClientDisconnected):
            connected.channel.write_at_once(much)
            connected.channel.write_at_once(b"more")

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    connected.channel.handle_close()
    thread.join(60)

    assert not thread.is_alive()
