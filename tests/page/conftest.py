"""The page of a plugin in a real engine, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import chromium, served_page
from tests.support.engine import homes
from tests.support.engine.chroots import Say
from tests.support.engine.images import load_busybox
from tests.support.engine.objects import DRIVER, clear
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.releases import engines_under_test
from tests.support.engine.schemas import mount_schema, schema_text, scope

# Milliseconds for a refresh of the page, also on a machine that does much else.
_PATIENCE = 90_000
expect.set_options(timeout=_PATIENCE)

_SCHEMA = schema_text(
    scope(
        "100.64.0.0/17",
        26,
        tags=["ingress", "default"],
        propagate_tags=False,
        reserved=["100.64.1.0/24"],
        scopes=[scope("100.64.64.0/20", 28, tags=["shop"])],
    ),
    scope("10.16.0.0/12", 24, tags=["internal"], reuse_delay=3600),
    scope("10.99.0.0/29", 30, tags=["tiny"]),
    scope("10.200.0.0/16", 22, node_prefix=20, tags=["fabric"]),
    scope("fd00:1::/48", 64, tags=["ingress", "default"]),
)


@pytest.fixture(scope="session")
def browser(say: Say) -> Iterator[Browser]:
    with chromium(say) as browser:
        yield browser


@pytest.fixture(scope="session")
def engine(bundle: Path, say: Say) -> Iterator[PrivateEngine]:
    """The newest engine, with the enabled plugin under its short name."""
    homes.remove_abandoned(say)
    with PrivateEngine(engines_under_test()[-1], say) as engine:
        load_busybox(engine)
        plugin = Plugin.create(engine, DRIVER, bundle)
        plugin.enable()
        plugin.point_alias("pyipam")
        mount_schema(plugin, _SCHEMA)
        yield engine


@pytest.fixture
def plugin(engine: PrivateEngine) -> Iterator[Plugin]:
    yield Plugin(engine, DRIVER)
    clear(engine)


@pytest.fixture
def link(plugin: Plugin) -> Iterator[str]:
    """Where the page is served."""
    with served_page(plugin.sockets / "driver.sock") as link:
        yield link


@pytest.fixture
def page(browser: Browser, link: str) -> Iterator[Page]:
    """The page, opened at the whole plan. Its scripts must not fail."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(_PATIENCE)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(link)
    page.get_by_role("grid").wait_for()
    yield page
    context.close()
    assert errors == []
