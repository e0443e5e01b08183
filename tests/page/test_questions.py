"""What people ask of a plan, answered by somebody who sees the page for the first time: from its
start, by what is written there."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.engine.host_command import Command
from tests.support.engine.objects import create_network, run_container, try_network
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.schemas import SCHEMA_PATH, write_schema
from tests.support.engine.unix_http import HttpError, request


def _tagged(tags: str) -> tuple[str, str]:
    return "--ipam-opt", f"scope_filter_tags={tags}"


def test_how_full_is_ingress(page: Page, engine: PrivateEngine, plugin: Plugin) -> None:
    create_network(engine, "web", *_tagged("ingress"))
    (scope,) = plugin.get("/v1/scopes?scope=100.64.0.0/17")
    free, blocks = (f"{int(scope[name]):,}" for name in ("free", "blocks"))

    tree = page.get_by_role("navigation", name="scopes")
    ingress = tree.get_by_role("listitem").filter(
        has=page.get_by_role("link", name="ingress", exact=True)
    )

    expect(ingress.first).to_contain_text(f"{free} of {blocks} /26 free")


def test_who_has_an_address(
    page: Page, engine: PrivateEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    create_network(engine, "frontend", "--subnet", "100.64.32.0/26")
    run_container(engine, "proxy", "frontend", "--ip", "100.64.32.7")
    Command(engine, capsys)("record", "--once")

    page.get_by_label("Search").fill("100.64.32.7")
    page.get_by_label("Search").press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text("100.64.32.7 in use")
    expect(page.get_by_role("region", name="leases")).to_contain_text("proxy")
    expect(page.get_by_role("region", name="pools")).to_contain_text("frontend")
    expect(page.get_by_role("gridcell", selected=True)).to_contain_text(".7")


def test_which_block_a_network_would_get_and_why(page: Page, engine: PrivateEngine) -> None:
    page.get_by_role("link", name="What would I get?").click()
    page.get_by_label("Tags").fill("ingress")
    page.get_by_label("Prefix length").fill("26")
    page.get_by_role("button", name="Ask").click()

    answer = page.get_by_role("region", name="what would I get")
    expect(answer.get_by_role("status")).to_contain_text("You would get")
    block = answer.get_by_role("status").get_by_role("link").inner_text()
    expect(answer).to_contain_text(f"is tried as number 1: {block} is next")
    expect(answer.get_by_text("is not selected by the tags")).to_have_count(4)
    # It is seen among its neighbours.
    expect(page.get_by_role("gridcell", selected=True).get_by_label(f"{block}: ")).to_be_visible()
    network = create_network(engine, "web", *_tagged("ingress"), "--ipam-opt", "prefix=26")
    assert network.subnets == [block]


def test_which_block_this_host_claims_next_and_whose_the_others_are(
    page: Page, engine: PrivateEngine
) -> None:
    create_network(engine, "routed", *_tagged("fabric"))

    page.get_by_role("gridcell").get_by_label("10.200.0.0/16:").click()

    shown = page.get_by_role("region", name="map")
    expect(shown).to_contain_text("Nodes claim /20 blocks: of this node 1, of others 0, free 15.")
    expect(page.get_by_label("10.200.0.0/20: 1 of 4 blocks held, claimed by this")).to_be_visible()
    shown.get_by_role("link", name="of this node").click()
    rows = page.get_by_role("region", name="list").locator("tbody tr")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("10.200.0.0/20")
    expect(rows.first).to_contain_text("3 of 4")

    page.get_by_role("link", name="What would I get?").click()
    page.get_by_label("Tags").fill("fabric")
    page.get_by_label("or this subnet").fill("10.200.53.0/24")
    page.get_by_role("button", name="Ask").click()
    answer = page.get_by_role("region", name="what would I get")
    expect(answer.get_by_role("status")).to_contain_text(
        "You would get 10.200.53.0/24 of scope 10.200.0.0/16, for which this node would claim "
        "10.200.48.0/20."
    )


def test_what_leaked(page: Page, engine: PrivateEngine, plugin: Plugin) -> None:
    # A network whose creation dockerd gave up without a word, as when it is killed.
    wish = {"AddressSpace": "local", "Options": {"scope_filter_tags": "internal", "id": "lost"}}
    asked = json.dumps(wish).encode()
    request(plugin.sockets / "driver.sock", "POST", "/IpamDriver.RequestPool", asked)
    create_network(engine, "other", *_tagged("internal"))
    engine.restart()

    page.get_by_role("link", name="1 pool unclaimed").click()

    rows = page.get_by_role("region", name="list").locator("tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("lost")
    rows.get_by_role("link").first.click()
    page.get_by_role("navigation", name="where this is").get_by_role("link").last.click()
    cell = page.get_by_role("gridcell").get_by_label(re.compile("1 unclaimed"))
    expect(cell).to_have_attribute("data-state", "unclaimed")


def test_why_a_network_could_not_be_created(page: Page, engine: PrivateEngine) -> None:
    refused = try_network(engine, "web", *_tagged("ingres"))
    assert refused.code != 0

    page.get_by_role("link", name=re.compile(r"^\d+ refusals?$")).click()

    latest = page.get_by_role("region", name="refusals").locator("tbody tr").first
    expect(latest).to_contain_text("RequestPool")
    expect(latest).to_contain_text("did you mean 'ingress'?")


def test_all_refusals_are_counted_and_the_latest_are_shown(page: Page, plugin: Plugin) -> None:
    unknown = json.dumps({"PoolID": "local/192.0.2.0/24", "Address": "192.0.2.1"}).encode()
    for _ in range(101):
        with pytest.raises(HttpError):
            request(plugin.sockets / "driver.sock", "POST", "/IpamDriver.RequestAddress", unknown)
    refused = plugin.status()["refused"]
    page.reload()

    page.get_by_role("link", name=f"{refused} refusals", exact=True).click()

    expect(page.get_by_role("region", name="refusals")).to_contain_text(
        f"The latest 100 of {refused}."
    )


def test_what_is_wrong_is_said_as_the_command_says_it(
    page: Page, engine: PrivateEngine, plugin: Plugin, capsys: pytest.CaptureFixture[str]
) -> None:
    file = engine.root / SCHEMA_PATH.lstrip("/")
    before = file.read_text()
    write_schema(plugin, before.replace('"reuse_delay"', '"reuse_dealy"'))
    try:
        problems = page.get_by_label("Is all well?").locator("li.problem")
        expect(problems.first).to_contain_text("reuse_dealy")
        shown = problems.all_inner_texts()

        said = Command(engine, capsys)("status", code=1)
    finally:
        write_schema(plugin, before)

    assert [text for text in shown if text not in said] == []
    expect(page.get_by_role("heading", name="All is well")).to_be_visible()
