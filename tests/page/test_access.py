"""The page for everybody, and nothing on it from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page

from tests.support.browser import show
from tests.support.engine.objects import create_network, run_container, try_network
from tests.support.engine.private_engine import PrivateEngine

_PLACES = [
    "",
    "map/100.64.0.0/17",
    "map/100.64.0.0/26?list=leases&sort=kind",
    "map/10.200.0.0/16?list=aggregates",
    "map/fd00:1::/48",
    "map/nonsense",
    "address/100.64.0.2",
    "plan?tags=ingress",
    "search/internal",
    "refusals",
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
    create_network(engine, "routed", "--ipam-opt", "scope_filter_tags=fabric")
    run_container(engine, "one", "web")
    try_network(engine, "bad", "--ipam-opt", "scope_filter_tags=ingres")
    open_page.emulate_media(color_scheme=scheme)

    found = {place: _violations(open_page, f"{link}#/{place}", rules) for place in _PLACES}

    assert {place: violations for place, violations in found.items() if violations} == {}


def _violations(page: Page, url: str, rules: str) -> list[Any]:
    show(page, url)
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
    options = {"runOnly": [rules]} if rules else {}
    violations = page.evaluate(
        "(options) => axe.run(options).then((found) => found.violations)", options
    )
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in violations]


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
