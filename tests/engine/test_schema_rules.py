"""What a network does not get, and what it is told instead: each with the way out, which works."""

from __future__ import annotations

import pytest

from tests.support.engine.objects import create_network, run_container, try_network
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.schemas import Scope, UseSchema, mount_schema, schema_text, scope

pytestmark = pytest.mark.any_engine

_UNUSABLE = [
    scope("0.0.0.0/8", 24),
    scope("127.0.0.0/8", 24),
    scope("169.254.0.0/16", 24),
    scope("224.0.0.0/4", 24),
    scope("::/96", 112),
    scope("fe80::/10", 64),
    scope("ff00::/8", 64),
]
_ALL_THERE_IS = [scope("0.0.0.0/0", 0), scope("::/0", 64)]


@pytest.mark.parametrize("scopes", [_UNUSABLE, _ALL_THERE_IS], ids=["unusable", "all there is"])
def test_nothing_is_drawn_from_where_no_host_can_be_and_networks_live_on(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema, scopes: list[Scope]
) -> None:
    use_schema(scope("10.20.0.0/16", 24))
    create_network(engine, "net")

    mount_schema(plugin, schema_text(*scopes))
    refused = try_network(engine, "new", "--ipv6")
    engine.restart()

    assert refused.code == 1
    for unusable in scopes:
        name = f"{unusable['network']}/{unusable['prefix']}"
        assert f"no network can get a subnet from {name}: it" in refused.stderr
    assert run_container(engine, "one", "net").reaches("10.20.0.1")
    use_schema(scope("10.20.0.0/16", 24))
    assert create_network(engine, "new").subnets == ["10.20.1.0/24"]


def test_a_block_whose_every_address_is_reserved_is_given_to_nobody_unasked(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema
) -> None:
    use_schema(scope("10.20.0.0/24", 26, reserved=["10.20.0.1-10.20.0.14"]))

    small = create_network(engine, "small", "--ipam-opt", "prefix=28")

    assert small.subnets == ["10.20.0.16/28"]
    assert run_container(engine, "one", "small").addresses == ["10.20.0.18/28"]


def test_a_block_rests_on_while_its_scope_is_missing_from_the_schema(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema
) -> None:
    plan = scope("10.20.0.0/16", 24, reuse_delay=3600)
    use_schema(plan)
    network = create_network(engine, "net")
    run_container(engine, "one", "net").remove()
    network.remove()

    use_schema(scope("10.30.0.0/16", 24))
    create_network(engine, "between")
    use_schema(plan)

    assert create_network(engine, "next").subnets == ["10.20.1.0/24"]


@pytest.mark.parametrize(
    ("wish", "cause", "cure"),
    [
        (
            ("--ipam-opt", "scope_filter_tags=locked", "--ipam-opt", "prefix=26"),
            "gives out only its /24 children (lock_down)",
            "What helps: ask for a /24, by leaving out prefix",
        ),
        (
            ("--ipam-opt", "scope_filter_tags=swarm"),
            "is for swarm networks only (address_space global)",
            "name a tag of the scopes that are for single-host networks too (locked, small)",
        ),
        (
            ("--ipam-opt", "scope_filter_tags=small", "--ipam-opt", "prefix=20"),
            "scope 10.22.0.0/28",
            "What helps: ask for a smaller block (--ipam-opt prefix=28)",
        ),
        (
            ("--ipam-opt", "scope_filter_tags=lockd"),
            "no scope has tag 'lockd'",
            "did you mean 'locked'?",
        ),
        (("--ipam-opt", "scope_filter_tags=locked+"), "ends after '+'", ""),
        (
            ("--ipam-opt", "scope_filter_tags=small", "--ipam-opt", "prefix=32"),
            "a /32 has room for the network's gateway alone",
            "ask for ",
        ),
    ],
    ids=["lock_down", "address_space", "too large", "misspelt", "unfinished", "too small"],
)
def test_the_person_who_asks_is_told_the_cause_that_holds_and_what_helps(
    engine: PrivateEngine,
    plan: None,
    wish: tuple[str, ...],
    cause: str,
    cure: str,
) -> None:
    refused = try_network(engine, "net", *wish)

    assert refused.code == 1
    assert cause in refused.stderr
    assert cure in refused.stderr


@pytest.fixture(scope="module")
def plan(engine: PrivateEngine) -> None:
    """A schema whose scopes each refuse something else."""
    mount_schema(
        Plugin(engine, "owner/pyipam:latest"),
        schema_text(
            scope("10.20.0.0/16", 24, tags=["locked"], lock_down=True, pre_seed_children=True),
            scope("10.21.0.0/16", 24, tags=["swarm"], address_space="global"),
            scope("10.22.0.0/28", 29, tags=["small"]),
        ),
    )
