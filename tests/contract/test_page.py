"""The files of the page, as a browser gets them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from pyipam.history.names import NAMES_NAME, Name, to_names_file
from tests.support.dockerd import Driver, Engine
from tests.support.program import Program, scope

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


# What the page asks for: page/*.js. Where it says how many rows it wants, it wants 200.
_ASKED = [
    "status",
    "scopes?limit=200",
    "map",
    "map?block=10.0.0.0/8",
    "map?block=100.64.0.0/16",
    "pools?limit=200",
    "pools?limit=200&everywhere=true&tag=default",
    "pools?limit=200&subnet=10.0.0.0/8",
    "leases?limit=200",
    "leases?limit=200&subnet=100.64.0.0/16",
    "names?limit=200",
    "explain?address=100.64.0.2",
    "history?address=100.64.0.1&limit=50",
    "plan?tags=default",
    "plan?tags=nobody",
]


def test_no_answer_to_the_page_has_more_than_200_rows_or_256_cells(
    program: Program, engine_a: Engine
) -> None:
    small = [scope(f"10.0.{number}.0/31", 31, tags=["default"]) for number in range(210)]
    inner = [scope(f"172.16.{number}.0/24", 28) for number in range(210)]
    program.write_schema(
        *small, scope("100.64.0.0/16", 16, tags=["large"]), scope("172.16.0.0/16", 24, scopes=inner)
    )
    program.start(STORE_LAYOUT="single")
    driver = program.driver(engine_a)
    driver.announce()
    for _ in small:
        driver.request_pool(options={"id": "alike"})
    large = driver.request_pool(options={"scope_filter_tags": "large"})
    for _ in range(210):
        driver.request_address(large)
    for _ in range(101):
        driver.pool_error()
    names = [Name("100.64.0.0/16", f"network-{number}") for number in range(210)]
    (program.home / "state" / NAMES_NAME).write_bytes(to_names_file(1.0, names))

    for view in _ASKED:
        reply = driver.raw("GET", f"/v1/{view}")
        assert reply.status == 200, view
        for place, length in _lists(reply.json):
            most = 256 if place.endswith(".cells") else 200
            assert length <= most, f"{view}{place} has {length}"


def _lists(value: Any, place: str = "") -> Iterator[tuple[str, int]]:
    """Where there is a list in an answer, and how many items it has."""
    if isinstance(value, list):
        yield place, len(value)
        for item in value:
            yield from _lists(item, place)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _lists(item, f"{place}.{name}")
