"""Swarms for the tests: one of each kind at a time, shared by the tests that need it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.engine import homes
from tests.support.engine.chroots import Say, ensure_chroot
from tests.support.engine.releases import engines_under_test, release_named
from tests.support.mongodb.mongod import ensure_mongod
from tests.support.mongodb.network import Host
from tests.support.mongodb.replica_set import Place, ReplicaSet
from tests.support.switch import Switch
from tests.swarm.cluster import Cluster
from tests.swarm.objects import clear
from tests.swarm.schema import SCHEMA


@dataclass(frozen=True)
class Topology:
    """How many nodes are managers, the engine version of each node, and whether all nodes share one
    plan in MongoDB instead of keeping their own in TinyDB."""

    managers: int
    versions: tuple[str, ...]
    shares_plan: bool = False


_VERSIONS = engines_under_test()
_OLDEST, _NEWEST = _VERSIONS[0], _VERSIONS[-1]
_TOPOLOGIES = {
    "one manager": Topology(1, (_OLDEST, _NEWEST, _OLDEST)),
    "three managers": Topology(3, (_NEWEST, _NEWEST, _NEWEST)),
    "three managers on MongoDB": Topology(3, (_NEWEST, _NEWEST, _NEWEST), shares_plan=True),
}
_DATABASE_ADDRESS = "192.0.2.2"
_DATABASE_PORTS = (27017, 27018, 27019)


@pytest.fixture(scope="session")
def cluster(
    request: pytest.FixtureRequest,
    bundle: Path,
    tmp_path_factory: pytest.TempPathFactory,
    say: Say,
) -> Iterator[Cluster]:
    """A running swarm of the kind that the test file names."""
    homes.remove_abandoned(say)
    topology = _TOPOLOGIES[request.param]
    chroot = ensure_chroot(release_named(topology.versions[0]), say)
    with ExitStack() as stack:
        switch = stack.enter_context(Switch(chroot))
        settings = {}
        if topology.shares_plan:
            folder = tmp_path_factory.mktemp("replica-set")
            settings["STORE_URL"] = stack.enter_context(_database(switch, chroot, folder, say))
        yield stack.enter_context(
            Cluster(topology.versions, topology.managers, bundle, SCHEMA, settings, switch, say)
        )


@contextmanager
def _database(switch: Switch, chroot: Path, folder: Path, say: Say) -> Iterator[str]:
    """Run a replica set on its own host on the switch; its STORE_URL."""
    host = Host(chroot, _DATABASE_ADDRESS)
    try:
        switch.plug(host, f"{host.address}/24")
        # The members reach each other by the address of their host.
        host.run(["ip", "link", "set", "lo", "up"]).check()
        places = [Place(host.address, port, host.way_in) for port in _DATABASE_PORTS]
        replica_set = ReplicaSet(ensure_mongod(), folder, places)
        try:
            with host.entered():
                say("starting a replica set of three members")
                replica_set.start()
            yield replica_set.url
        finally:
            replica_set.close()
    finally:
        host.end()


@pytest.fixture
def swarm(cluster: Cluster) -> Iterator[Cluster]:
    """The swarm, without networks and services before and after the test."""
    yield cluster
    clear(cluster)


@pytest.fixture
def nothing_refused(swarm: Cluster) -> Iterator[None]:
    """Check after the test that no plugin has refused a call."""
    before = {node.name: len(node.refusals()) for node in swarm.nodes}
    yield
    refused = [line for node in swarm.nodes for line in node.refusals()[before[node.name] :]]
    assert not refused, "\n".join(refused)


@pytest.fixture
def nothing_left(cluster: Cluster) -> Iterator[None]:
    """Check after the test that no plugin holds anything once Docker has removed all."""
    yield
    clear(cluster)
    cluster.wait_for(
        "nothing held by any plugin", lambda: not any(node.plugin.held() for node in cluster.nodes)
    )
