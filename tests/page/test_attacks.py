"""Whatever somebody has named is text on the page, and never markup or a script."""

from __future__ import annotations

import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from pyipam.history.names import NAMES_NAME, Name, to_names_file
from tests.support.browser import show
from tests.support.engine.objects import create_network, run_container, try_network
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.schemas import SCHEMA_PATH, schema_text, scope, write_schema

_ATTACKS = [
    "<img src=x onerror=window.attacked=1>",
    "<script>window.attacked=1</script>",
    '"><svg onload=window.attacked=1>',
    "javascript:window.attacked=1",
    "' onclick=window.attacked=1 x='",
    "<iframe srcdoc='<script>parent.attacked=1</script>'></iframe>",
    "{{constructor.constructor('window.attacked=1')()}}",
]
# An interface's name has fifteen characters, none of them a slash or a blank.
_INTERFACE = "<script>"
_OPTION = "<svg onload"
_BLOCK, _ADDRESS = "100.64.64.0/28", "100.64.64.2"


@pytest.fixture
def route(engine: PrivateEngine) -> Iterator[None]:
    """A route of the host, over an interface of that name."""
    engine.run("ip", "link", "add", _INTERFACE, "type", "bridge").check()
    engine.run("ip", "address", "add", "100.64.70.1/24", "dev", _INTERFACE).check()
    engine.run("ip", "link", "set", _INTERFACE, "up").check()
    yield
    engine.run("ip", "link", "delete", _INTERFACE).check()


def _is_unharmed(page: Page) -> None:
    assert page.evaluate("window.attacked") is None
    assert page.locator("body :is(img, svg, script, iframe, object)").count() == 0
    assert page.locator("a:not([href^='#/'])").count() == 0


@pytest.mark.parametrize("attack", _ATTACKS[:4])
def test_ids_options_and_names_are_text(
    page: Page, engine: PrivateEngine, plugin: Plugin, attack: str, link: str
) -> None:
    wishes = [f"id={attack}", "scope_filter_tags=shop", f"{_OPTION}={attack}"]
    create_network(engine, "web", *(part for wish in wishes for part in ("--ipam-opt", wish)))
    run_container(engine, "front", "web")
    try_network(engine, "bad", "--ipam-opt", f"scope_filter_tags={attack}")
    names = [Name(_BLOCK, attack), Name(_BLOCK, attack, _ADDRESS, attack)]
    (plugin.state / NAMES_NAME).write_bytes(to_names_file(time.time(), names))

    try:
        for place in (
            f"map/{_BLOCK}",
            f"map/{_BLOCK}?list=leases",
            f"address/{_ADDRESS}",
            f"search/{quote(attack, safe='')}",
        ):
            show(page, f"{link}#/{place}")
            expect(page.get_by_role("cell", name=attack, exact=True).first).to_be_visible()
            _is_unharmed(page)
        show(page, f"{link}#/refusals")
        expect(page.get_by_role("main")).to_contain_text(attack[:5])
        page.get_by_text("remark").click()
        expect(page.get_by_label("Is all well?")).to_contain_text(f"option {_OPTION}")
        _is_unharmed(page)
    finally:
        (plugin.state / NAMES_NAME).unlink()


def test_the_name_of_an_interface_is_text(page: Page, route: None, link: str) -> None:
    page.get_by_text("remark").click()
    expect(page.get_by_label("Is all well?")).to_contain_text(_INTERFACE)
    _is_unharmed(page)

    show(page, f"{link}#/address/100.64.70.9")
    expect(page.get_by_role("region", name="address")).to_contain_text(_INTERFACE)
    _is_unharmed(page)


@pytest.mark.parametrize("attack", _ATTACKS[:2])
def test_what_the_schema_says_is_text(page: Page, plugin: Plugin, attack: str) -> None:
    file = plugin.engine.root / SCHEMA_PATH.lstrip("/")
    before = file.read_text()
    described = scope("10.7.0.0/24", 28, tags=["default"], description=attack)
    try:
        write_schema(plugin, schema_text(described))
        tree = page.get_by_role("navigation", name="scopes")
        tree.get_by_role("link", name="10.7.0.0/24").click()
        expect(page.get_by_role("region", name="map")).to_contain_text(attack)
        _is_unharmed(page)

        write_schema(plugin, schema_text({**described, "tags": [attack], attack: attack}))
        expect(page.get_by_label("Is all well?")).to_contain_text(attack)
        _is_unharmed(page)
    finally:
        write_schema(plugin, before)


@pytest.mark.parametrize("attack", [*_ATTACKS[:3], "constructor", "__proto__"])
def test_the_address_of_the_page_is_text(page: Page, attack: str, link: str) -> None:
    written = quote(attack, safe="")

    for place in (
        written,
        f"map/{written}",
        f"address/{written}",
        f"search/{written}",
        f"plan?tags={written}&version={written}",
        f"map?list={written}&sort={written}&tag={written}",
        f"map?after={written}",
    ):
        show(page, f"{link}#/{place}")
        _is_unharmed(page)
        expect(page.locator("#away")).to_be_empty()
