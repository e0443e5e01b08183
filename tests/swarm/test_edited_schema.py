"""The schema is edited on all nodes while a swarm lives on it: its networks live on, with every
address that they have, and new networks follow the new schema."""

from collections.abc import Iterator

import pytest

from tests.support.engine.objects import Network
from tests.support.engine.schemas import schema_text, scope
from tests.swarm.cluster import Cluster
from tests.swarm.objects import (
    check_addresses,
    check_none_twice,
    create_overlay,
    create_service,
)
from tests.swarm.schema import FIRST_SCOPE, SCHEMA, edit_schema

pytestmark = [
    pytest.mark.parametrize("cluster", ["three managers"], indirect=True, scope="session"),
    pytest.mark.usefixtures("nothing_refused"),
]

OWN = scope("100.65.0.0/16", 28, tags=["default"], address_space="local")
RENAMED = schema_text(scope("100.64.0.0/16", 28, tags=["overlay"], address_space="global"), OWN)
MOVED = schema_text(scope("100.80.0.0/16", 28, tags=["overlay"], address_space="global"), OWN)


@pytest.fixture(autouse=True)
def schema_of_the_other_tests(swarm: Cluster) -> Iterator[None]:
    yield
    edit_schema(swarm, SCHEMA, FIRST_SCOPE)


@pytest.mark.parametrize(
    ("schema", "shown", "following"),
    [
        (RENAMED, "100.64.0.0/16 overlay", "100.64.0.32/28"),
        (MOVED, "100.80.0.0/16 overlay", "100.80.0.0/28"),
    ],
    ids=["renamed", "moved"],
)
def test_a_service_is_scaled_to_new_nodes_and_survives_its_leader_after_an_edit(
    swarm: Cluster, schema: str, shown: str, following: str
) -> None:
    network = create_overlay(swarm, "net", "--ipam-opt", "prefix=27")
    service = create_service(swarm, "web", "net", 1)
    (first,) = service.wait_until_running(1)

    edit_schema(swarm, schema, shown)
    tasks = service.scale(6)

    assert {task.node for task in tasks} == {node.name for node in swarm.nodes}
    assert first.address in {task.address for task in tasks}
    check_addresses(swarm, network)

    lost = swarm.leader()
    lost.engine.kill()
    swarm.wait_for_leader_after(lost)
    service.wait_until_running(6)
    network = Network(swarm.leader().engine, "net")
    check_none_twice(swarm, network)
    assert create_overlay(swarm, "next", tags="overlay").subnets == [following]
    lost.engine.start()
    swarm.wait_until_ready()
    service.scale(9)
    check_none_twice(swarm, network)
