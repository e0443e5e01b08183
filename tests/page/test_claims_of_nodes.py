"""The page of a host that shares its plan: whose the claimed blocks are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import served_page, show
from tests.support.dockerd import create_network
from tests.support.mongodb.hosts import Host, running_hosts
from tests.support.mongodb.replica_set import ReplicaSet
from tests.support.program import scope

_ROUTED = scope("10.1.0.0/16", 22, node_prefix=20, tags=["default"])
_numbers = count()


@pytest.fixture
def hosts(replica_set: ReplicaSet) -> Iterator[list[Host]]:
    """Two hosts, h1 and h2, each of which has claimed a block for a network."""
    store_url = replica_set.url_of(f"page{next(_numbers)}")
    with running_hosts(store_url, ["h1", "h2"], [_ROUTED]) as hosts:
        for host in hosts:
            create_network(host.connect())
        yield hosts


@pytest.fixture
def link(hosts: list[Host]) -> Iterator[str]:
    """Where the page of h1 is served."""
    with served_page(hosts[0].program.socket()) as link:
        yield link


def test_the_map_tells_what_this_host_has_claimed_from_what_another_one_has(
    page: Page, link: str
) -> None:
    show(page, f"{link}#/map/10.1.0.0/16")

    expect(page.get_by_role("region", name="map")).to_contain_text(
        "Nodes claim /20 blocks: of this node 1, of others 1, free 14."
    )
    own = page.get_by_label("10.1.0.0/20: 1 of 4 blocks held, claimed by this node on ")
    other = page.get_by_label("10.1.128.0/20: claimed by node h2 on ")
    for cell, node, state in ((own, "h1", "held"), (other, "h2", "claimed")):
        expect(cell).to_contain_text(node)
        expect(cell).to_have_attribute("data-state", state)
    expect(own).to_have_attribute("data-own", "true")
    expect(other).not_to_have_attribute("data-own", "true")
    expect(page.get_by_role("list", name="legend")).to_contain_text("claimed by another node")


def test_a_block_that_another_host_claims_appears_by_itself(
    page: Page, link: str, hosts: list[Host]
) -> None:
    show(page, f"{link}#/map/10.1.0.0/16")

    for _ in range(4):
        create_network(hosts[1].connect())

    expect(page.get_by_role("region", name="map")).to_contain_text("of others 2, free 13.")
    expect(page.get_by_label("10.1.144.0/20: claimed by node h2 on ")).to_be_visible()


def test_the_list_of_aggregates_says_whose_each_is_and_what_is_free_in_those_of_this_host(
    page: Page, link: str
) -> None:
    show(page, f"{link}#/map/10.1.0.0/16?list=aggregates")

    rows = page.get_by_role("region", name="list").locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("10.1.0.0/20h113 of 4active")
    expect(rows.nth(1)).to_contain_text("10.1.128.0/20h2active")


def test_an_address_in_a_block_of_another_host_is_known_to_that_one_alone(
    page: Page, link: str
) -> None:
    show(page, f"{link}#/address/10.1.128.2")

    expect(page.get_by_role("heading", level=1)).to_have_text("10.1.128.2 claimed")
    expect(page.get_by_role("region", name="address")).to_contain_text(
        "10.1.128.2 is in a block that node h2 has claimed: only that node knows whether it is in "
        "use"
    )


def test_a_subnet_in_a_block_of_another_host_is_refused_by_its_name(page: Page) -> None:
    page.get_by_role("link", name="What would I get?").click()
    page.get_by_label("or this subnet").fill("10.1.129.0/24")
    page.get_by_role("button", name="Ask").click()

    answer = page.get_by_role("region", name="what would I get")
    expect(answer.get_by_role("status")).to_contain_text(
        "subnet 10.1.129.0/24 is in 10.1.128.0/20, which node h2 claimed on"
    )
