"""Fabrics for the tests: one for each file, and for each version of the engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine import homes
from tests.support.engine.chroots import Say
from tests.support.engine.releases import engines_between, engines_under_test
from tests.support.fabric.configurations import of_host
from tests.support.fabric.daemons import Frr
from tests.support.fabric.docker_host import DockerHost
from tests.support.fabric.fabric import Fabric, fabric
from tests.support.fabric.machines import Machine


@pytest.fixture(scope="module")
def bare_fabric(say: Say) -> Iterator[Fabric]:
    """A router and a client, without hosts."""
    homes.remove_abandoned(say)
    with fabric(say) as made:
        yield made


@pytest.fixture(scope="session", params=[*engines_under_test(), *engines_between()])
def version(request: pytest.FixtureRequest) -> str:
    """The version of the engine of a host."""
    return str(request.param)


@pytest.fixture(scope="module")
def one_host(version: str, bare_fabric: Fabric, bundle: Path, say: Say) -> Iterator[DockerHost]:
    """A host with an engine, the plugin and FRR."""
    with DockerHost(bare_fabric, version, say, _start_frr) as host:
        say(f"engine {host.engine.server_version()} is up in a fabric")
        host.install(bundle)
        yield host
    bare_fabric.hosts.clear()


def _start_frr(machine: Machine) -> Frr:
    frr = Frr(machine)
    frr.start(of_host(1, "frr-host.conf"))
    return frr
