"""The pictures of the documentation: `make pictures` puts them there."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.engine.objects import create_network, run_container
from tests.support.engine.private_engine import PrivateEngine

_ROOT = Path(__file__).parents[2]
_MADE = _ROOT / "build" / "pictures"
_SHOWN = _ROOT / "docs" / "pictures"
# A name, what is shown, and by which heading it is known to be there.
_PICTURES = {
    "plan": ("map/100.64.64.0/20", "100.64.64.0/20"),
    "address": ("address/100.64.64.2", "100.64.64.2 in use"),
    "trial": ("plan?tags=ingress&prefix=27", "What would I get?"),
}


@pytest.fixture
def planes(engine: PrivateEngine) -> None:
    """An application of a few networks and containers."""
    for name in ("web", "api", "cache", "jobs", "mail", "search"):
        options = ("--ipam-opt", "scope_filter_tags=shop", "--ipam-opt", f"id={name}")
        create_network(engine, name, *options)
    for name in ("front", "back", "worker"):
        run_container(engine, name, "web")
    create_network(engine, "database", "--ipam-opt", "scope_filter_tags=internal")
    create_network(engine, "edge", "--ipv6", "--ipam-opt", "scope_filter_tags=ingress")


def test_the_documentation_shows_the_page_in_light_and_dark(page: Page, planes: None) -> None:
    _MADE.mkdir(parents=True, exist_ok=True)
    start = page.url.split("#")[0]
    page.set_viewport_size({"width": 1280, "height": 1000})
    page.emulate_media(reduced_motion="reduce")
    for name, (place, heading) in _PICTURES.items():
        page.goto(f"{start}#/{place}")
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        page.emulate_media(color_scheme="light")
        page.screenshot(path=_MADE / f"{name}-light.png")
        page.emulate_media(color_scheme="dark")
        page.screenshot(path=_MADE / f"{name}-dark.png")

    made = {file.name for file in _MADE.glob("*.png")}
    assert made == {file.name for file in _SHOWN.glob("*.png")}
