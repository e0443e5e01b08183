"""The page on paper, enlarged, on a telephone, in other colours, and without motion."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.support.browser import show
from tests.support.engine.objects import create_network, run_container, try_network
from tests.support.engine.private_engine import PrivateEngine

_PLACES = [
    "map",
    "map/100.64.0.0/17",
    "map/100.64.64.0/28?list=leases",
    "map/fd00:1::/48",
    "address/100.64.64.2",
    "plan?tags=ingress&prefix=27",
    "search/shop",
    "refusals",
]
# A window of 1280 by 900 pixels, enlarged to twice the size, has half as many of the page's own.
_ZOOMED = ViewportSize(width=640, height=450)
_TELEPHONE = ViewportSize(width=320, height=740)
# Two columns, with the least room for each.
_TABLET = ViewportSize(width=900, height=700)
_PAPER = ViewportSize(width=720, height=1000)
_WHITE = "rgb(255, 255, 255)"

# What is wider than its place, and cannot be scrolled to.
_CUT = """() => {
    const isCut = (element) =>
        element.scrollWidth > element.clientWidth + 1 &&
        !["visible", "auto", "scroll"].includes(getComputedStyle(element).overflowX);
    return [...document.querySelectorAll("main *, header *")]
        .filter((element) => element.clientWidth && element.tagName !== "INPUT" && isCut(element))
        .map((element) => element.outerHTML.slice(0, 120));
}"""
# What a state looks like if colours are left out: the pattern, the border, light or dark.
_LOOK = """(state) => {
    const cell = document.querySelector(".legend .cell").cloneNode();
    cell.dataset.state = state;
    document.querySelector(".legend").append(cell);
    const look = getComputedStyle(cell);
    const pattern = look.backgroundImage.replaceAll(/rgba?\\([^)]*\\)/g, "");
    const isDark = look.color === "rgb(255, 255, 255)";
    const found = [pattern, look.borderTopStyle, look.borderTopWidth, isDark].join(" ");
    cell.remove();
    return found;
}"""
# A cell is either a block or an address, and never both in one map.
_STATES_OF_BLOCKS = ["free", "held", "unclaimed", "resting", "reserved", "route", "outside"]
_STATES_OF_ADDRESSES = [
    *("free", "container", "gateway", "unclaimed", "resting", "held back", "reserved"),
    *("not usable", "outside"),
]


@pytest.fixture
def application(engine: PrivateEngine, page: Page) -> Page:
    """The page over an application, and a network that was refused."""
    create_network(engine, "web", "--ipam-opt", "scope_filter_tags=shop", "--ipam-opt", "id=shop")
    run_container(engine, "front", "web")
    try_network(engine, "bad", "--ipam-opt", "scope_filter_tags=ingres")
    return page


@pytest.mark.parametrize(
    "viewport", [_ZOOMED, _TELEPHONE, _TABLET], ids=["zoomed", "telephone", "tablet"]
)
def test_nothing_is_cut_off_where_there_is_little_room(
    application: Page, viewport: ViewportSize, link: str
) -> None:
    application.set_viewport_size(viewport)

    for place in _PLACES:
        show(application, f"{link}#/{place}")

        width = application.evaluate("document.documentElement.scrollWidth")
        assert width <= viewport["width"], place
        assert application.evaluate(_CUT) == [], place


def test_paper_has_everything_that_is_shown_and_nothing_to_click(
    application: Page, link: str
) -> None:
    application.set_viewport_size(_PAPER)
    application.emulate_media(media="print", color_scheme="dark")
    show(application, f"{link}#/map/100.64.64.0/28?list=leases")

    for part in ("scopes", "map", "list"):
        expect(application.get_by_label(part, exact=True)).to_be_visible()
    assert application.get_by_role("button").count() == 0
    expect(application.get_by_role("searchbox")).to_be_hidden()
    expect(application.get_by_role("link", name="unclaimed", exact=True)).to_be_hidden()
    assert application.evaluate("getComputedStyle(document.body).backgroundColor") == _WHITE
    for place in _PLACES:
        show(application, f"{link}#/{place}")
        width = application.evaluate("document.documentElement.scrollWidth")
        assert width <= _PAPER["width"], place
        assert application.evaluate(_CUT) == [], place


def test_what_is_folded_up_is_printed(application: Page) -> None:
    warning = application.get_by_text("has no use here")
    application.evaluate(
        """() => {
            const folded = document.createElement("details");
            folded.innerHTML = "<summary>1 remark</summary><ul><li>has no use here</li></ul>";
            document.body.append(folded);
        }"""
    )
    expect(warning).to_be_hidden()

    application.emulate_media(media="print")

    expect(warning).to_be_visible()
    assert warning.evaluate("(element) => element.getBoundingClientRect().height") > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("states", [_STATES_OF_BLOCKS, _STATES_OF_ADDRESSES])
def test_states_are_told_apart_without_colours(
    page: Page, scheme: Literal["light", "dark"], states: list[str]
) -> None:
    page.emulate_media(color_scheme=scheme)

    looks = {state: page.evaluate(_LOOK, state) for state in states}

    assert len(set(looks.values())) == len(states), looks


def test_patterns_stay_where_the_system_chooses_the_colours(browser: Browser, link: str) -> None:
    context = browser.new_context(forced_colors="active")
    try:
        page = context.new_page()
        page.goto(link)
        page.get_by_role("grid").wait_for()

        for state in ("unclaimed", "reserved", "route", "resting"):
            assert "gradient" in page.evaluate(_LOOK, state), state
    finally:
        context.close()


def test_dark_and_light_follow_the_system(page: Page) -> None:
    shown = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        shown[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")

    assert shown == {"light": _WHITE, "dark": "rgb(15, 20, 26)"}


def test_nothing_moves_where_motion_is_not_wanted(application: Page, link: str) -> None:
    application.emulate_media(reduced_motion="reduce")

    for place in _PLACES:
        show(application, f"{link}#/{place}")
        assert application.evaluate("document.getAnimations().length") == 0, place
