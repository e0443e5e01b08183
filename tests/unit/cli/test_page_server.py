"""`pyipam ui` hands the page on to whoever has its link, and to nobody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from threading import Thread

import pytest

from pyipam.cli.client import Client, Reply, Source
from pyipam.cli.page_server import PageServer
from pyipam.cli.refusal import CommandRefused
from tests.unit.cli.host import Host

HEADERS = [("Content-Type", "text/html"), ("Content-Security-Policy", "default-src 'none'")]


class FakeClient(Client):
    """A plugin that answers every path with that path."""

    is_away = False

    def __init__(self) -> None:
        super().__init__(Source("a plugin"))

    def fetch(self, path: str) -> Reply:
        if self.is_away:
            raise CommandRefused("the plugin is away")
        return Reply(200, HEADERS, path.encode())


@pytest.fixture
def server() -> Iterator[PageServer]:
    with PageServer(FakeClient(), 0) as server:
        yield server


def reply_to(server: PageServer, path: str, host: str = "") -> Reply:
    return server.reply_to(host or f"127.0.0.1:{server.server_port}", path)


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/v1/status", "/v1/map?block=10.0.0.0/8"])
def test_the_link_leads_to_the_page_and_to_what_it_reads(server: PageServer, path: str) -> None:
    assert reply_to(server, f"/{server.token}{path}") == Reply(200, HEADERS, path.encode())


@pytest.mark.parametrize("path", ["/", "/v1/status", "/wrong/v1/status", "//v1/status", ""])
def test_without_the_token_nothing_is_answered(server: PageServer, path: str) -> None:
    assert reply_to(server, path).status == 403


@pytest.mark.parametrize("path", ["/IpamDriver.RequestPool", "/Plugin.Activate", "/v2/status"])
def test_calls_of_docker_are_not_handed_on(server: PageServer, path: str) -> None:
    assert reply_to(server, f"/{server.token}{path}").status == 404


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost:1"])
def test_another_name_of_the_host_is_refused(server: PageServer, host: str) -> None:
    assert reply_to(server, f"/{server.token}/", host).status == 421


def test_a_plugin_that_is_away_is_said_as_it_says_refusals(server: PageServer) -> None:
    assert isinstance(server.client, FakeClient)
    server.client.is_away = True

    reply = reply_to(server, f"/{server.token}/v1/status")

    assert (reply.status, json.loads(reply.body)) == (503, {"Err": "the plugin is away"})


def test_every_link_has_a_token_of_its_own(server: PageServer) -> None:
    with PageServer(FakeClient(), 0) as other:
        assert server.token != other.token


def test_a_port_that_is_taken_is_refused(server: PageServer) -> None:
    with pytest.raises(CommandRefused, match=f"port {server.server_port} cannot be listened on"):
        PageServer(FakeClient(), server.server_port)


@pytest.mark.parametrize(("method", "length"), [("GET", 10), ("HEAD", 0)])
def test_a_browser_gets_the_headers_of_the_plugin(
    server: PageServer, method: str, length: int
) -> None:
    thread = Thread(target=server.serve_forever)
    thread.start()
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    try:
        connection.request(method, f"/{server.token}/v1/status")
        response = connection.getresponse()
        assert response.headers["Content-Security-Policy"] == "default-src 'none'"
        assert len(response.read()) == length
    finally:
        connection.close()
        server.shutdown()
        thread.join()


def test_without_a_plugin_the_command_says_so(host: Host) -> None:
    assert host.run("ui", "--no-browser").code == 1
