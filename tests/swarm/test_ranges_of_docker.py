"""What Docker itself uses in a swarm: the plugin warns of it, and keeps clear of it once told."""

from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from tests.support.engine.objects import Network
from tests.support.engine.schemas import Scope, schema_text, scope
from tests.swarm.cluster import Cluster
from tests.swarm.objects import check_addresses, create_overlay, create_service
from tests.swarm.schema import FIRST_SCOPE, SCHEMA, edit_schema

pytestmark = [
    pytest.mark.parametrize("cluster", ["one manager"], indirect=True, scope="session"),
    pytest.mark.usefixtures("nothing_refused", "nothing_left"),
]


def _plan(**keys: object) -> str:
    own: Scope = scope("100.65.0.0/16", 28, tags=["default"], address_space="local")
    wide = scope("10.0.0.0/8", 24, tags=["swarm"], address_space="global", **keys)
    return schema_text(wide, own)


@pytest.fixture(autouse=True)
def schema_of_the_other_tests(swarm: Cluster) -> Iterator[None]:
    yield
    edit_schema(swarm, SCHEMA, FIRST_SCOPE)


def test_a_reserved_ingress_range_is_left_to_the_swarm(swarm: Cluster) -> None:
    [ingress] = Network(swarm.leader().engine, "ingress").subnets
    edit_schema(swarm, _plan(), "10.0.0.0/8 swarm")
    [warning] = _warnings(swarm)
    assert ingress in warning
    assert "ingress" in warning
    edit_schema(swarm, _plan(reserved=[ingress], description="told"), "10.0.0.0/8 swarm")
    swarm.wait_for("the warning is gone", lambda: not _warnings(swarm))

    network = create_overlay(swarm, "net")
    service = create_service(swarm, "web", "net", 3, "--publish", "8080:80")
    service.wait_until_running(3)

    assert network.subnets == ["10.0.1.0/24"]
    assert not ip_network(network.subnets[0]).overlaps(ip_network(ingress))
    check_addresses(swarm, network)


def _warnings(swarm: Cluster) -> list[str]:
    warnings: list[str] = swarm.leader().plugin.status()["schema"]["warnings"]
    return warnings
