"""What Docker answers with nulls in it, as Go writes a map or a list that was never made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pyipam.cli.engine import DockerEngine, pyipam_plugins
from pyipam.cli.recording.recorder import Recorder
from tests.support.in_process import InProcess
from tests.unit.cli.host import PLUGIN_ID, FakeEngine, Host
from tests.unit.cli.plans import make_network, start_container

NETWORK: dict[str, Any] = {
    "Id": "id of shop",
    "Name": "shop",
    "Scope": "local",
    "ConfigOnly": None,
    "ConfigFrom": None,
    "IPAM": {
        "Driver": "pyipam",
        "Options": None,
        "Config": [
            {"Subnet": "10.0.0.0/24", "IPRange": None, "Gateway": None, "AuxiliaryAddresses": None}
        ],
    },
    "Containers": None,
    "Options": None,
    "Labels": None,
}
CONTAINER: dict[str, Any] = {
    "Id": "c" * 64,
    "Names": ["/web"],
    "State": "running",
    "Labels": None,
    "NetworkSettings": {
        "Networks": {
            "shop": {
                "NetworkID": "id of shop",
                "IPAMConfig": None,
                "IPAddress": "10.0.0.1",
                "GlobalIPv6Address": None,
            }
        }
    },
}
SERVICE: dict[str, Any] = {
    "ID": "s",
    "Spec": {"Name": "api"},
    "Endpoint": {"VirtualIPs": [{"NetworkID": "id of shop", "Addr": "10.0.0.9/24"}]},
}
TASK: dict[str, Any] = {
    "ID": "t",
    "Status": {"State": "running"},
    "NetworksAttachments": [{"Network": {"ID": "id of shop"}, "Addresses": ["10.0.0.8/24"]}],
}
NODE: dict[str, Any] = {"ID": "n", "ManagerStatus": {"Leader": True}}
INFO: dict[str, Any] = {
    "Name": "host",
    "DockerRootDir": "/var/lib/docker",
    "Swarm": {"LocalNodeState": "active", "ControlAvailable": True, "NodeID": "n"},
}
EVENT: dict[str, Any] = {
    "Type": "network",
    "Action": "connect",
    "timeNano": 1_700_000_000_000_000_000,
    "Actor": {"ID": "id of shop", "Attributes": {"container": "c" * 64}},
}
# The commands that read each of them.
COMMANDS = {
    "networks": [["leases"], ["reconcile"], ["record", "--once"]],
    "containers": [["leases"], ["reconcile"], ["record", "--once"]],
    "services": [["reconcile"]],
    "tasks": [["reconcile"]],
    "nodes": [["reconcile"]],
    "info": [["reconcile"], ["record", "--once"]],
}


class FakeClient:
    """A client of the SDK that answers with what it is given, whatever it is asked."""

    base_url = "http+docker://localhost"

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return lambda *_, **__: self._answer


def with_nulls(document: Any) -> Iterator[Any]:
    """The same, each time with another of its values, at any depth, replaced by null."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield document | {key: None}
            yield from (document | {key: changed} for changed in with_nulls(value))
    elif isinstance(document, list):
        for position, value in enumerate(document):
            yield [*document[:position], None, *document[position + 1 :]]
            for changed in with_nulls(value):
                yield [*document[:position], changed, *document[position + 1 :]]


def failures(host: Host, kind: str) -> list[str]:
    """How the commands that read an object of that kind fail, as none should."""
    outcomes = (host.run(*command) for command in COMMANDS[kind])
    return [outcome.err for outcome in outcomes if "failed: " in outcome.err]


@pytest.fixture
def shop(host: Host, plugin: InProcess) -> FakeEngine:
    """The engine of a host on which the plugin holds the pool and an address of a network."""
    assert start_container(plugin, make_network(plugin)) == "10.0.0.1"
    engine = host.engine
    engine.known_networks, engine.known_containers = [NETWORK], [CONTAINER]
    engine.known_services, engine.known_tasks, engine.known_nodes = [SERVICE], [TASK], [NODE]
    engine.known_info = INFO
    return engine


def test_names_are_found_in_answers_whose_empty_members_are_null(
    host: Host, shop: FakeEngine
) -> None:
    (lease,) = host.run("leases", "--json").json

    assert (lease["networks"], lease["containers"]) == (["shop"], ["web"])


@pytest.mark.parametrize(
    ("kind", "objects"),
    [
        ("networks", [NETWORK]),
        ("containers", [CONTAINER]),
        ("services", [SERVICE]),
        ("tasks", [TASK]),
        ("nodes", [NODE]),
        ("info", INFO),
    ],
)
def test_no_null_in_what_docker_answers_makes_a_command_fail(
    host: Host, shop: FakeEngine, kind: str, objects: Any
) -> None:
    for changed in with_nulls(objects):
        setattr(shop, f"known_{kind}", changed)

        assert failures(host, kind) == [], changed


def test_a_network_without_a_name_leaves_the_names_out_and_says_why(
    host: Host, shop: FakeEngine
) -> None:
    shop.known_networks = [NETWORK | {"Name": None}]

    outcome = host.run("pools", "-q")

    assert (outcome.code, outcome.out) == (0, "local/10.0.0.0/24\n")
    assert (
        "without the names of networks and containers: the Docker engine's answer has no 'Name'"
        in outcome.err
    )


@pytest.mark.parametrize("method", ["networks", "containers", "services", "tasks", "nodes"])
def test_lists_of_the_engine_come_without_nulls(method: str) -> None:
    engine = DockerEngine(FakeClient([None, {"Id": "x", "Labels": None, "Names": [None, "/a"]}]))

    assert getattr(engine, method)() == [{"Id": "x", "Names": ["/a"]}]


def test_a_list_that_is_null_is_empty() -> None:
    assert DockerEngine(FakeClient(None)).networks() == []


def test_an_object_and_an_event_of_the_engine_come_without_nulls() -> None:
    answer = {"Id": "x", "Containers": None}

    assert DockerEngine(FakeClient(answer)).network("x") == {"Id": "x"}
    assert DockerEngine(FakeClient(answer)).info() == {"Id": "x"}
    assert list(DockerEngine(FakeClient([answer])).events(0.0)) == [{"Id": "x"}]


def test_no_null_in_a_plugin_of_the_engine_makes_a_command_fail(host: Host) -> None:
    plugin = {
        "Id": PLUGIN_ID,
        "Name": "owner/pyipam:latest",
        "Enabled": True,
        "Config": {"Entrypoint": ["/usr/bin/python3", "-I", "-m", "pyipam.server"]},
        "Settings": {
            "Env": ["DRIVER_ALIASES=pyipam="],
            "Mounts": [{"Name": "schema", "Source": "/dev/null"}],
        },
    }
    for changed in with_nulls([plugin]):
        host.engine.known_plugins = changed
        for command in (["aliases", "--dry-run"], ["nodes", "forget", "a"], ["version"]):
            outcome = host.run(*command)

            assert "failed: " not in outcome.err, changed


def test_no_null_in_an_event_makes_record_fail(host: Host, shop: FakeEngine) -> None:
    shop.known_networks, shop.known_containers = [], []
    recorder = Recorder(host.notes, shop, pyipam_plugins(shop)[0])
    shop.coming_events = with_nulls(EVENT)

    assert not any(recorder.follow(event) for event in shop.events(0.0))
