"""The plan on the page, as a person looks at it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.browser import show
from tests.support.engine.host_command import Command
from tests.support.engine.objects import create_network, run_container
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine

_SEARCHED = {
    "100.64.0.2": "100.64.0.2 in use",
    "100.64.3": "100.64.3.0/24",
    "100.64.0.0/17": "100.64.0.0/17",
    "fd00:1:0:5::1": "fd00:1:0:5::1 free",
    "fd00:1": "fd00:1::/32",
    "internal": 'Found for "internal"',
    "front": 'Found for "front"',
    "RON": 'Found for "RON"',
    "tern": 'Found for "tern"',
}


def _open(page: Page, place: str) -> None:
    page.goto(f"{page.url.split('#')[0]}#/{place}")


def _tagged(tags: str) -> tuple[str, str]:
    return "--ipam-opt", f"scope_filter_tags={tags}"


def _never_answer(_: Route) -> None:
    pass


def test_the_whole_plan_shows_the_outermost_scopes_and_how_full_they_are(page: Page) -> None:
    expect(page.get_by_role("gridcell")).to_have_count(5)
    tree = page.get_by_role("navigation", name="scopes")
    expect(tree).to_contain_text(re.compile(r"0 % taken, [0-9,]+ of 4,096 /24 free"))
    expect(page.get_by_role("heading", name="All is well")).to_be_visible()


def test_a_network_that_is_made_appears_by_itself(page: Page, engine: PrivateEngine) -> None:
    _open(page, "map/100.64.0.0/17")

    create_network(engine, "web", *_tagged("ingress"))

    expect(page.get_by_role("region", name="list")).to_contain_text("100.64.0.0/26")
    expect(page.get_by_label("100.64.0.0/24: 1 of 4 blocks held")).to_be_visible()


def test_clicks_lead_from_the_whole_plan_to_an_address_and_the_back_key_back(
    page: Page, engine: PrivateEngine
) -> None:
    create_network(engine, "web", *_tagged("ingress"))
    run_container(engine, "one", "web")

    page.get_by_role("gridcell").get_by_label("100.64.0.0/17:").click()
    page.get_by_label("100.64.0.0/24:").click()
    page.get_by_label("100.64.0.0/26:").click()
    page.get_by_label("100.64.0.2: in use by a container").click()

    expect(page.get_by_role("heading", name="100.64.0.2 in use")).to_be_visible()
    expect(page.get_by_role("region", name="address")).to_contain_text("by a container")
    for block in ("100.64.0.0/26", "100.64.0.0/24", "100.64.0.0/17"):
        page.go_back()
        expect(page.get_by_role("heading", level=1)).to_have_text(block)


def test_the_path_leads_back_to_each_level(page: Page) -> None:
    _open(page, "map/100.64.16.64/26")

    path = page.get_by_role("navigation", name="where this is")
    expect(path).to_contain_text(re.compile("whole plan.*100.64.0.0/17.*100.64.16.0/24"))
    path.get_by_role("link", name="100.64.0.0/17").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("100.64.0.0/17")


def test_reserved_parts_and_scopes_within_are_seen(page: Page) -> None:
    _open(page, "map/100.64.0.0/17")

    expect(page.get_by_label("100.64.1.0/24: reserved")).to_have_attribute("data-state", "reserved")
    tree = page.get_by_role("navigation", name="scopes")
    tree.get_by_role("link", name="100.64.64.0/20").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("100.64.64.0/20")
    expect(page.get_by_role("gridcell")).to_have_count(256)


def test_ipv6_is_drawn_in_blocks(page: Page, engine: PrivateEngine) -> None:
    create_network(engine, "web", "--ipv6")
    _open(page, "map/fd00:1::/48")

    page.get_by_label("fd00:1::/56: 1 of 256 blocks held").click()

    expect(page.get_by_label("fd00:1::/64: pool fd00:1::/64, 1 address given out")).to_be_visible()


def test_lists_are_filtered_sorted_and_shown_as_a_link_says(
    page: Page, engine: PrivateEngine
) -> None:
    create_network(engine, "web", *_tagged("ingress"))
    create_network(engine, "db", *_tagged("internal"), "--ipam-opt", "id=database")
    run_container(engine, "one", "web")

    _open(page, "map/100.64.0.0/17?list=leases&sort=-kind")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("gateway")
    page.get_by_role("link", name="containers").click()
    expect(rows).to_have_count(1)
    page.get_by_role("navigation", name="scopes").get_by_role("link", name="internal").click()
    expect(rows.filter(has_text="database")).to_have_count(1)
    expect(rows.filter(has_text="ingress")).to_have_count(0)


def test_whatever_is_searched_leads_to_what_contains_it(page: Page, engine: PrivateEngine) -> None:
    create_network(engine, "web", *_tagged("ingress"), "--ipam-opt", "id=front")
    run_container(engine, "one", "web")

    for text, heading in _SEARCHED.items():
        page.get_by_label("Search").fill(text)
        page.get_by_role("button", name="Find").click()

        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        expect(page.get_by_text("Nothing is called so")).not_to_be_attached()


def test_a_search_without_a_result_says_so(page: Page) -> None:
    page.get_by_label("Search").fill("nobody")
    page.get_by_label("Search").press("Enter")

    expect(page.get_by_text("Nothing is called so")).to_be_visible()


def test_names_and_the_past_of_an_address_are_shown(
    page: Page, engine: PrivateEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    create_network(engine, "frontend", *_tagged("shop"))
    first = run_container(engine, "gone", "frontend")
    (address,) = (each.partition("/")[0] for each in first.addresses)
    engine.must("rm", "--force", "gone")
    run_container(engine, "webserver", "frontend")
    Command(engine, capsys)("record", "--once")

    page.get_by_label("Search").fill("webserver")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("listitem").filter(has_text="webserver").get_by_role("link").click()

    expect(page.get_by_role("heading", level=1)).to_have_text(f"{address} in use")
    expect(page.get_by_role("region", name="leases")).to_contain_text("webserver")
    expect(page.get_by_role("region", name="pools")).to_contain_text("frontend")
    past = page.get_by_role("region", name="past").locator("tbody tr")
    expect(past.first).to_contain_text("address given")
    expect(past.filter(has_text="address ended").first).to_be_visible()


def test_an_address_is_shown_while_its_past_is_looked_for(
    page: Page, engine: PrivateEngine
) -> None:
    create_network(engine, "web", *_tagged("shop"))
    history = "**/v1/history?*"
    page.route(history, _never_answer)

    _open(page, "address/100.64.64.1")

    expect(page.get_by_role("heading", level=1)).to_have_text("100.64.64.1 in use")
    past = page.get_by_role("region", name="past")
    expect(past).to_have_count(0)
    page.unroute(history)
    expect(past).to_contain_text("address given")
    # It stays while it is looked for again.
    page.route(history, _never_answer)
    with page.expect_request(history):
        pass
    expect(past).to_contain_text("address given")


def test_a_nearly_full_scope_is_named_at_the_top(page: Page, engine: PrivateEngine) -> None:
    create_network(engine, "one", *_tagged("tiny"))
    create_network(engine, "two", *_tagged("tiny"))

    page.get_by_role("link", name="10.99.0.0/29 is 100 % full").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("10.99.0.0/29")


def test_the_page_says_when_the_plugin_is_away_and_keeps_what_it_shows(
    page: Page, plugin: Plugin
) -> None:
    plugin.disable(force=True)
    try:
        expect(page.locator("#away")).to_contain_text("The plugin does not answer")
        expect(page.get_by_role("gridcell")).to_have_count(5)
    finally:
        plugin.enable()
    expect(page.locator("#away")).to_be_empty()


def test_the_map_is_walked_by_the_keyboard_alone(page: Page) -> None:
    _open(page, "map/100.64.0.0/17")
    expect(page.get_by_role("gridcell")).to_have_count(128)
    page.get_by_label("100.64.0.0/24:").focus()

    for key in ("ArrowRight", "ArrowDown", "End", "Home", "ArrowUp", "ArrowRight"):
        page.keyboard.press(key)

    expect(page.get_by_label("100.64.1.0/24:")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("100.64.1.0/24")


def test_a_refresh_keeps_the_focus_and_what_is_typed(page: Page, engine: PrivateEngine) -> None:
    _open(page, "map/100.64.0.0/17")
    page.get_by_label("Search").fill("100.64")
    page.get_by_label("100.64.5.0/24:").focus()

    create_network(engine, "web", *_tagged("ingress"))
    expect(page.get_by_label("100.64.0.0/24: 1 of 4")).to_be_visible()

    expect(page.get_by_label("100.64.5.0/24:")).to_be_focused()
    expect(page.get_by_label("Search")).to_have_value("100.64")


def test_what_goes_takes_no_focus_with_it(page: Page, engine: PrivateEngine) -> None:
    networks = [create_network(engine, name, *_tagged("ingress")) for name in ("one", "two")]
    show(page, f"{page.url.split('#')[0]}#/map/100.64.0.0/17")
    left = page.get_by_role("region", name="list").get_by_role("link", name=networks[1].subnets[0])
    left.focus()

    networks[0].remove()
    expect(page.get_by_role("region", name="list").locator("tbody tr")).to_have_count(1)

    expect(left).to_be_focused()


def test_a_refresh_keeps_the_selection_and_the_place(page: Page, engine: PrivateEngine) -> None:
    create_network(engine, "web", *_tagged("ingress"), "--ipam-opt", "id=front")
    show(page, f"{page.url.split('#')[0]}#/map/100.64.0.0/17")
    page.get_by_role("cell", name="front", exact=True).select_text()
    page.set_viewport_size({"width": 1280, "height": 300})
    page.evaluate("scrollTo(0, 200)")
    place = page.evaluate("scrollY")

    create_network(engine, "more", *_tagged("ingress"))
    expect(page.get_by_role("region", name="list").locator("tbody tr")).to_have_count(2)

    assert page.evaluate("getSelection().toString().trim()") == "front"
    assert page.evaluate("scrollY") == place > 0


def test_what_the_plugin_refuses_is_said_in_its_words(page: Page) -> None:
    _open(page, "map/nonsense")

    expect(page.get_by_role("alert")).to_contain_text("'nonsense' is not a subnet")
