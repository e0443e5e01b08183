"""The read-only views under /v1."""

from __future__ import annotations

import pytest

from pyipam import __version__
from tests.support.dockerd import Driver, Engine, create_network, request_bytes, start_container
from tests.support.program import Program, scope

pytestmark = pytest.mark.every_store


def test_the_status_counts_what_is_held(driver: Driver) -> None:
    network = create_network(driver, families=[4, 6])
    start_container(driver, network)

    status = driver.get("/v1/status")

    assert status["version"] == __version__
    assert status["failure"] is None
    assert status["pools"] == 2
    assert status["leases"] == 4


def test_a_plugin_that_is_well_says_nothing_about_problems(driver: Driver) -> None:
    driver.announce()

    assert driver.get("/v1/status")["problems"] == []


def test_pools_are_listed_with_their_scopes_tags_and_labels(driver: Driver) -> None:
    driver.announce()
    options = {"scope_filter_tags": "ingress", "id": "front"}
    start_container(driver, create_network(driver, options=options))
    driver.request_pool("100.64.5.0/24", ip_range="100.64.5.64/26", space="global")

    listed = {pool.pop("id"): pool for pool in driver.get("/v1/pools")}

    first = listed["local/100.64.32.0/30"]
    assert first.pop("created") > 1_600_000_000
    assert first == {
        "space": "local",
        "subnet": "100.64.32.0/30",
        "ip_range": None,
        "scope": "100.64.32.0/20",
        "label": "front",
        "tags": "ingress",
        "drivers": ["driver"],
        "references": 1,
        "claims": [{"driver": "driver", "epoch": 1, "references": 1}],
        "claimed": True,
        "resting": False,
        "leases": 2,
        "released": None,
        "node": first["node"],
        "networks": [],
        "named_at": None,
        "aggregate": None,
        "stray": False,
    }
    second = listed["global/100.64.5.0/24/100.64.5.64/26"]
    assert second["space"] == "global"
    assert second["ip_range"] == "100.64.5.64/26"
    assert second["leases"] == 0


def test_the_leases_of_a_pool_are_listed_by_address(driver: Driver) -> None:
    driver.announce()
    network = create_network(driver, "100.64.5.0/24")
    driver.request_address(network.pool, "100.64.5.10")
    driver.request_address(network.pool, "100.64.5.9")

    leases = driver.get(f"/v1/leases?pool={network.pool.id}")

    assert [(lease["address"], lease["kind"]) for lease in leases] == [
        ("100.64.5.1", "gateway"),
        ("100.64.5.9", "container"),
        ("100.64.5.10", "container"),
    ]
    for lease in leases:
        assert lease["pool"] == network.pool.id
        assert lease["claimed"] is True
        assert lease["resting"] is False
        assert lease["granted"] > 1_600_000_000


@pytest.mark.parametrize("query", ["?pool=local/100.64.9.0/24", "?pool=x"])
def test_the_leases_of_an_unknown_pool_are_refused(driver: Driver, query: str) -> None:
    reply = driver.raw("GET", f"/v1/leases{query}")

    assert reply.status == 404
    assert "is not held by pyipam" in reply.error()


def test_the_scopes_are_listed_with_how_full_they_are(driver: Driver) -> None:
    create_network(driver)
    create_network(driver, "100.64.8.0/24")

    scopes = {entry["network"]: entry for entry in driver.get("/v1/scopes")}

    assert scopes["100.64.0.0/20"] == {
        "network": "100.64.0.0/20",
        "depth": 1,
        "parent": "100.64.0.0/17",
        "child_prefix": 30,
        "tags": ["default", "null_routed", "python_docker_ipam_default"],
        "lock_down": False,
        "pre_seed_children": False,
        "can_be_drawn_from": True,
        "address_space": None,
        "reuse_delay": 0,
        "description": "",
        "reserved": [],
        "blocks": "1024",
        "free": str(1024 - 1 - 64),
        "first_free": "100.64.0.4/30",
        "first_free_by_length": [
            *("100.64.4.0/22", "100.64.2.0/23", "100.64.1.0/24", "100.64.0.128/25"),
            *("100.64.0.64/26", "100.64.0.32/27", "100.64.0.16/28", "100.64.0.8/29"),
            "100.64.0.4/30",
        ],
        "pools": 2,
        "node_prefix": None,
        "aggregates": None,
    }
    assert scopes["100.64.0.0/17"]["lock_down"] is True
    assert scopes["100.64.0.0/17"]["blocks"] == "0"
    assert scopes["fc00:f00f:1::/48"]["free"] == "65536"


def test_pre_seeded_children_are_listed_with_their_tags(program: Program, engine_a: Engine) -> None:
    program.write_schema(
        scope("10.0.0.0/22", 24, pre_seed_children=True, tags=["default"], description="lab"),
        scope("fc00::/16", 127, tags=["wide"]),
    )
    program.start()
    driver = program.driver(engine_a)
    create_network(driver)

    lab, wide = driver.get("/v1/scopes")

    assert lab["description"] == "lab"
    assert driver.get("/v1/children?scope=10.0.0.0/22") == [
        {"subnet": "10.0.0.0/24", "tags": ["default"], "free": False},
        {"subnet": "10.0.1.0/24", "tags": ["default"], "free": True},
        {"subnet": "10.0.2.0/24", "tags": ["default"], "free": True},
        {"subnet": "10.0.3.0/24", "tags": ["default"], "free": True},
    ]
    assert wide["blocks"] == wide["free"] == str(2**111)
    assert driver.get("/v1/children?scope=fc00::/16") == []


def test_what_rests_is_listed_as_resting(program: Program, engine_a: Engine) -> None:
    program.write_schema(scope("10.0.0.0/16", 24, reuse_delay=3600))
    program.start()
    driver = program.driver(engine_a)
    kept, gone = create_network(driver), create_network(driver)
    start_container(driver, kept)
    driver.release_address(kept.pool, "10.0.0.2")
    driver.release_pool(gone.pool)

    resting = {pool["id"]: pool["resting"] for pool in driver.get("/v1/pools")}

    assert resting == {"local/10.0.0.0/24": False, "local/10.0.1.0/24": True}
    leases = driver.get(f"/v1/leases?pool={kept.pool.id}")
    assert [(lease["address"], lease["resting"]) for lease in leases] == [
        ("10.0.0.1", False),
        ("10.0.0.2", True),
    ]
    assert create_network(driver).subnets == ["10.0.2.0/24"]
    assert start_container(driver, kept) == ["10.0.0.3/24"]


def test_views_change_nothing(program: Program, engine_a: Engine) -> None:
    program.start()
    driver = program.driver(engine_a)
    network = create_network(driver)
    # What was noted of it is written before the history is shown, else by and by.
    driver.get("/v1/history")
    before = {path: path.read_bytes() for path in program.state.rglob("*") if path.is_file()}

    for view in (
        "status",
        "scopes",
        "children?scope=100.64.0.0/20",
        "pools",
        "leases",
        "free?scope=100.64.0.0/20",
        f"free?pool={network.pool.id}",
        "plan",
        "explain?address=100.64.0.1",
        "nodes",
        "aggregates",
    ):
        driver.get(f"/v1/{view}")

    after = {path: path.read_bytes() for path in program.state.rglob("*") if path.is_file()}
    assert after == before


def test_a_view_between_pipelined_calls_keeps_the_order_of_the_answers(
    driver: Driver,
) -> None:
    spaces = request_bytes("POST", "/IpamDriver.GetDefaultAddressSpaces")
    driver.send(spaces + request_bytes("GET", "/v1/pools") + spaces)

    answers = [driver.read().json() for _ in range(3)]

    assert [type(answer) for answer in answers] == [dict, dict, dict]


def test_the_views_are_described_as_openapi(driver: Driver) -> None:
    described = driver.raw("GET", "/v1/openapi").json()

    assert described["openapi"] == "3.1.0"
    assert "/v1/explain" in described["paths"]
