"""What the commands show of scopes whose blocks nodes claim."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.in_process import InProcess
from tests.unit.aggregates import SCOPE
from tests.unit.cli.host import Host
from tests.unit.cli.plans import make_network


@pytest.fixture
def schema() -> str:
    return json.dumps({"schema_version": 1, "scopes": [SCOPE]})


def test_scopes_show_what_this_node_would_get_and_who_has_how_much(
    host: Host, plugin: InProcess
) -> None:
    make_network(plugin)

    (row,) = host.run("scopes").cells

    assert row[1:5] == ["64 of /22", "1", "63", "10.1.4.0/22"]
    assert row[-1] == "nodes claim /20 blocks (1 of this node, 0 of others, 15 free); local only"


@pytest.mark.usefixtures("plugin")
def test_a_plan_says_which_aggregate_would_be_claimed(host: Host) -> None:
    first, _, *rows = host.run("plan").out.splitlines()

    assert first == "10.1.0.0/22 of scope 10.1.0.0/16, for which this node would claim 10.1.0.0/20"
    assert rows[0].split() == ["ORDER", "SCOPE", "FREE", "BLOCK", "AGGREGATE", "TAGS", "WHY", "NOT"]
    assert "10.1.0.0/20 (to be claimed)" in rows[1]


def test_a_plan_says_from_which_aggregate_a_block_comes(host: Host, plugin: InProcess) -> None:
    make_network(plugin)

    outcome = host.run("plan")

    assert "from 10.1.0.0/20, which this node has claimed\n" in outcome.out
    assert outcome.out.endswith("10.1.4.0/22   10.1.0.0/20   -      -\n")


def test_a_plan_of_a_subnet_says_what_would_come_of_it(host: Host, plugin: InProcess) -> None:
    assert host.run("plan", "--subnet", "10.1.53.0/24").out == (
        "10.1.53.0/24 of scope 10.1.0.0/16, for which this node would claim 10.1.48.0/20\n"
    )
    refused = host.run("plan", "--subnet", "10.1.0.0/20")
    assert refused.code == 1
    assert "subnet 10.1.0.0/20 is too large" in refused.out


def test_a_plan_of_a_subnet_in_a_schema_needs_no_plugin(
    host: Host, schema: str, tmp_path: Path
) -> None:
    file = tmp_path / "other.json"
    file.write_text(schema)

    asked = ("plan", "--schema", file, "--subnet")
    assert host.run(*asked, "10.1.53.0/24", "-q").out == "10.1.53.0/24\n"
    assert host.refusal(*asked, "10.1.53.1/24").startswith("subnet='10.1.53.1/24' is not a subnet")


@pytest.mark.parametrize("other", [["--prefix", "24"], ["--ipv6"]])
@pytest.mark.usefixtures("plugin")
def test_a_subnet_leaves_no_choice_of_length_and_version(host: Host, other: list[str]) -> None:
    outcome = host.run("plan", "--subnet", "10.1.53.0/24", *other)

    assert outcome.code == 2
    assert "--subnet already has a prefix length and an IP version" in outcome.err


def test_a_diff_says_what_becomes_of_aggregates_and_pools(
    host: Host, plugin: InProcess, tmp_path: Path
) -> None:
    make_network(plugin)
    file = tmp_path / "other.json"
    file.write_text(json.dumps({"schema_version": 1, "scopes": [SCOPE | {"node_prefix": 18}]}))

    outcome = host.run("diff", file)

    assert outcome.code == 3
    assert outcome.out.splitlines() == [
        "changed 10.1.0.0/16: node_prefix 20 -> 18",
        "claims 10.1.0.0/16: nodes claim /18 blocks of it, no longer /20, and a network gets at "
        "most a /19",
        "stays 10.1.0.0/20: is an aggregate of this node, and keeps its length",
    ]


def test_a_diff_says_which_scopes_would_lie_in_an_aggregate(
    host: Host, plugin: InProcess, tmp_path: Path
) -> None:
    make_network(plugin)
    inner = {"network": "10.1.4.0", "prefix": 22, "child_prefix": 28}
    file = tmp_path / "other.json"
    file.write_text(json.dumps({"schema_version": 1, "scopes": [SCOPE | {"scopes": [inner]}]}))

    outcome = host.run("diff", file)

    assert outcome.out.splitlines() == [
        "added 10.1.4.0/22: its tags are none",
        "inside 10.1.4.0/22: lies in 10.1.0.0/20, which this node has claimed: until that is "
        "given back, networks of this node get blocks of it, and those of other nodes and of "
        "swarms none",
    ]


def test_networks_that_are_taken_in_claim_the_blocks_around_them_or_are_strays(
    host: Host, plugin: InProcess, tmp_path: Path
) -> None:
    host.engine.add_network("shop", "10.1.52.0/22", driver="owner/pyipam:latest")
    host.engine.add_network("large", "10.1.128.0/20", driver="owner/pyipam:latest")
    report = tmp_path / "missing.json"

    host.run("reconcile", "--report", report)
    assert host.run("reconcile", "--apply", report).code == 0

    assert host.run("claims", "-q").out == "10.1.48.0/20\n"
    assert [(row[0], row[4]) for row in host.run("pools").cells] == [
        ("local/10.1.52.0/22", "in use"),
        ("local/10.1.128.0/20", "in use, stray"),
    ]
    assert host.run("routes").out.split() == ["10.1.48.0/20", "10.1.128.0/20"]
