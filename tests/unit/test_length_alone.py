"""Subnets at address 0, which ask for a length alone ("Selecting scopes" in architecture.md)."""

from __future__ import annotations

import pytest

from pyipam.errors import InvalidRequest
from tests.support.core import Core, scope, tree_of


@pytest.fixture
def core() -> Core:
    return Core(
        tree_of(
            scope("10.0.0.0", 16, child_prefix=24, tags=["default"]),
            scope("fd00::", 48, child_prefix=64, tags=["default"]),
        )
    )


@pytest.mark.parametrize("space", ["local", "global"])
def test_a_length_alone_is_refused_with_the_option_that_works(core: Core, space: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        core.pool("0.0.0.0/26", space="global" if space == "global" else "local")
    message = str(caught.value)
    assert "subnet '0.0.0.0/26' asks for a length alone" in message
    assert "--ipam-opt prefix=26" in message
    assert "a driver alias that has prefix=26" in message
    assert core.pools() == []


def test_an_ipv6_length_alone_is_refused_with_the_option_that_works(core: Core) -> None:
    with pytest.raises(InvalidRequest, match="--ipam-opt prefix=72"):
        core.pool("::/72")


def test_a_length_that_would_be_one_of_ipv4_as_an_option_has_to_be_named() -> None:
    core = Core(tree_of(scope("fd00::", 16, child_prefix=64)))
    with pytest.raises(InvalidRequest, match="name a subnet of that length instead"):
        core.pool("::/20")
    with pytest.raises(InvalidRequest, match="ask with --ipam-opt prefix=33 or longer"):
        core.pool("::/12")


@pytest.mark.parametrize(
    ("subnet", "works"),
    [("0.0.0.0/32", 30), ("::/128", 126), ("0.0.0.0/8", 16), ("::/40", 48), ("::/20", 48)],
)
def test_the_option_that_is_recommended_works(core: Core, subnet: str, works: int) -> None:
    with pytest.raises(InvalidRequest, match=f"ask with --ipam-opt prefix={works} "):
        core.pool(subnet)
    assert core.pool(version=6 if ":" in subnet else 4, length=works)


@pytest.mark.parametrize("subnet", ["0.0.0.0/0", "::/0"])
def test_the_whole_address_space_is_refused(core: Core, subnet: str) -> None:
    with pytest.raises(InvalidRequest, match="asks for the whole IPv"):
        core.pool(subnet)


class TestANetworkThatAnOlderVersionMadeWithALengthAlone:
    """Such a network has an automatic block of that length, and its engine repeats 0.0.0.0/26."""

    def test_gets_its_block_back_when_the_engine_starts(self, core: Core) -> None:
        pool = core.pool(length=26, label="n", tags="default")
        core.gateway(pool)
        core.restart_engine("engine-2")
        assert core.pool("0.0.0.0/26", label="n", tags="default") == pool
        assert core.gateway(pool, "10.0.0.1") == "10.0.0.1/26"
        assert core.references(pool) == 1

    def test_is_told_from_others_by_its_options_whatever_the_order(self, core: Core) -> None:
        pools = {label: core.pool(length=26, label=label) for label in ("a", "b", "c")}
        core.restart_engine("engine-2")
        assert {label: core.pool("0.0.0.0/26", label=label) for label in "bca"} == pools

    def test_is_refused_where_it_could_be_another(self, core: Core) -> None:
        for _ in range(2):
            core.pool(length=26)
        core.restart_engine("engine-2")
        with pytest.raises(InvalidRequest, match="prefix=26"):
            core.pool("0.0.0.0/26")

    @pytest.mark.parametrize("engine", ["engine-1", ""], ids=["engine known", "engine unknown"])
    def test_is_not_given_to_a_new_network_after_a_restart_of_the_plugin_alone(
        self, core: Core, engine: str
    ) -> None:
        core.restart_engine(engine)
        pool = core.pool(length=26)
        core.start()
        with pytest.raises(InvalidRequest, match="prefix=26"):
            core.pool("0.0.0.0/26")
        assert core.references(pool) == 1

    def test_is_not_given_to_two_networks(self, core: Core) -> None:
        pool = core.pool(length=26)
        core.restart_engine("engine-2")
        assert core.pool("0.0.0.0/26") == pool
        with pytest.raises(InvalidRequest, match="prefix=26"):
            core.pool("0.0.0.0/26")
        assert core.references(pool) == 1
