"""/metrics and /healthz of a plugin in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pyipam.errors import Exhausted, StateCorrupted, StoreFailure
from pyipam.runtime.meters import ANSWERED, BOUNDS, OUTCOMES, CallMeter, outcome_of
from pyipam.store.memory import MemoryStore
from pyipam.store.records import NodeRecord
from tests.support.in_process import InProcess

SCHEMA = """{"schema_version": 1, "scopes": [
    {"network": "10.0.0.0", "prefix": 22, "child_prefix": 24, "tags": ["default"],
     "propagate_tags": false, "scopes": [
        {"network": "10.0.3.0", "prefix": 24, "child_prefix": 26, "tags": ["small"]}]},
    {"network": "fd00::", "prefix": 32, "child_prefix": 64, "tags": ["default"]}]}"""


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[InProcess]:
    running = InProcess(tmp_path, SCHEMA)
    running.call("GetCapabilities")
    yield running
    running.stop()


def scraped(plugin: InProcess) -> dict[tuple[str, ...], float]:
    """The value of each sample, by its name and the values of its labels."""
    reply = plugin.answer("GET", "/metrics")
    assert reply.status == 200, reply
    assert reply.content_type.startswith("text/plain; version=0.0.4")
    found: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families(reply.body.decode()):
        for sample in family.samples:
            key = (sample.name, *sample.labels.values())
            assert key not in found, f"{key} comes twice"
            found[key] = sample.value
    return found


def test_what_is_held_and_free_is_shown(plugin: InProcess) -> None:
    pool = json.loads(plugin.call("RequestPool", {"AddressSpace": "local"}).body)["PoolID"]
    plugin.call("RequestAddress", {"PoolID": pool, "Address": ""})

    found = scraped(plugin)

    assert found["pyipam_pools", "in_use"] == 1
    assert found["pyipam_leases", "10.0.0.0/22", "in_use"] == 1
    assert found["pyipam_scope_blocks", "10.0.0.0/22"] == 3
    assert found["pyipam_scope_free_blocks", "10.0.0.0/22"] == 2
    assert found["pyipam_scope_pools", "10.0.0.0/22"] == 1
    assert found["pyipam_scope_free_blocks", "fd00::/32"] == 2**32
    assert found["pyipam_serving",] == 1


def test_each_lease_is_in_one_state(plugin: InProcess) -> None:
    pool = json.loads(plugin.call("RequestPool", {"AddressSpace": "local"}).body)["PoolID"]
    for _ in range(3):
        plugin.call("RequestAddress", {"PoolID": pool, "Address": ""})
    plugin.engine = "engine-2"
    plugin.call("GetCapabilities")
    plugin.call("RequestPool", {"AddressSpace": "local", "Pool": "10.0.0.0/24"})
    plugin.call("RequestAddress", {"PoolID": pool, "Address": "10.0.0.2"})

    found = scraped(plugin)

    assert found["pyipam_leases", "10.0.0.0/22", "in_use"] == 1
    assert found["pyipam_leases", "10.0.0.0/22", "unclaimed"] == 2
    assert found["pyipam_pools", "in_use"] == 1
    assert found["pyipam_pools", "unclaimed"] == 0


def test_leases_are_counted_in_the_scope_in_which_they_lie(plugin: InProcess) -> None:
    for tags, count in (("default", 2), ("small", 1)):
        body = {"AddressSpace": "local", "Options": {"scope_filter_tags": tags}}
        pool = json.loads(plugin.call("RequestPool", body).body)["PoolID"]
        for _ in range(count):
            plugin.call("RequestAddress", {"PoolID": pool, "Address": ""})
    plugin.call("RequestAddress", {"PoolID": pool, "Address": "10.0.3.9"})
    plugin.call("ReleaseAddress", {"PoolID": pool, "Address": "10.0.3.9"})

    found = {key[1:]: value for key, value in scraped(plugin).items() if key[0] == "pyipam_leases"}

    assert {key: value for key, value in found.items() if value} == {
        ("10.0.0.0/22", "in_use"): 2,
        ("10.0.3.0/24", "in_use"): 1,
        ("10.0.3.0/24", "held_back"): 1,
    }
    assert {scope for scope, _ in found} == {"10.0.0.0/22", "10.0.3.0/24", "fd00::/32", ""}


def test_two_scopes_of_one_network_are_one_series(tmp_path: Path) -> None:
    inner = '{"network": "10.0.0.0", "prefix": 24, "child_prefix": 26, "tags": ["inner"]}'
    outer = f'{{"network": "10.0.0.0", "prefix": 24, "child_prefix": 26, "scopes": [{inner}]}}'
    plugin = InProcess(tmp_path, f'{{"schema_version": 1, "scopes": [{outer}]}}')

    assert scraped(plugin)["pyipam_scope_free_blocks", "10.0.0.0/24"] == 4
    plugin.stop()


CLAIMED = """{"schema_version": 1, "scopes": [{"network": "10.1.0.0", "prefix": 16,
    "node_prefix": 20, "child_prefix": 22, "tags": ["default"]}]}"""


def test_what_a_node_has_claimed_and_what_can_still_be_claimed_is_shown(tmp_path: Path) -> None:
    plugin = InProcess(tmp_path, CLAIMED, node="h1")
    for _ in range(5):
        plugin.call("RequestPool", {"AddressSpace": "local"})

    found = scraped(plugin)

    assert found["pyipam_aggregates", "10.1.0.0/16", "active"] == 2
    assert found["pyipam_aggregates", "10.1.0.0/16", "resting"] == 0
    assert found["pyipam_aggregate_blocks", "10.1.0.0/16"] == 8
    assert found["pyipam_aggregate_free_blocks", "10.1.0.0/16"] == 3
    assert found["pyipam_scope_aggregates", "10.1.0.0/16"] == 2
    assert found["pyipam_scope_free_aggregates", "10.1.0.0/16"] == 14
    assert (found["pyipam_strays",], found["pyipam_node_drained",]) == (0, 0)
    plugin.stop()


def test_a_node_that_is_drained_and_a_claim_that_rests_are_shown(tmp_path: Path) -> None:
    plugin = InProcess(tmp_path, CLAIMED, node="h1")
    for _ in range(5):
        plugin.call("RequestPool", {"AddressSpace": "local"})
    plugin.call("ReleasePool", {"PoolID": "local/10.1.16.0/22"})
    plugin.send("POST", "/Pyipam.ReleaseAggregate", b'{"Aggregate": "10.1.16.0/20"}')
    plugin.send("POST", "/Pyipam.DrainNode", b'{"Node": "h1"}')

    found = scraped(plugin)

    assert found["pyipam_aggregates", "10.1.0.0/16", "draining"] == 1
    assert found["pyipam_aggregates", "10.1.0.0/16", "resting"] == 1
    assert found["pyipam_aggregate_blocks", "10.1.0.0/16"] == 4
    assert found["pyipam_scope_aggregates", "10.1.0.0/16"] == 2
    assert (found["pyipam_node_drained",], found["pyipam_node_forgotten",]) == (1, 0)
    plugin.stop()


def test_a_node_that_was_forgotten_is_shown_and_is_a_problem(tmp_path: Path) -> None:
    forgotten = NodeRecord("h1", forgotten=7.0)
    plugin = InProcess(tmp_path, CLAIMED, MemoryStore({forgotten.key: forgotten}), node="h1")

    found = scraped(plugin)
    problems = plugin.get("/v1/status")["problems"]

    assert found["pyipam_node_forgotten",] == 1
    assert found["pyipam_problems", "node"] == 1
    assert [problem["message"] for problem in problems] == [
        "node h1 was forgotten by an operator, and gives out nothing; give its plugin another "
        "NODE_NAME, or undo that with `pyipam nodes forget --undo h1`"
    ]
    plugin.stop()


def test_networks_that_are_older_than_the_key_are_counted_as_strays(tmp_path: Path) -> None:
    plugin = InProcess(tmp_path, CLAIMED.replace('"node_prefix": 20, ', ""))
    plugin.call("RequestPool", {"AddressSpace": "local"})
    plugin.stop()
    (tmp_path / "schema.json").write_text(CLAIMED)
    plugin.start()

    found = scraped(plugin)

    assert found["pyipam_strays",] == 1
    assert found["pyipam_remarks", "pools"] == 1
    plugin.stop()


def test_a_problem_is_counted_by_what_it_is_about(tmp_path: Path) -> None:
    plugin = InProcess(tmp_path, '{"schema_version": 1, "scopes": [], "colour": "red"}')

    found = scraped(plugin)

    assert found["pyipam_problems", "schema"] == 1
    assert found["pyipam_problems", "store"] == 0
    assert found["pyipam_new_pools_refused",] == 1
    plugin.stop()


def test_without_its_plan_the_plugin_shows_that_it_does_not_serve(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("not a folder")
    plugin = InProcess(tmp_path, SCHEMA)

    found = scraped(plugin)
    health = plugin.answer("GET", "/healthz")

    assert found["pyipam_serving",] == 0
    assert not [key for key in found if key[0] in ("pyipam_pools", "pyipam_scope_blocks")]
    assert health.status == 503
    assert json.loads(health.body)["Err"] == plugin.plugin.problem


def test_a_plugin_that_serves_is_healthy(plugin: InProcess) -> None:
    reply = plugin.answer("GET", "/healthz")

    assert (reply.status, json.loads(reply.body)) == (200, {"status": "ok"})


def test_a_call_is_counted_below_the_first_bound_that_it_keeps() -> None:
    meter = CallMeter()

    for seconds in (0.0, BOUNDS[0], BOUNDS[1], 100.0):
        meter.add(ANSWERED, seconds)

    assert meter.durations[:2] == [2, 1]
    assert meter.durations[-1] == 1
    assert meter.outcomes[ANSWERED] == 4


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(Exhausted, "exhausted"), (StoreFailure, "unavailable"), (StateCorrupted, "unavailable")],
)
def test_a_refusal_is_counted_by_its_reason(error: type[Exhausted], outcome: str) -> None:
    assert outcome_of(error("")) == outcome
    assert outcome in OUTCOMES
