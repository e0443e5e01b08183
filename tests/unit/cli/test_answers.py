"""Plugins that are old, broken, or something else: a sentence, and never a traceback."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.unit.cli.host import VIEWING, Answers, Host


def _always(status: int, content: object) -> Answers:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return lambda _path: (status, body)


@pytest.mark.parametrize("command", VIEWING, ids=" ".join)
@pytest.mark.parametrize(
    "answers",
    [
        _always(200, {}),
        _always(200, []),
        _always(200, "text"),
        _always(200, None),
        _always(200, {"items": [{}], "next": None}),
        _always(200, {"items": [17], "next": None}),
        _always(200, {"items": [], "next": "again"}),
        _always(200, b"<html>"),
        _always(200, b""),
        _always(200, b"\xff\xfe"),
        _always(200, b"[" * 100_000),
        _always(404, {"Err": "GET /v1/plan: 404 Not Found"}),
        _always(404, b""),
        _always(500, {"Err": "an internal error"}),
        _always(503, {"Err": None}),
        _always(302, {}),
    ],
)
def test_no_answer_makes_a_traceback(host: Host, command: list[str], answers: Answers) -> None:
    with host.answering(answers):
        outcome = host.run(*command)

    assert outcome.code == 1
    assert outcome.err.startswith("pyipam: ")


@pytest.mark.parametrize("view", ["scopes", "pools", "leases"])
def test_a_plugin_whose_lists_are_bare_is_too_old(host: Host, view: str) -> None:
    with host.answering(_always(200, [])):
        assert host.refusal(view) == (
            f"the plugin is older than this command and cannot show /v1/{view} as it is asked for; "
            "upgrade the plugin"
        )


def test_a_plugin_without_a_view_is_too_old(host: Host) -> None:
    with host.answering(_always(404, {"Err": "GET /v1/plan: 404 Not Found"})):
        assert host.refusal("plan").startswith("the plugin is older than this command")


@pytest.mark.parametrize("body", [{"message": "page not found"}, {}, [], None])
def test_another_program_is_not_taken_for_an_old_plugin(host: Host, body: object) -> None:
    with host.answering(_always(404, body)):
        assert host.refusal("leases") == (
            f"{host.socket} answers /v1/leases?limit=500 with HTTP status 404, and not as pyipam "
            "does: is it the socket or the listener of the plugin?"
        )


def test_a_member_that_is_missing_is_named(host: Host) -> None:
    with host.answering(_always(200, {"items": [{}], "next": None})):
        assert host.refusal("nodes").startswith("the plugin's answer has no 'this'")


def test_a_refusal_of_the_plugin_is_told_as_it_is(host: Host) -> None:
    with host.answering(_always(404, {"Err": "the schema has no scope 10.9.0.0/16"})):
        assert host.refusal("scopes") == "the schema has no scope 10.9.0.0/16"


@contextmanager
def _breaking_off(host: Host, said: bytes) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(host.socket))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        yield
        thread.join()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"SSH-2.0-OpenSSH_9\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_an_answer_that_is_broken_off_is_said_to_be(host: Host, said: bytes) -> None:
    with _breaking_off(host, said):
        assert host.refusal("status").startswith(f"{host.socket} broke its answer off")


def test_a_socket_that_nobody_serves_is_said_to_be(host: Host) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(host.socket))

    assert host.refusal("status").startswith(f"nobody listens at {host.socket}")


def test_what_a_terminal_would_obey_is_not_printed(host: Host) -> None:
    node = {"node": "\x1b[2Jevil\nnode", "pools": 1, "leases": 2, "this": True}
    with host.answering(_always(200, {"items": [node], "next": None})):
        outcome = host.run("nodes")

    assert outcome.cells[0][0] == "?[2Jevil node"
