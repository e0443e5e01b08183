"""`pyipam claims` and `pyipam nodes`: the blocks that a node claims, and nodes that are drained."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.in_process import InProcess
from tests.unit.cli.host import Host, completed
from tests.unit.cli.plans import make_network

_SCHEMA = json.dumps(
    {
        "schema_version": 1,
        "scopes": [
            {
                "network": "10.1.0.0",
                "prefix": 16,
                "node_prefix": 20,
                "child_prefix": 22,
                "tags": ["default"],
            },
            {
                "network": "fd00:10::",
                "prefix": 32,
                "node_prefix": 48,
                "child_prefix": 64,
                "tags": ["default"],
            },
        ],
    }
)


@pytest.fixture
def schema() -> str:
    return _SCHEMA


@pytest.fixture
def node() -> str:
    return "h1"


def claim_two(plugin: InProcess) -> list[str]:
    """Create five networks, the last of which needs a second block; their pools."""
    return [make_network(plugin) for _ in range(5)]


def release(plugin: InProcess, pool: str) -> None:
    plugin.call("ReleasePool", {"PoolID": pool})


def test_claims_are_listed_with_what_is_in_use_and_free_in_them(
    host: Host, plugin: InProcess
) -> None:
    claim_two(plugin)

    assert host.run("claims").cells == [
        ["10.1.0.0/20", "h1", "10.1.0.0/16", "4", "0 of 4", "active", "2023-11-14T22:13:20Z", "-"],
        ["10.1.16.0/20", "h1", "10.1.0.0/16", "1", "3 of 4", "active", "2023-11-14T22:13:20Z", "-"],
    ]


def test_a_claim_that_was_given_back_is_listed_with_the_time_at_which_it_is_free(
    host: Host, plugin: InProcess
) -> None:
    for pool in claim_two(plugin):
        release(plugin, pool)

    rows = [(row[0], *row[5:]) for row in host.run("claims").cells]

    assert rows == [
        ("10.1.0.0/20", "active", "2023-11-14T22:13:20Z", "-"),
        ("10.1.16.0/20", "resting", "2023-11-14T22:13:20Z", "2023-11-14T22:18:20Z"),
    ]


def test_claims_are_chosen_by_scope_and_by_node(host: Host, plugin: InProcess) -> None:
    make_network(plugin)
    make_network(plugin, v6=True)

    assert host.run("claims", "-q").out == "10.1.0.0/20\nfd00:10::/48\n"
    assert host.run("claims", "--scope", "fd00:10::/32", "-q").out == "fd00:10::/48\n"
    assert len(host.run("claims", "--node", "h1", "--json").json) == 2


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (["--node", "h9"], "node=h9: this host shares its plan with no other"),
        (
            ["--scope", "10.1.0.0/17"],
            "scope=10.1.0.0/17: the schema has no scope '10.1.0.0/17'; did you mean 10.1.0.0/16?",
        ),
    ],
)
def test_why_no_claim_matches_is_said(
    host: Host, plugin: InProcess, chosen: list[str], said: str
) -> None:
    outcome = host.run("claims", *chosen)

    assert (outcome.code, outcome.err) == (0, f"pyipam: nothing matches {said}\n")


def test_claims_as_json_are_the_items_of_the_view(host: Host, plugin: InProcess) -> None:
    make_network(plugin)
    shown: list[dict[str, Any]] = plugin.get("/v1/aggregates")

    assert host.run("claims", "--json").json == shown
    assert shown[0]["free"] == "3"


def test_an_empty_claim_is_given_back(host: Host, plugin: InProcess) -> None:
    release(plugin, make_network(plugin))

    outcome = host.run("claims", "release", "10.1.0.0/20")

    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err == "pyipam: 10.1.0.0/20 has been released, and is free after its rest\n"
    assert [row[5] for row in host.run("claims").cells] == ["resting"]


@pytest.mark.parametrize(
    ("cidr", "why"),
    [
        (
            "10.1.0.0/20",
            "aggregate 10.1.0.0/20 holds one pool: local/10.1.0.0/22; remove their networks first. "
            "Nothing has been released",
        ),
        (
            "10.1.0.0/22",
            "10.1.0.0/22 is a part of 10.1.0.0/20, which can be released as a whole only",
        ),
        ("10.1.32.0/20", "no node has claimed 10.1.32.0/20; `pyipam claims` lists what they have"),
        ("10.1.32.0/40", "'10.1.32.0/40' "),
    ],
)
def test_what_cannot_be_given_back_is_said_and_stays(
    host: Host, plugin: InProcess, cidr: str, why: str
) -> None:
    make_network(plugin)

    assert host.refusal("claims", "release", cidr).startswith(why)
    assert [row[5] for row in host.run("claims").cells] == ["active"]


def test_a_node_is_drained_until_that_is_ended(host: Host, plugin: InProcess) -> None:
    make_network(plugin)

    drained = host.run("nodes", "drain", "h1")
    refused = plugin.call("RequestPool", {"AddressSpace": "local"})
    states = [row[5] for row in host.run("claims").cells]
    undrained = host.run("nodes", "undrain", "h1")

    assert (drained.code, drained.out) == (0, "")
    assert drained.err == (
        "pyipam: node h1 is being drained: new networks there get no subnet, and what exists goes "
        "on\n"
    )
    assert "end that with `pyipam nodes undrain h1`" in refused.error()
    assert states == ["draining"]
    assert undrained.err == (
        "pyipam: node h1 is not being drained: new networks there get a subnet\n"
    )
    assert make_network(plugin) == "local/10.1.4.0/22"


@pytest.mark.parametrize("command", ["drain", "undrain"])
def test_an_unknown_node_is_said_with_those_that_there_are(
    host: Host, plugin: InProcess, command: str
) -> None:
    assert host.refusal("nodes", command, "h9") == (
        "the plan has no node h9; it has h1. Nothing has been done"
    )


def test_the_status_says_what_is_claimed_and_that_the_node_is_drained(
    host: Host, plugin: InProcess
) -> None:
    for pool in claim_two(plugin)[3:]:
        release(plugin, pool)
    host.run("claims", "release", "10.1.16.0/20")
    host.run("nodes", "drain", "h1")

    outcome = host.run("status")

    assert outcome.code == 0
    assert "claims      2 in all, 1 resting, 0 pools outside\n" in outcome.out
    assert "warnings    node h1 is being drained: networks that exist go on" in outcome.out
    status = host.run("status", "--json").json
    assert status["node_state"] == "draining"
    assert status["aggregates"] == {"total": 2, "resting": 1, "strays": 0}


def test_the_history_says_what_became_of_a_claim_and_of_a_node(
    host: Host, plugin: InProcess
) -> None:
    release(plugin, make_network(plugin))
    host.run("claims", "release", "10.1.0.0/20")
    host.run("nodes", "drain", "h1")

    of_claim = host.run("history", "local/10.1.0.0/20").cells
    of_node = host.run("history", "--node", "h1").cells

    assert [(row[1], row[4], row[5]) for row in of_claim] == [
        ("claimed", "local/10.1.0.0/20", "aggregate"),
        ("rested", "local/10.1.0.0/20", "aggregate"),
    ]
    assert [(row[1], row[3], row[5]) for row in of_node] == [("drained", "h1", "node")]
    assert host.run("history", "--node", "h1", "-q").out == "h1\n"
    assert host.run("history", "--node", "h2").err == (
        "pyipam: nothing is known of h2, as far as the history goes back\n"
    )
    assert host.run("history").code == host.run("history", "10.1.0.0", "--node", "h1").code == 2


def test_a_change_is_not_asked_for_by_a_url(host: Host, plugin: InProcess) -> None:
    outcome = host.run("nodes", "drain", "h1", "--url", "http://127.0.0.1:9430")

    assert outcome.code == 2
    assert "No such option '--url'" in outcome.err or "No such option: --url" in outcome.err


def test_nodes_are_listed_with_how_full_their_claims_are(host: Host, plugin: InProcess) -> None:
    claim_two(plugin)
    make_network(plugin, v6=True)
    host.run("nodes", "drain", "h1")

    assert host.run("nodes").cells == [
        ["h1", "draining", "3", "5 of 8, 1 of 65536", "0", "6", "0", "this node"]
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["nodes", "--plugin", "other", "drain", "h1"],
        ["nodes", "--json", "forget", "h1"],
        ["claims", "--node", "h1", "release", "10.1.0.0/20"],
    ],
)
def test_options_before_the_second_word_of_a_command_are_not_passed_over(
    host: Host, plugin: InProcess, words: list[str]
) -> None:
    outcome = host.run(*words)

    assert outcome.code == 2
    assert f"write {words[1]} after " in outcome.err


def test_the_socket_of_the_plugin_can_be_named(host: Host, plugin: InProcess) -> None:
    assert host.run("nodes", "drain", "h1", "--socket", host.socket).code == 0
    assert host.run("nodes", "drain", "h1", "--socket", "x", "--plugin", "y").code == 2


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("pyipam claims release 10", ["10.1.0.0/20", "10.1.16.0/20"]),
        ("pyipam claims --node ", ["h1"]),
        ("pyipam claims --scope 10", ["10.1.0.0/16"]),
        ("pyipam nodes drain h", ["h1"]),
        ("pyipam routes --node h", ["h1"]),
        ("pyipam nodes undrain h", ["h1"]),
        ("pyipam pools --filter node=", ["node=h1"]),
    ],
)
def test_claims_and_nodes_are_completed(
    host: Host, plugin: InProcess, monkeypatch: pytest.MonkeyPatch, line: str, values: list[str]
) -> None:
    claim_two(plugin)

    assert completed(host, monkeypatch, line) == values


def test_what_is_not_known_of_another_node_is_a_dash(host: Host) -> None:
    known = {"node": "h2", "state": "serving", "aggregates": 1, "strays": 0, "this": False}
    answer = {"items": [known | {"pools": None, "leases": None}], "next": None}

    with host.answering(lambda _: (200, json.dumps(answer).encode())):
        (row,) = host.run("nodes").cells

    assert row == ["h2", "serving", "1", "-", "0", "-", "-", "-"]
