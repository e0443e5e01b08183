"""The listener on TCP that STATUS_ADDR names: views and metrics, and nothing else."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from http.client import HTTPConnection

import pytest

from pyipam.serving.status_server import MAX_CLIENTS
from tests.support.command_line import must_pyipam
from tests.support.dockerd import Driver, Engine, create_network
from tests.support.program import Program, wait_until

# An address of this process alone: the port below is then free at it.
HOST = f"127.77.{os.getpid() >> 8 & 0xFF}.{os.getpid() & 0xFF}"
PORT = 9430
ADDRESS = f"{HOST}:{PORT}"


def ask(
    path: str, method: str = "GET", host: str = ADDRESS, body: bytes = b""
) -> tuple[int, Mapping[str, str], bytes]:
    """The status, the headers and the body of an answer of the listener."""
    connection = HTTPConnection(HOST, PORT, timeout=60)
    try:
        connection.request(method, path, body=body or None, headers={"Host": host})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


@pytest.fixture
def listening(program: Program, engine_a: Engine) -> Driver:
    """A connection to the socket of a plugin that listens on TCP, too."""
    program.start(STATUS_ADDR=f"{ADDRESS} node1.example")
    driver = program.driver(engine_a)
    driver.announce()
    return driver


def test_views_and_metrics_are_what_they_are_on_the_socket(listening: Driver) -> None:
    create_network(listening)

    status, headers, body = ask("/v1/pools")

    assert (status, json.loads(body)) == (200, listening.raw("GET", "/v1/pools").json())
    assert not [name for name in headers if name.lower().startswith("access-control")]
    assert b'pyipam_pools{state="in_use"} 1.0' in ask("/metrics")[2]
    assert ask("/healthz")[0] == 200


def test_calls_of_docker_are_not_answered(listening: Driver) -> None:
    for method in ("POST", "GET"):
        assert ask("/IpamDriver.RequestPool", method, body=b'{"AddressSpace":"local"}')[0] in (
            *(404, 405, 413),
        )
    assert listening.held() == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_nothing_but_reading_is_allowed(listening: Driver, method: str) -> None:
    status, headers, _ = ask("/v1/status", method)

    assert status == 405
    assert headers["Allow"] == "GET, HEAD"


def test_head_has_the_head_of_the_answer_alone(listening: Driver) -> None:
    for path in ("/v1/status", "/metrics", "/healthz"):
        status, headers, body = ask(path, "HEAD")

        assert (status, body) == (200, b"")
        assert int(headers["Content-Length"]) > 0


def test_a_name_that_is_not_listed_is_refused(listening: Driver) -> None:
    assert ask("/v1/status", host="node1.example:9430")[0] == 200
    assert ask("/v1/status", host="localhost:9430")[0] == 200

    status, _, body = ask("/v1/status", host="evil.example")

    assert status == 421
    assert "does not serve the host 'evil.example'" in json.loads(body)["Err"]


def test_many_clients_keep_neither_each_other_nor_docker_out(listening: Driver) -> None:
    with ExitStack() as stack:
        for _ in range(3 * MAX_CLIENTS):
            stack.enter_context(socket.create_connection((HOST, PORT), timeout=60))

        assert listening.get("/v1/status")["failure"] is None
        assert ask("/healthz")[0] == 200


def test_an_address_that_is_taken_is_said_and_used_once_it_is_free(
    program: Program, engine_a: Engine
) -> None:
    with socket.create_server((HOST, PORT)):
        program.start(STATUS_ADDR=ADDRESS)
        driver = program.driver(engine_a)
        driver.announce()

        create_network(driver)
        (problem,) = driver.get("/v1/status")["problems"]
        assert problem["message"].startswith(
            f"setting STATUS_ADDR: nobody listens at {ADDRESS} (Address already in use)"
        )
        said = f"nobody listens at {ADDRESS}"
        wait_until(lambda: program.logged("level=WARNING", said), "the log says it")

    wait_until(lambda: not driver.get("/v1/status")["problems"], "the listener is there")
    assert ask("/healthz")[0] == 200


def test_a_wrong_address_is_said_and_stops_nothing(program: Program, engine_a: Engine) -> None:
    program.start(STATUS_ADDR="nowhere")
    driver = program.driver(engine_a)
    driver.announce()

    create_network(driver)

    (problem,) = driver.get("/v1/status")["problems"]
    assert "setting STATUS_ADDR='nowhere': it must be ADDRESS:PORT" in problem["message"]


def test_without_the_setting_the_plugin_listens_nowhere(program: Program, engine_a: Engine) -> None:
    program.start()

    assert program.driver(engine_a).get("/v1/status")["settings"]["status_address"] == ""
    with pytest.raises(ConnectionRefusedError):
        ask("/healthz")


def test_the_command_reads_it_without_root_and_without_docker(listening: Driver) -> None:
    create_network(listening, "100.64.5.0/24")

    shown = must_pyipam("pools", "--url", f"http://{ADDRESS}", "-q")

    assert shown == b"local/100.64.5.0/24\n"
