"""A host in one folder: a plugin that answers on its socket, and an engine that knows it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any, NamedTuple

import pytest

from pyipam.cli.docker_objects import without_nulls
from pyipam.cli.engine import Engine
from pyipam.cli.main import main
from pyipam.cli.refusal import EngineAway
from pyipam.cli.spec_files import SpecFolders
from pyipam.cli.surroundings import Surroundings
from pyipam.host.route import Route
from tests.unit.cli.routing.answers import MemoryKernel

PLUGIN_ID = "a" * 64
# The status and the body of an answer to a path, and to a body that is posted to one.
Answers = Callable[[str], tuple[int, bytes]]
Posts = Callable[[str, bytes], tuple[int, bytes]]

# The commands that read a view.
VIEWING: list[list[str]] = [
    ["status"],
    ["scopes"],
    ["pools"],
    ["pools", "--free"],
    ["leases"],
    ["leases", "--free"],
    ["plan"],
    ["explain", "10.0.0.1"],
    ["nodes"],
    ["reconcile"],
    ["history", "10.0.0.1"],
]


class Outcome(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)

    @property
    def cells(self) -> list[list[str]]:
        """The table that it printed, by the columns under its headings."""
        head, *lines = self.out.splitlines()
        begins = [
            at
            for at in range(len(head))
            if head[at] != " " and head[max(0, at - 3) : at].strip() == ""
        ]
        ends = [*begins[1:], None]
        return [
            [line[at:end].strip() for at, end in zip(begins, ends, strict=True)] for line in lines
        ]


def plugin_object(
    plugin_id: str = PLUGIN_ID,
    name: str = "owner/pyipam:latest",
    enabled: bool = True,
    aliases: str = "pyipam=",
) -> dict[str, Any]:
    """A plugin as the engine's API shows it."""
    return {
        "Id": plugin_id,
        "Name": name,
        "Enabled": enabled,
        "Config": {"Entrypoint": ["/usr/bin/python3", "-I", "-m", "pyipam.server"]},
        "Settings": {"Env": ["DEFAULT_TAGS=default", f"DRIVER_ALIASES={aliases}"]},
    }


@dataclass
class FakeEngine:
    """An engine that knows what a test tells it."""

    address: str = "unix:///var/run/docker.sock"
    known_plugins: list[dict[str, Any]] = field(default_factory=lambda: [plugin_object()])
    known_networks: list[dict[str, Any]] = field(default_factory=list)
    known_containers: list[dict[str, Any]] = field(default_factory=list)
    known_info: dict[str, Any] = field(default_factory=dict)
    known_services: list[dict[str, Any]] = field(default_factory=list)
    known_tasks: list[dict[str, Any]] = field(default_factory=list)
    known_nodes: list[dict[str, Any]] = field(default_factory=list)
    coming_events: Iterable[dict[str, Any]] = ()
    is_away: bool = False
    is_interrupted: bool = False
    done: list[str] = field(default_factory=list)

    def connect(self) -> Engine:
        if self.is_interrupted:
            raise KeyboardInterrupt
        self._answer([])
        return self

    def plugins(self) -> list[dict[str, Any]]:
        return self._answer(self.known_plugins)

    def disable_plugin(self, name: str) -> None:
        self.done.append(f"disable {name}")

    def enable_plugin(self, name: str) -> None:
        self.done.append(f"enable {name}")

    def networks(self) -> list[dict[str, Any]]:
        return self._answer(self.known_networks)

    def containers(self) -> list[dict[str, Any]]:
        return self._answer(self.known_containers)

    def network(self, network_id: str) -> dict[str, Any] | None:
        return next((x for x in self.networks() if x["Id"] == network_id), None)

    def container(self, container_id: str) -> dict[str, Any] | None:
        return next((x for x in self.containers() if x["Id"] == container_id), None)

    def events(self, since: float) -> Iterator[dict[str, Any]]:
        yield from map(without_nulls, self.coming_events)

    def info(self) -> dict[str, Any]:
        found: dict[str, Any] = without_nulls(self.known_info)
        return found

    def services(self) -> list[dict[str, Any]]:
        return self._answer(self.known_services)

    def tasks(self) -> list[dict[str, Any]]:
        return self._answer(self.known_tasks)

    def nodes(self) -> list[dict[str, Any]]:
        return self._answer(self.known_nodes)

    def _answer(self, objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self.is_away:
            raise EngineAway("the Docker engine does not answer: no such file")
        found: list[dict[str, Any]] = without_nulls(objects)
        return found

    def add_network(self, name: str, *subnets: str, driver: str = "pyipam") -> None:
        """Let the engine have a network."""
        config = [{"Subnet": subnet} for subnet in subnets]
        self.known_networks.append(
            {
                "Id": f"id of {name}",
                "Name": name,
                "Scope": "local",
                "IPAM": {"Driver": driver, "Config": config},
            }
        )

    def add_endpoint(self, name: str, network: str, address: str) -> None:
        """Let a network list an endpoint."""
        (found,) = (x for x in self.known_networks if x["Name"] == network)
        endpoint = {"Name": name, "IPv4Address": f"{address}/24"}
        found.setdefault("Containers", {})[name * 12] = endpoint

    def add_container(
        self, name: str, network: str, address: str, *, state: str = "running"
    ) -> None:
        """Let the engine have a container in that network."""
        endpoint = {"NetworkID": f"id of {network}", "IPAddress": address}
        self.known_containers.append(
            {
                "Id": name * 12,
                "Names": [f"/{name}"],
                "State": state,
                "NetworkSettings": {"Networks": {network: endpoint}},
            }
        )


class Host:
    """Runs the command on a host whose folders are in one folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.engine = FakeEngine()
        self.notes = folder / "notes"
        # No test waits until what Docker was given counts as old.
        self.seconds_to_settle = 0.0
        self.routes: list[Route] = []
        self.kernel = MemoryKernel()
        self.socket = folder / "sockets" / PLUGIN_ID / "driver.sock"
        self.socket.parent.mkdir(parents=True)
        self.spec_folders = SpecFolders(folder / "specs", folder / "links", folder / "sockets")
        self._capsys = capsys

    def run(self, *arguments: object) -> Outcome:
        """Run the command."""
        self._capsys.readouterr()
        around = Surroundings(
            self.engine.connect,
            self.folder / "sockets",
            self.spec_folders,
            self.folder / "docker",
            self.seconds_to_settle,
            self.notes,
            self.folder / "root",
            routes=lambda _: self.routes,
            open_kernel=lambda _: self.kernel,
            seconds_to_retry=0.0,
        )
        try:
            code = main([str(argument) for argument in arguments], surroundings=around)
        except SystemExit as end:
            code = int(end.code or 0)
        captured = self._capsys.readouterr()
        assert "Traceback" not in captured.err
        return Outcome(code, captured.out, captured.err)

    def refusal(self, *arguments: object) -> str:
        """The sentence with which the command is refused."""
        outcome = self.run(*arguments)
        assert (outcome.code, outcome.out) == (1, "")
        (line,) = outcome.err.splitlines()
        return line.removeprefix("pyipam: refused: ")

    @contextmanager
    def answering(self, answers: Answers, posts: Posts | None = None) -> Iterator[None]:
        """Inside, the plugin's socket answers so."""
        with served(self.socket, answers, posts):
            yield


def completed(
    host: Host, monkeypatch: pytest.MonkeyPatch, line: str, *, word: int | None = None
) -> list[str]:
    """What a shell is told that a line could go on with, where its word of this number, by default
    the last, has been begun."""
    words = line.split(" ")
    monkeypatch.setenv("_PYIPAM_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1 if word is None else word))
    return [value.partition(",")[2] for value in host.run().out.split()]


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing if the command has heard enough."""


@contextmanager
def served(socket: Path, answers: Answers, posts: Posts | None = None) -> Iterator[None]:
    """Answer requests on the socket."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply(*answers(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._reply(*(posts(self.path, body) if posts else answers(self.path)))

        def _reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self) -> str:
            return "client"

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with _Server(str(socket), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            socket.unlink()
