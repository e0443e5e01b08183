"""`check` says what `node_prefix` comes to, and what about it was probably not intended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.host import Host


@pytest.fixture
def found(host: Host, tmp_path: Path) -> Any:
    """What is found in a schema of these scopes, as kinds and messages."""

    def check(*scopes: dict[str, Any]) -> list[tuple[str, str]]:
        file = tmp_path / "new.json"
        file.write_text(json.dumps({"schema_version": 1, "scopes": scopes}))
        outcome = host.run("check", file, "--json")
        assert outcome.code == 0
        return [(each["kind"], each["message"]) for each in outcome.json]

    return check


def scope(network: str = "10.1.0.0", prefix: int = 16, **keys: Any) -> dict[str, Any]:
    return {"network": network, "prefix": prefix, "node_prefix": 20, "child_prefix": 26} | keys


def test_how_many_blocks_there_are_and_how_many_networks_each_has_room_for(found: Any) -> None:
    assert found(scope()) == [
        (
            "note",
            "nodes can claim 16 blocks of /20 from scope 10.1.0.0/16, each for 64 networks of /26; "
            "a network that asks for another length gets at most a /21",
        )
    ]


def test_blocks_that_no_node_can_claim_are_not_counted(found: Any) -> None:
    below = [
        {"network": "10.1.128.0", "prefix": 17, "child_prefix": 28},
        {"network": "10.1.112.0", "prefix": 24, "child_prefix": 28},
        {"network": "10.1.113.0", "prefix": 24, "child_prefix": 28},
    ]

    counted = found(scope(scopes=below, reserved=["10.1.0.0-10.1.40.0", "10.1.120.0/21"]))

    assert [text for kind, text in counted if kind == "note"] == [
        "nodes can claim 5 blocks of /20 from scope 10.1.0.0/16, each for 64 networks of /26; "
        "a network that asks for another length gets at most a /21"
    ]


def test_a_block_that_is_reserved_but_for_what_no_network_has_room_in_is_not_counted(
    found: Any,
) -> None:
    ((_, message),) = found(scope(reserved=["10.1.0.0-10.1.15.253", "10.1.16.0-10.1.31.191"]))

    assert message.startswith("nodes can claim 15 blocks of /20 from scope 10.1.0.0/16, each ")


def test_a_scope_of_which_those_below_it_leave_one_block_is_for_one_node(found: Any) -> None:
    below = {"network": "10.1.0.0", "prefix": 17, "child_prefix": 28}

    assert (
        "warning",
        "scope 10.1.0.0/16 has one block of /17 for nodes to claim: one node alone gets networks "
        "there; make node_prefix longer",
    ) in found(scope(scopes=[below], node_prefix=17))


def test_a_scope_of_which_those_below_it_leave_no_block_is_for_no_node(found: Any) -> None:
    below = {"network": "10.1.0.0", "prefix": 17, "child_prefix": 28}

    assert (
        "warning",
        "scope 10.1.0.0/16 has no block of /16 for nodes to claim: scopes below it have a part of "
        "each, or it is reserved",
    ) in found(scope(scopes=[below], node_prefix=16))


def test_large_numbers_are_powers_of_two(found: Any) -> None:
    ((_, message),) = found(scope("fd00:10::", 32, node_prefix=64, child_prefix=96))

    assert message.startswith("nodes can claim 2^32 blocks of /64 from scope fd00:10::/32, each ")
    assert "for 2^32 networks of /96" in message


def test_a_note_is_no_warning(host: Host, tmp_path: Path) -> None:
    file = tmp_path / "new.json"
    file.write_text(json.dumps({"schema_version": 1, "scopes": [scope()]}))

    outcome = host.run("check", file)

    assert outcome.code == 0
    assert outcome.out.splitlines()[0].startswith(f"{file}:1:")
    assert ": note: $.scopes[0].node_prefix: nodes can claim" in outcome.out
    assert outcome.out.endswith(f"{file}: no errors, no warnings\n")
    assert host.run("check", file, "-q").out == ""


def test_a_scope_that_is_one_block_is_the_plan_of_one_host_and_no_mistake(found: Any) -> None:
    assert found(scope("10.1.16.0", 20, node_prefix=20)) == [
        (
            "note",
            "one node can claim the one block of /20 of scope 10.1.16.0/20, for 64 networks of "
            "/26; a network that asks for another length gets at most a /21; the scope is for a "
            "host that shares its plan with no other",
        )
    ]


def test_blocks_for_two_networks_make_many_prefixes(found: Any) -> None:
    assert (
        "warning",
        "a block that a node claims from scope 10.1.0.0/16 has room for two networks: a node "
        "announces a prefix for every two; make node_prefix shorter",
    ) in found(scope(node_prefix=25))


def test_a_locked_scope_has_nothing_for_nodes_to_claim(found: Any) -> None:
    assert found(scope(lock_down=True)) == [
        (
            "warning",
            "scope 10.1.0.0/16 gives out nothing from its own space (lock_down): no node claims "
            "blocks of it, and node_prefix has no effect",
        )
    ]


def test_a_scope_below_keeps_nodes_from_the_whole_block_around_it(found: Any) -> None:
    below = {"network": "10.1.18.0", "prefix": 24, "child_prefix": 28}

    assert (
        "warning",
        "scope 10.1.18.0/24 is a part of 10.1.16.0/20, which therefore no node can claim from "
        "scope 10.1.0.0/16: move it, or make it as large",
    ) in found(scope(scopes=[below]))


def test_scopes_below_that_fill_blocks_are_not_warned_about(found: Any) -> None:
    below = {"network": "10.1.32.0", "prefix": 19, "child_prefix": 28}

    assert [kind for kind, _ in found(scope(scopes=[below]))] == ["note"]


def test_a_scope_without_node_prefix_has_no_note(found: Any) -> None:
    assert found({"network": "10.1.0.0", "prefix": 16, "child_prefix": 26}) == []
