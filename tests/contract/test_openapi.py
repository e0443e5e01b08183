"""The published description of the views: it is the program's, and the program keeps to it.

schemathesis asks every view in this process for what the description allows and for what it does
not, and compares the answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import openapi
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from pyipam.api.app import make_app
from pyipam.api.catalogue import DESCRIPTION, VIEWS
from pyipam.settings import Alias
from tests.support.in_process import InProcess

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]
SCHEMA = """{"schema_version": 1, "scopes": [
    {"network": "10.0.0.0", "prefix": 16, "child_prefix": 24, "tags": ["default"],
     "reserved": ["10.0.200.0/24"], "reuse_delay": 60, "scopes": [
        {"network": "10.0.8.0", "prefix": 24, "child_prefix": 28, "tags": ["small"],
         "pre_seed_children": true}]},
    {"network": "fd00::", "prefix": 32, "child_prefix": 64, "node_prefix": 48, "tags": ["six"]}]}"""
# What the plan below has, and what lies around it.
SUBNETS = ["10.0.0.0/16", "10.0.8.0/24", "10.0.0.0/24", "10.0.1.0/24", "fd00::/32", "0.0.0.0/0"]
POOLS = ["local/10.0.0.0/24", "local/fd00::/64", "local/10.0.9.0/24/10.0.9.128/25", "global/x"]


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The described views of a plugin that holds something of every kind."""
    plugin = InProcess(tmp_path_factory.mktemp("home"), SCHEMA)
    for options in (
        {"scope_filter_tags": "default", "id": "front"},
        {"scope_filter_tags": "small"},
    ):
        reply = plugin.call("RequestPool", {"AddressSpace": "local", "Options": options})
        pool = json.loads(reply.body)["PoolID"]
        for address in ("", "", ""):
            plugin.call("RequestAddress", {"PoolID": pool, "Address": address})
    plugin.call("ReleaseAddress", {"PoolID": "local/10.0.0.0/24", "Address": "10.0.0.2"})
    plugin.call("RequestPool", {"AddressSpace": "local", "V6": True})
    plugin.call("RequestPool", {"AddressSpace": "global", "Options": {"scope_filter_tags": "none"}})
    schemathesis.openapi.format("subnet", st.sampled_from(SUBNETS) | _networks())
    schemathesis.openapi.format(
        "address", st.sampled_from(["10.0.0.1", "10.0.8.2", "::1"]) | st.ip_addresses().map(str)
    )
    described = schemathesis.openapi.from_dict(json.loads(DESCRIPTION.read_text("utf-8")))
    described.app = make_app(plugin.plugin, Alias("driver"))
    yield described
    plugin.stop()


def _networks() -> st.SearchStrategy[str]:
    lengths = st.integers(0, 32)
    pairs = st.tuples(st.ip_addresses(v=4), lengths)
    return pairs.map(lambda pair: str(ip_network(pair, strict=False)))


def test_the_published_description_is_that_of_the_program() -> None:
    assert DESCRIPTION.read_text("utf-8") == openapi.text(), (
        f"{DESCRIPTION.name} is outdated: make openapi"
    )


@pytest.mark.parametrize("name", sorted(VIEWS))
@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"])
def test_a_view_keeps_to_its_description(views: Any, name: str, mode: str) -> None:
    operation = views[f"/v1/{name}"]["GET"]
    if mode == "NEGATIVE" and not VIEWS[name].parameters:
        cases = operation.as_strategy()
    else:
        cases = operation.as_strategy(generation_mode=schemathesis.GenerationMode[mode])

    @given(case=cases)
    @settings(
        max_examples=12, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    def check(case: Any) -> None:
        # An empty parameter counts as left out, so it is not wrong either.
        has_empty = any(value in ("", None, [], {}) for value in case.query.values())
        case.call_and_validate(checks=CHECKS if has_empty else [*CHECKS, negative_data_rejection])

    check()
