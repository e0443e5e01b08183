"""The files of the page, as a browser gets them."""

from __future__ import annotations

import re

import pytest

from tests.support.dockerd import Driver

pytestmark = pytest.mark.every_store


def test_the_page_is_the_start(driver: Driver) -> None:
    reply = driver.raw("GET", "/")

    assert reply.status == 200
    assert reply.content_type == "text/html"
    assert b"<title>pyipam</title>" in reply.body


def test_everything_that_the_page_names_is_there(driver: Driver) -> None:
    pending = re.findall(rb'(?:href|src)="(page/[^"]+)"', driver.raw("GET", "/").body)
    seen = set()
    while pending:
        path = pending.pop().decode()
        reply = driver.raw("GET", f"/{path}")
        assert reply.status == 200, path
        seen.add(path)
        named = re.findall(rb'from "\./([a-z]+\.js)"', reply.body)
        pending += {b"page/" + name for name in named} - {name.encode() for name in seen}

    assert len(seen) > 10


def test_a_browser_learns_of_every_script_at_once(driver: Driver) -> None:
    start = driver.raw("GET", "/").body
    announced = set(re.findall(rb'"page/([a-z]+\.js)"', start))

    named = {
        name
        for script in announced
        for name in re.findall(
            rb'from "\./([a-z]+\.js)"', driver.raw("GET", f"/page/{script.decode()}").body
        )
    }

    assert named | {b"main.js"} == announced


@pytest.mark.parametrize(
    ("name", "kind"),
    [("main.js", "text/javascript"), ("style.css", "text/css"), ("icon.svg", "image/svg+xml")],
)
def test_a_file_has_its_type(driver: Driver, name: str, kind: str) -> None:
    assert driver.raw("GET", f"/page/{name}").content_type == kind


@pytest.mark.parametrize("path", ["/", "/page/main.js"])
def test_a_browser_runs_nothing_but_the_files_of_the_page(driver: Driver, path: str) -> None:
    headers = driver.raw("GET", path).headers

    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["nobody.js", "..%2fserver.py", "%2e%2e/server.py", "__init__.py"])
def test_no_other_file_is_given_out(driver: Driver, name: str) -> None:
    assert driver.raw("GET", f"/page/{name}").status == 404
