"""The plugin in an engine, with its plan in a database on the network of the host."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from tests.support.engine.objects import clear, create_network, run_container
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.mongodb.mongod import ensure_mongod
from tests.support.mongodb.replica_set import Place, ReplicaSet

pytestmark = pytest.mark.any_engine

_PORTS = (27017, 27018, 27019)
_CLONE_NEWNET = 0x40000000
_HOST = "one-of-many"

Answer = TypeVar("Answer")


def in_network_of(engine: PrivateEngine, act: Callable[[], Answer]) -> Answer:
    """Act in a thread that has entered the network namespace of the engine."""

    def enter_and_act() -> Answer:
        with Path(f"/proc/{engine.inside.pid}/ns/net").open() as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        return act()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(enter_and_act).result()


def nodes_in(replica_set: ReplicaSet) -> list[str]:
    """The names of the nodes that have used the database."""
    with replica_set.primary().client() as client:
        return sorted(str(node["_id"]) for node in client.pyipam.nodes.find())


@pytest.fixture
def replica_set(engine: PrivateEngine, tmp_path: Path) -> Iterator[ReplicaSet]:
    """Three members that can be reached only from the network namespace of the engine."""
    enter = ("nsenter", f"--target={engine.inside.pid}", "--net", "--")
    places = [Place("127.0.0.1", port, enter) for port in _PORTS]
    found = ReplicaSet(ensure_mongod(), tmp_path / "members", places)
    try:
        # Members end with the thread that starts them: it must be this one.
        found.start_all()
        in_network_of(engine, found.start)
        yield found
    finally:
        found.close()


def test_an_engine_keeps_its_networks_and_containers_in_the_database(
    engine: PrivateEngine, plugin: Plugin, replica_set: ReplicaSet
) -> None:
    engine.run("hostname", _HOST).check()
    plugin.restart_with(STORE_URL=replica_set.url)
    try:
        assert create_network(engine, "net", "--ipam-opt", "prefix=28").subnets == ["100.64.0.0/28"]
        assert run_container(engine, "one", "net").addresses == ["100.64.0.2/28"]
        plugin.kill_and_wait()
        assert run_container(engine, "two", "net").addresses == ["100.64.0.3/28"]
        engine.restart()
        engine.wait_for("the plan is read", lambda: plugin.status()["failure"] is None)

        assert plugin.held() == ["100.64.0.0/28"]
        assert in_network_of(engine, lambda: nodes_in(replica_set)) == [_HOST]
        clear(engine)
        assert plugin.held() == []
    finally:
        clear(engine)
        plugin.restart_with(STORE_URL="")
