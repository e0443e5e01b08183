"""The page for everybody, and against whoever chose the names that it shows."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.engine.objects import create_network, run_container, try_network
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.schemas import schema_text, scope, write_schema

_PLACES = [
    "",
    "map/100.64.0.0/17",
    "map/100.64.0.0/26?list=leases&sort=kind",
    "map/fd00:1::/48",
    "map/nonsense",
    "address/100.64.0.2",
    "plan?tags=ingress",
    "search/internal",
    "refusals",
]
_ATTACKS = [
    "<img src=x onerror=window.attacked=1>",
    "<script>window.attacked=1</script>",
    '"><svg onload=window.attacked=1>',
    "javascript:window.attacked=1",
    "' onclick=window.attacked=1 x='",
]


@pytest.fixture
def open_page(browser: Browser, link: str) -> Iterator[Page]:
    """A page into which the test may put scripts of its own."""
    context = browser.new_context(bypass_csp=True)
    yield context.new_page()
    context.close()


# In the dark, only colours are different.
@pytest.mark.parametrize(("scheme", "rules"), [("light", ""), ("dark", "color-contrast")])
def test_axe_finds_nothing(
    open_page: Page, link: str, engine: PrivateEngine, scheme: Literal["light", "dark"], rules: str
) -> None:
    create_network(engine, "web", "--ipam-opt", "scope_filter_tags=ingress")
    run_container(engine, "one", "web")
    try_network(engine, "bad", "--ipam-opt", "scope_filter_tags=ingres")
    open_page.emulate_media(color_scheme=scheme)

    found = {place: _violations(open_page, f"{link}#/{place}", rules) for place in _PLACES}

    assert {place: violations for place, violations in found.items() if violations} == {}


def _violations(page: Page, url: str, rules: str) -> list[Any]:
    # Away, so that what is shown next has been loaded anew.
    page.goto("about:blank")
    page.goto(url)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
    options = {"runOnly": [rules]} if rules else {}
    violations = page.evaluate(
        "(options) => axe.run(options).then((found) => found.violations)", options
    )
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in violations]


@pytest.mark.parametrize("attack", _ATTACKS)
def test_what_a_user_has_named_is_text(page: Page, engine: PrivateEngine, attack: str) -> None:
    create_network(engine, "web", "--ipam-opt", f"id={attack}")
    try_network(engine, "bad", "--ipam-opt", f"scope_filter_tags={attack}")

    start = page.url.split("#")[0]
    for place in ("map/100.64.0.0/24", "refusals", "plan?tags=%3Cimg%20src%3Dx%3E"):
        page.goto(f"{start}#/{place}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.goto(f"{start}#/map/100.64.0.0/24")
    expect(page.get_by_role("cell", name=attack, exact=True)).to_be_visible()
    page.get_by_label("Search").fill(attack)
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f'Found for "{attack}"')

    assert page.evaluate("window.attacked") is None
    assert page.locator("main img, main svg, main script").count() == 0


def test_what_the_schema_says_is_text(page: Page, plugin: Plugin) -> None:
    before = (plugin.engine.root / "etc/pyipam/schema.json").read_text()
    attack = _ATTACKS[0]
    try:
        write_schema(
            plugin, schema_text(scope("10.7.0.0/24", 28, tags=["default"], description=attack))
        )
        entry = page.get_by_role("navigation", name="scopes").get_by_role(
            "link", name="10.7.0.0/24"
        )
        expect(entry).to_have_attribute("title", attack, timeout=15_000)

        assert page.evaluate("window.attacked") is None
        assert page.locator("main img").count() == 0
    finally:
        write_schema(plugin, before)


def test_a_script_that_is_not_of_the_page_is_not_run(page: Page) -> None:
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.attacked = 1";
            document.body.append(script);
            const image = "<img src=x onerror='window.attacked=1'>";
            document.body.insertAdjacentHTML("beforeend", image);
        }"""
    )
    page.wait_for_load_state("networkidle")

    assert page.evaluate("window.attacked") is None


def test_nothing_moves_and_nothing_is_loaded_from_elsewhere(page: Page, link: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.reload()
    page.get_by_role("grid").wait_for()

    assert asked
    assert [url for url in asked if not url.startswith(link)] == []
    assert page.evaluate("document.getAnimations().length") == 0
