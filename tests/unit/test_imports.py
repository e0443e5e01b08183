"""What the program does not import, because most hosts never need it."""

import subprocess
import sys

import pytest

_ON_REQUEST = {"pymongo", "bson", "dns", "prometheus_client"}


@pytest.mark.parametrize(
    "module",
    [
        "pyipam.api.app",
        "pyipam.runtime.configured_store",
        "pyipam.runtime.plugin",
        "pyipam.server",
        "pyipam.serving.loop",
    ],
)
def test_what_a_store_or_a_scrape_asks_for_is_not_imported_before(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules.keys() & {_ON_REQUEST!r})"

    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "\n"
